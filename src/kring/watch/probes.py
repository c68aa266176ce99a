"""Sentinel probes: whether the same question gets the same answer, today as on the first day."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kring.metrics.intervals import wilson
from kring.ports.task import Task
from kring.record.alarm import Breach
from kring.record.probe import Agreed, Probed
from kring.record.version import Policy

EXACT: Final = 1e-6
"""How far two answers to one row may lie apart that was asked twice."""

LIKE: Final = 0.1
"""How far values may lie apart for two rows that say the same; of decisions only the decision has to be the same."""

STEADY: Final = 0.01
"""How far an answer may lie from the one on the first day."""

CONSISTENT: Final = 0.8
"""The share of rows that say the same which ought to be answered alike."""

EXAMPLES: Final = 5
METRICS: Final = ("repeats", "paraphrases", "change", "answered")


def agreed(
    task: Task,
    policy: Policy,
    left: NDArray[np.float64],
    right: NDArray[np.float64],
    *,
    names: Sequence[str],
    apart: float,
) -> Agreed:
    """Pairs of answers, (n,) or (n, k) each, to the probes `names` (n,): the same unless another decision was made, or
    they lie further `apart`. Two that both lack an answer are the same, one that lacks it is not."""
    if not len(names):
        return Agreed(pairs=0, same=0)
    distance, differs = task.apart(left, right, policy)
    neither = ~task.answered(left) & ~task.answered(right)
    one = task.answered(left) ^ task.answered(right)
    same = neither | (~one & ~differs & (distance <= apart))
    others = dict.fromkeys(name for name, fine in zip(names, same.tolist(), strict=True) if not fine)
    return Agreed(pairs=len(names), same=int(same.sum()), examples=tuple(others)[:EXAMPLES])


def judge_probes(run: Probed) -> tuple[list[Breach], list[str]]:
    """What one run of the probes says: breaches, and the keys of all that were judged. Repeats and what was said on the
    first day ought to be the same without exception; rows that say the same, to four fifths, with Wilson's interval."""
    breaches, keys = [], []
    for metric, found, least in (
        ("repeats", run.repeated, 1.0),
        ("paraphrases", run.paraphrased, CONSISTENT),
        ("change", run.changed, 1.0),
        ("answered", Agreed(pairs=run.rows, same=run.rows - run.failures), 1.0),
    ):
        if not found.pairs:
            continue
        keys.append(f"probes/{metric}//")
        low, high = wilson(found.same, found.pairs)
        if found.same < found.pairs if least == 1.0 else high < least:
            breaches.append(_breach(run, metric, found, low=low, high=high, least=least))
    return breaches, keys


def _breach(run: Probed, metric: str, found: Agreed, *, low: float, high: float, least: float) -> Breach:
    others = found.pairs - found.same
    what = {
        "repeats": f"{others:,} of {found.pairs:,} repetitions of one question got another answer",
        "paraphrases": f"{others:,} of {found.pairs:,} questions that say the same in other words got another answer",
        "change": f"{others:,} of {found.pairs:,} questions are answered otherwise than when they were first put to "
        "this version, which has not changed: something that it calls has",
        "answered": f"{others:,} of {found.pairs:,} questions got no answer",
    }[metric]
    return Breach(
        kind="probes",
        metric=metric,
        value=found.same / found.pairs,
        low=low,
        high=high,
        allowed=f"{metric} >= {least:g}",
        rows=found.pairs,
        since=run.at,
        what=f"{what}{': ' + ', '.join(found.examples) if found.examples else ''}",
        version=run.version,
        sure="counted, not estimated" if least == 1.0 else f"95 % interval {low:.1%} to {high:.1%}",
    )
