"""Candidates side by side, by what was measured and by what it is worth over the baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from kring.errors import UserError
from kring.metrics.measured import LIFT
from kring.record.evidence import Evidence, Measure

TRADES: Final[Mapping[str, str]] = {
    "latency": "latency_p50_ms",
    "memory": "memory_mb",
    "cost": "expected_cost",
    "fairness": "fairness.",
}
"""What is traded against quality, and the measure, or the beginning of the measures, that says it."""


NOISE: Final = 0.1
"""By how much of itself a probe varies from day to day, on a machine that does other things too."""


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One candidate's row. `measures` and `lifts` are by metric; `dominated_by` names the candidates that are
    worse in none of the compared metrics and clearly better in one."""

    candidate: str
    run: str
    evidence: str
    baseline: bool
    rows: int
    measures: dict[str, Measure]
    lifts: dict[str, Measure]
    dominated_by: tuple[str, ...] = ()


def trades(evidences: Sequence[Evidence], *, quality: str) -> dict[str, str]:
    """The measure that stands for each thing that candidates trade: `quality` first, then those of `TRADES` that
    every candidate has. Of several the one that differs most from its best value, by the worst candidate."""
    shared = [name for name, measure in _by_name(evidences[0]).items() if measure.better]
    for evidence in evidences[1:]:
        shared = [name for name in shared if name in _by_name(evidence)]
    found = {"quality": quality}
    for trade, wanted in TRADES.items():
        fitting = [name for name in shared if name == wanted or (wanted.endswith(".") and name.startswith(wanted))]
        if fitting and wanted != quality:
            found[trade] = max(fitting, key=lambda name: _spread(evidences, name))
    return found


def frontier(rows: Sequence[Compared]) -> tuple[str, ...]:
    """The candidates that no other dominates."""
    return tuple(row.candidate for row in rows if not row.dominated_by)


def compare(evidences: Sequence[Evidence], *, metrics: Sequence[str] = ()) -> tuple[Compared, ...]:
    """A row per evidence, the best first by the first of `metrics` (without any: by the first that is measured).

    `metrics` also say where one candidate can dominate another; without any, all those of the task that
    have a direction. `UserError` when the evidences don't rest on the same rows.
    """
    if len({(evidence.snapshot, evidence.baseline_run, evidence.rows) for evidence in evidences}) > 1:
        raise UserError(
            "these candidates were not measured on the same rows",
            got=", ".join(f"{each.candidate}: {each.rows} rows of {each.snapshot}" for each in evidences),
            allowed="evidence of one snapshot beside one baseline run",
            next="run kring train, which measures all candidates together",
        )
    rows = [_row(evidence) for evidence in evidences]
    chosen = tuple(metrics) or tuple(dict.fromkeys(name for row in rows for name in row.lifts))
    dominated = [
        msgspec.structs.replace(
            row, dominated_by=tuple(other.candidate for other in rows if _dominates(other, row, chosen))
        )
        for row in rows
    ]
    return tuple(sorted(dominated, key=lambda row: (_worth(row, chosen), row.candidate)))


def _row(evidence: Evidence) -> Compared:
    plain = {measure.name: measure for measure in evidence.measures if not measure.name.startswith(LIFT)}
    lifts = {name.removeprefix(LIFT): each for name, each in _by_name(evidence).items() if name.startswith(LIFT)}
    return Compared(
        candidate=evidence.candidate,
        run=evidence.run,
        evidence=evidence.id,
        baseline=evidence.run == evidence.baseline_run,
        rows=evidence.rows,
        measures=plain,
        lifts=lifts,
    )


def _spread(evidences: Sequence[Evidence], name: str) -> float:
    values = [_by_name(evidence)[name].value for evidence in evidences]
    return max(values) - min(values)


def _by_name(evidence: Evidence) -> dict[str, Measure]:
    return {measure.name: measure for measure in evidence.measures}


def _worth(row: Compared, metrics: Sequence[str]) -> float:
    """Smaller is better; a candidate without the metric comes last."""
    measure = row.measures.get(metrics[0]) if metrics else None
    return float("inf") if measure is None else -measure.better * measure.value


def _dominates(one: Compared, other: Compared, metrics: Sequence[str]) -> bool:
    """Worse in no metric, better in one by the whole interval. Worse is a worse value; of a probe, whose value
    varies from try to try, an interval that lies apart."""
    pairs = [
        (one.measures[name], other.measures[name])
        for name in metrics
        if name in one.measures and name in other.measures
    ]
    directed = [(mine, theirs) for mine, theirs in pairs if mine.better]
    worse = any(
        _apart(theirs, mine) if mine.probe else mine.better * (mine.value - theirs.value) < 0
        for mine, theirs in directed
    )
    return not worse and any(_apart(mine, theirs) for mine, theirs in directed)


def _apart(mine: Measure, theirs: Measure) -> bool:
    """Whether the whole interval of `mine` is better; of a probe, by more than the tenth that tries vary by."""
    margin = NOISE * abs(theirs.value) if mine.probe else 0.0
    return mine.low > theirs.high + margin if mine.better > 0 else mine.high < theirs.low - margin
