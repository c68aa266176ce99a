"""Realised quality: what matured outcomes say about the gate's lines."""

from __future__ import annotations

from collections.abc import Sequence

from kring.metrics.gates import covers, judge_line
from kring.record.alarm import Breach
from kring.record.evidence import Measure
from kring.record.verdict import GateLine, Judgement
from kring.watch.meaning import limit_words


def judge_quality(lines: Sequence[GateLine], measures: Sequence[Measure], *, min_rows: int) -> tuple[Judgement, ...]:
    """Every line of the gate that counts can give a measure for, held to `measures` on at least `min_rows` rows."""
    known = [line for line in lines if any(covers(line, measure.name) for measure in measures)]
    return tuple(judgement for line in known for judgement in judge_line(line, measures, min_rows=min_rows))


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
