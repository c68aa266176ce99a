"""Quality that is expected before labels come, with the conditions under which it holds.

An estimate is made only while the task has no doubt that answers still mean what they meant on the newest labels. Its
interval is as wide as chance makes it, and at least as wide as estimates were wrong in the windows whose labels have
come: what would have been estimated for each of them, from the labels before it, is held against its labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np

from kring.metrics.gates import beyond, judge_line
from kring.ports.task import Counts, Task
from kring.record.alarm import Breach, Effect
from kring.record.evidence import Measure
from kring.record.verdict import GateLine
from kring.record.version import Policy
from kring.watch.windows import merge_counts

NO_TRIAL: Final = (
    "an estimate could be tried on only {} windows whose outcomes have come, {} are needed; it comes with more outcomes"
)
DRAWS: Final = 200
FEW: Final = 5
"""Draws where only the value is wanted."""

MONEY: Final = "expected_cost"
SHOWN: Final = ("roc_auc", "accuracy", "brier", "mae", "rmse")
"""Metrics in which an effect on quality is told; the first that is known."""

RECENT_ROWS: Final = 1_000
"""So many of the newest labels, in whole windows, say whether answers still mean what they meant; a third at most."""

NO_GAP: Final = (
    "what it costs can be told where a threshold decides between yes and no, from ten windows with outcomes on"
)

TRIED: Final = 20
"""The newest windows with labels for which an estimate is tried."""

LEAST_TRIED: Final = 3


class Past(NamedTuple):
    """A window whose labels have come: what its labelled answers foresaw, and their counts."""

    seen: Counts
    labels: Counts

    @property
    def rows(self) -> int:
        """How many labels."""
        return self.labels.get("n", (0,))[0]


class Estimated(NamedTuple):
    """Measures, or `doubt`: why there are none; `conditions` says when they hold."""

    measures: tuple[Measure, ...]
    conditions: str
    doubt: str = ""


def estimated(task: Task, policy: Policy, seen: Counts, *, past: Sequence[Past], seed: int) -> Estimated:
    """What is expected of the answers counted as `seen`, after the windows `past`, oldest first."""
    if not task.conditions:
        return Estimated((), "", "this kind of answer is not estimated without labels")
    split = _recent(past)
    learned, recent = (merged(each.labels for each in part) for part in (past[:split], past[split:]))
    doubt = task.doubt(learned, recent, policy=policy)
    if doubt:
        return Estimated((), task.conditions, doubt)
    errors = tried(task, policy, past[-TRIED:], before=merged(each.labels for each in past[:-TRIED]))
    windows = max(map(len, errors.values()), default=0)
    if windows < LEAST_TRIED:
        return Estimated((), task.conditions, NO_TRIAL.format(windows, LEAST_TRIED))
    learned = merge_counts(learned, recent)
    found = task.estimate(seen, learned, policy=policy, draws=DRAWS, seed=seed)
    widened = tuple(_widened(each, errors[each.name]) for each in found if each.name in errors)
    return Estimated(widened, f"{task.conditions}; tried on {windows} windows whose labels have come")


def tried(task: Task, policy: Policy, past: Sequence[Past], *, before: Counts) -> dict[str, list[float]]:
    """By metric how far the estimate of each window lay from its labels, from the labels before it."""
    errors: dict[str, list[float]] = {}
    learned = before
    for each in past:
        if learned:
            real = realised(task, policy, each.labels)
            for then in task.estimate(each.seen, learned, policy=policy, draws=FEW, seed=0):
                if then.name in real:
                    errors.setdefault(then.name, []).append(abs(then.value - real[then.name]))
        learned = merge_counts(learned, each.labels)
    return errors


def realised(task: Task, policy: Policy, counts: Counts) -> dict[str, float]:
    """The values of metrics of labelled rows, without intervals."""
    parts = [counts] * 5
    return {each.name: each.value for each in task.measure_counts(parts, parts, policy=policy, draws=FEW, seed=0)}


def merged(parts: Iterable[Counts]) -> Counts:
    """All counts together."""
    whole: dict[str, tuple[int, ...]] = {}
    for each in parts:
        whole = merge_counts(whole, each)
    return whole


def judge_estimate(found: Estimated, lines: Sequence[GateLine], *, min_rows: int, since: int) -> list[Breach]:
    """A breach for each line of the gate that lies wholly beyond its limit. It says under which conditions."""
    judgements = [
        judgement
        for line in lines
        if any(beyond(line, each) for each in found.measures)
        for judgement in judge_line(line, found.measures, min_rows=min_rows)
    ]
    return [
        Breach(
            kind="estimated_quality",
            metric=each.metric,
            value=each.value,
            low=each.low,
            high=each.high,
            allowed=each.rule,
            rows=each.rows,
            since=since,
            what=f"{each.metric} is expected to be {each.reason}; its labels have not come yet",
            sure=f"95 % interval; {found.conditions}",
        )
        for each in judgements
        if each.result == "fail"
    ]


def effect_of(found: Estimated, before: Sequence[Measure]) -> Effect:
    """What has changed since the evidence `before`, in a metric that both have and, where mistakes have prices, in
    money for each decision."""
    now, then = ({each.name: each for each in measures} for measures in (found.measures, before))
    shown = [name for name in (*SHOWN, MONEY) if name in now and name in then]
    if found.doubt or not shown:
        return Effect(conditions=found.doubt or "no metric is known now that the evidence holds too")
    mine, old = now[shown[0]], then[shown[0]].value
    money = now[MONEY].value - then[MONEY].value if MONEY in shown else None
    return Effect(
        metric=shown[0],
        value=mine.value - old,
        low=mine.low - old,
        high=mine.high - old,
        money=money,
        currency=now[MONEY].unit if money is not None else "",
        conditions=found.conditions,
    )


def effect_of_gap(lost: Measure | None) -> Effect:
    """What it does that probabilities do not mean what they say, as far as a threshold decides by them."""
    if lost is None:
        return Effect(conditions=NO_GAP)
    is_money = lost.name == MONEY
    return Effect(
        metric=lost.name,
        value=lost.value,
        low=lost.low,
        high=lost.high,
        money=lost.value if is_money else None,
        currency=lost.unit,
        conditions=lost.method,
    )


def _recent(past: Sequence[Past]) -> int:
    """The place of the first of the newest windows that hold enough labels together."""
    wanted, rows, place = min(RECENT_ROWS, sum(each.rows for each in past) // 3), 0, len(past)
    while place and rows < wanted:
        place -= 1
        rows += past[place].rows
    return place


def _widened(measure: Measure, errors: Sequence[float]) -> Measure:
    """The interval at least as wide as estimates were wrong: up to the 95 % point of their errors, or the largest."""
    error = float(np.quantile(errors, 0.95, method="higher"))
    return msgspec.structs.replace(
        measure,
        low=min(measure.low, measure.value - error),
        high=max(measure.high, measure.value + error),
        method=f"{measure.method}, at least as wide as estimates of {len(errors)} earlier windows were wrong",
    )
