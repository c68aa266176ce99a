"""`kring brief`: what live says, and a folder in which the next experiment begins."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kring.errors import DataError
from kring.experiment.slices import found_slices
from kring.flow import history
from kring.flow.briefing.folder import Material, write_folder
from kring.flow.briefing.live_rows import LiveRows, live_rows
from kring.flow.deciding import frame_reader, open_answerers
from kring.flow.project import Project
from kring.flow.scoring.score import live_pointer
from kring.flow.snapshots import LATEST, find
from kring.metrics.ids import decision_id
from kring.record.alarm import Alarm
from kring.record.batch import Batch
from kring.record.brief import Brief, Disagreement, Weak
from kring.record.operator import OperatorState
from kring.record.version import Policy

MOST_WEAK: Final = 5
MOST_SHOWN: Final = 20
SEED: Final = 0


def brief(project: Project, *, out: Path | None = None) -> Brief:
    """What was seen of the live version in the span of `watch.quality_over` that ends now; with `out`, a new folder
    that is a system to go on from: `kring go` there is the next experiment.

    `NotFound` without a live version or a snapshot, `DataError` for a folder that is there.
    """
    _require_new(out)
    pointer = live_pointer(project)
    end = project.clock.now()
    start = max(0, end - project.system.watch.quality_us)
    newest = find(project, LATEST)
    opened = open_answerers(project, pointer.live)
    try:
        policy = opened.answerer.policy
        rows = live_rows(project, version=pointer.live, start=start, end=end)
        losses = losses_of(project, rows, policy)
        prepared = opened.answerer.prepare(frame_reader(project)(rows.batch())) if rows.n else Batch(0, {})
    finally:
        opened.answerer.runtime.close()
        opened.baseline.runtime.close()
    others, compared = disagreements(project, rows, policy)
    material = Material(newest, rows, losses, others)
    with project.ledger() as ledger:
        state = history.operator_state(ledger)
    found = Brief(
        system=project.system.name,
        version=pointer.live,
        start=start,
        end=end,
        decisions=rows.n,
        outcomes=int((~np.isnan(losses)).sum()),
        weak=weak_of(prepared, losses),
        alarms=open_alarms(state),
        disagreements=others,
        compared=compared,
        failing=len(material.failing(project, policy)),
        snapshot=newest.id,
        folder=str(out) if out is not None else "",
    )
    if out is not None:
        write_folder(project, policy, material, found, out=out)
    return found


def _require_new(out: Path | None) -> None:
    if out is not None and out.exists():
        raise DataError(
            "the folder is there already",
            got=str(out),
            allowed="a folder that is not there yet",
            next="name another one",
            file=str(out),
        )


def losses_of(project: Project, rows: LiveRows, policy: Policy) -> NDArray[np.float64]:
    """How wrong each answer was, (n,); NaN where that is not known."""
    losses = np.full(rows.n, np.nan)
    if not rows.n:
        return losses
    truth, said = rows.truth(project, policy), rows.said(project, policy)
    both = project.task.known(truth) & project.task.answered(said)
    if both.any():
        losses[both] = project.task.losses(truth[both], said[both], policy)
    return losses


def weak_of(prepared: Batch, losses: NDArray[np.float64]) -> tuple[Weak, ...]:
    """The sets of rows that are answered worse than all others, the worst first; none without enough outcomes."""
    known = np.flatnonzero(np.isfinite(losses))
    if len(known) < 2:
        return ()
    columns = {name: np.asarray(column)[known] for name, column in prepared.columns.items()}
    mine = losses[known]
    found = found_slices(
        Batch(len(known), {**columns}), losses=mine, groups=np.arange(len(known)), most=MOST_WEAK, seed=SEED
    )
    return tuple(
        Weak(
            name=each.name,
            rows=int(each.inside.sum()),
            loss=float(mine[each.inside].mean()),
            others=float(mine[~each.inside].mean()),
            chance=each.chance,
        )
        for each in found
    )


def disagreements(project: Project, rows: LiveRows, policy: Policy) -> tuple[tuple[Disagreement, ...], int]:
    """Decisions that others would have made otherwise, those furthest apart first; and how many were compared."""
    if not rows.n:
        return (), 0
    said = rows.said(project, policy)
    found: list[tuple[float, Disagreement]] = []
    compared = 0
    for version, parts in sorted(rows.others.items()):
        for places, batch in parts:
            mine = np.flatnonzero(places >= 0)
            other = project.task.outputs(batch, policy)[mine]
            distance, differs = project.task.apart(said[places[mine]], other, policy)
            compared += len(mine)
            for at in np.flatnonzero(differs & np.isfinite(distance)).tolist():
                row = int(places[mine[at]])
                found.append((float(distance[at]), _disagreement(rows, row, batch, int(mine[at]), version)))
    found.sort(key=lambda each: (-each[0], each[1].decision))
    return tuple(each for _, each in found[:MOST_SHOWN]), compared


def open_alarms(state: OperatorState | None) -> tuple[Alarm, ...]:
    """Those that are not over, drift first."""
    alarms = [one for one in state.alarms if one.state != "resolved"] if state else []
    return tuple(sorted(alarms, key=lambda one: (one.kind not in ("drift", "prediction_drift"), one.at)))


def _disagreement(rows: LiveRows, row: int, batch: Batch, at: int, version: str) -> Disagreement:
    said, other = rows.outputs.get("decision"), batch.columns.get("decision")
    return Disagreement(
        decision=decision_id(rows.ids[row]),
        live=said[row] if said else None,
        other=other[at] if other is not None else None,  # type: ignore[arg-type]
        version=version,
    )
