"""evidence → candidates side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from kring.errors import NotFound
from kring.experiment.comparison import Compared, compare, trades
from kring.flow.project import Project
from kring.flow.releasing import latest_training
from kring.flow.training.making import notes
from kring.flow.training.train import Trained
from kring.metrics.gates import covers, judge_line, worst
from kring.record.evidence import Evidence
from kring.record.verdict import GateLine, GateResult

HEADLINES: Final = 4
LIFT: Final = "lift_over_baseline."


@dataclass(frozen=True)
class Comparison:
    """Rows, the best first; the metrics worth a headline; the measure of each thing that candidates trade
    (see `kring.experiment.comparison.TRADES`); what the gate would say to each now."""

    rows: tuple[Compared, ...]
    metrics: tuple[str, ...]
    trades: dict[str, str]
    evidence: dict[str, Evidence]
    results: dict[str, GateResult]
    refused: tuple[Trained, ...]
    notes: tuple[tuple[str, str], ...] = ()


def compare_runs(project: Project) -> Comparison:
    """The newest training's candidates. `NotFound` when none has evidence."""
    trained = latest_training(project)
    evidence = {one.run.candidate: one.evidence for one in trained if one.evidence}
    if not evidence:
        raise NotFound("no candidate has evidence", next=f"run kring train {project.folder} and read its reasons")
    gate = project.system.gate
    results = {
        name: worst(
            [one.result for line in gate.lines for one in judge_line(line, each.measures, min_rows=gate.min_rows)]
        )
        for name, each in evidence.items()
        if name != project.system.baseline.name
    }
    metrics = headlines(list(evidence.values()), gate.lines)
    axes = trades(list(evidence.values()), quality=metrics[0])
    return Comparison(
        rows=compare(list(evidence.values()), metrics=tuple(axes.values())),
        metrics=metrics,
        trades=axes,
        evidence=evidence,
        results=results,
        refused=tuple(one for one in trained if one.evidence is None),
        notes=notes(one.run for one in trained if one.evidence),
    )


def headlines(evidence: Sequence[Evidence], lines: Sequence[GateLine]) -> tuple[str, ...]:
    """The task's first measure, what mistakes cost, and whatever the gate speaks of."""
    names = [measure.name for measure in evidence[0].measures]
    gated = [name.removeprefix(LIFT) for name in names if any(covers(line, name) for line in lines)]
    wanted = [names[0], *(name for name in names if name == "expected_cost"), *gated]
    return tuple(dict.fromkeys(name for name in wanted if name in names))[:HEADLINES]
