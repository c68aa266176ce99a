"""Realised quality: what matured outcomes say about the gate's lines."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from kring.metrics.gates import covers, judge_line
from kring.record.alarm import Breach
from kring.record.evidence import Measure
from kring.record.verdict import GateLine, Judgement
from kring.watch.meaning import limit_words


class QualityFound(msgspec.Struct, frozen=True, kw_only=True):
    """`breaches` to raise an alarm on, `judged` every line that could be judged, `skipped` the metrics of lines
    that no count can give. `waiting` says why nothing was judged, and is empty when something was."""

    breaches: tuple[Breach, ...] = ()
    judged: tuple[Judgement, ...] = ()
    skipped: tuple[str, ...] = ()
    waiting: str = ""


def judge_quality(
    lines: Sequence[GateLine],
    measures: Sequence[Measure],
    *,
    windows: int,
    min_windows: int,
    min_rows: int,
    since: int,
) -> QualityFound:
    """A breach for each line whose whole interval lies beyond its limit.

    `measures` come from the counts of `windows` windows that hold matured outcomes, from `since` (microseconds
    UTC) on. Fewer than `min_windows` of them, or of `min_rows` rows, say nothing: neither alarm nor all-clear.
    """
    if windows < min_windows:
        return QualityFound(waiting=f"{windows} windows hold matured outcomes, {min_windows} are needed")
    known = [line for line in lines if any(covers(line, measure.name) for measure in measures)]
    judged = [judgement for line in known for judgement in judge_line(line, measures, min_rows=min_rows)]
    return QualityFound(
        breaches=tuple(breach_of(judgement, since=since) for judgement in judged if judgement.result == "fail"),
        judged=tuple(judged),
        skipped=tuple(line.metric for line in lines if line not in known),
        waiting="" if known else "counts give none of the gate's metrics",
    )


def breach_of(judgement: Judgement, *, since: int) -> Breach:
    """A failed line as a breach."""
    return Breach(
        metric=judgement.metric,
        value=judgement.value,
        low=judgement.low,
        high=judgement.high,
        allowed=judgement.rule,
        rows=judgement.rows,
        since=since,
        what=told(judgement),
    )


def told(judgement: Judgement) -> str:
    """A failed line in a sentence."""
    if judgement.value is None or judgement.low is None or judgement.high is None:
        return f"{judgement.metric}: {judgement.reason}"
    limit = limit_words(judgement.rule, metric=judgement.metric)
    between = f"95 % interval {judgement.low:.4g} to {judgement.high:.4g}"
    return f"{judgement.metric} is {judgement.value:.4g} ({between}), {limit} is asked for"
