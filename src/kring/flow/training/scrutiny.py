"""What a careful colleague asks for, on the held-out rows and the exported chain, joined to a run's evidence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from kring.contracts.grammar import fields_of, parse
from kring.data.profile import private
from kring.decide.policy import judge_of, row_masks
from kring.decide.prepare import frame_preparer
from kring.decide.prepare_rows import row_preparer
from kring.errors import Unavailable
from kring.experiment.behaviours import Tryout, run_behaviours
from kring.experiment.fairness import Grouped, fairness_of, grouped
from kring.experiment.held_out import HeldOut, sampled
from kring.experiment.robustness import MOST_ROWS, robustness_of, upsets
from kring.experiment.slices import declared_slices, found_slices
from kring.experiment.suspects import suspects_of
from kring.experiment.worst import worst_slices
from kring.flow import adapters
from kring.flow.project import Project
from kring.flow.scrutiny_asked import measured_beyond
from kring.flow.training.build import Built, Session, names_of
from kring.flow.training.material import select
from kring.frame.behaviours import Subject, read_behaviours
from kring.record.batch import Batch, Column
from kring.record.behaviour import Behaviours, Inputs
from kring.record.contract import LogicalType
from kring.record.evidence import Evidence, Measure
from kring.record.prepare import Prepared
from kring.record.scrutiny import Slice, Suspects
from kring.record.system import Candidate
from kring.runtimes.chain import OpenChain, open_chain

DTYPES: Final[dict[LogicalType, type[pl.DataType]]] = {
    "number": pl.Float64,
    "integer": pl.Int64,
    "string": pl.String,
    "boolean": pl.Boolean,
    "timestamp": pl.Int64,
    "date": pl.Int64,
}
"""Raw fields as a held-out batch has them: times in microseconds, dates in days."""


def scrutinised(session: Session, candidate: Candidate, built: Built, evidence: Evidence) -> Evidence:
    """`evidence` with slices, groups, robustness, behaviour tests and suspected outcomes, and their measures.

    What the task has no rates or losses for is left out, and so are suspects without folds. `ConfigError` for
    behaviour tests that speak of labels which the target does not have. `evidence` itself where the training is
    not thorough and the gate speaks of none of this.
    """
    if not (session.thorough or gates_scrutiny(session.project)):
        return evidence
    with closing(Chained(session, candidate, built)) as chain:
        return _scrutinised(session, candidate, built, evidence, chain=chain)


def _scrutinised(
    session: Session, candidate: Candidate, built: Built, evidence: Evidence, *, chain: Chained
) -> Evidence:
    behaviours = behaviours_of(session.project, labels=session.material.policy.labels)
    held, rows = held_out(session, built, evidence)
    some = sampled(np.arange(held.rows), most=MOST_ROWS, seed=held.seed)
    has_losses = len(held.losses) == held.rows > 0
    worst, slices = _slices(session, held, rows) if has_losses else ([], [])
    fair, groups = fairness_of(
        protected_of(session, rows),
        held.task.rates(held.truth, held.outputs, held.policy),
        groups=held.groups,
        draws=held.draws,
        seed=held.seed,
    )
    changed = upsets(
        raw_frame(session, rows[some], fields=chain.fields), fields=chain.fields, types=chain.types, seed=held.seed
    )
    robust, shown = robustness_of(held.at(some), changed, answer=chain.outputs) if has_losses else ([], [])
    behaved, tested = run_behaviours(behaviours, tryout_of(session, held, chain)) if behaviours else ([], [])
    return msgspec.structs.replace(
        evidence,
        measures=(*evidence.measures, *worst, *fair, *robust, *behaved),
        slices=tuple(slices),
        by_group=tuple(groups),
        robustness=tuple(shown),
        behaviours=tuple(tested),
        suspects=_suspects(session, candidate),
    )


def gates_scrutiny(project: Project) -> bool:
    """Whether a line of the gate speaks of any of this."""
    return any(
        measured_beyond(line, project.system, project.contract, project.task) for line in project.system.gate.lines
    )


def held_out(session: Session, built: Built, evidence: Evidence) -> tuple[HeldOut, NDArray[np.intp]]:
    """The rows with an outcome and an answer, and their places among all held-out rows."""
    material, task = session.material, session.project.task
    rows = np.flatnonzero(task.known(material.test_truth) & task.answered(built.outputs))
    held = HeldOut(
        task=task,
        truth=material.test_truth[rows],
        outputs=built.outputs[rows],
        groups=material.groups[rows],
        policy=material.policy,
        first=first_of(session.project, evidence),
        draws=session.draws,
        seed=session.seed,
    )
    return held, rows


def first_of(project: Project, evidence: Evidence) -> Measure | None:
    """The task's first metric with a direction, where the rows define it."""
    name = next((name for name, better in project.task.metrics.items() if better), "")
    return next((measure for measure in evidence.measures if measure.name == name), None)


def behaviours_of(project: Project, *, labels: Sequence[str]) -> Behaviours | None:
    """The behaviour tests of the system, held against its contract and the target's `labels`."""
    name = project.system.evidence.behaviours
    if not name:
        return None
    subject = Subject(project.contract, project.known_later, project.task.output, labels)
    return read_behaviours(project.folder / Path(name), subject=subject)


def tryout_of(session: Session, held: HeldOut, chain: Chained) -> Tryout:
    """The chain and the held-out rows, of which no value of a personal column or an identifier is shown."""
    hidden = [field.name for field in session.project.contract.fields if private(field)]
    raw = session.material.test_raw
    return Tryout(held.task, chain.answer, raw, policy=held.policy, seed=held.seed, hidden=hidden, judge=chain.judged)


def protected_of(session: Session, rows: NDArray[np.intp]) -> dict[str, Grouped]:
    """The groups of every protected column, declared in kring.toml or in the contract; a candidate need not see it."""
    project, raw = session.project, session.material.test_raw
    fields = (field.name for field in project.contract.fields if field.protected)
    names = [name for name in dict.fromkeys((*project.system.data.protected, *fields)) if name in raw.columns]
    frame = raw_frame(session, rows, fields=names)
    return {name: grouped(frame[name], type=project.types[name]) for name in names}


def raw_frame(session: Session, rows: NDArray[np.intp], *, fields: Sequence[str]) -> pl.DataFrame:
    """Some held-out rows as raw fields."""
    raw, types = session.material.test_raw, session.project.types
    return pl.DataFrame(
        [pl.Series(name, raw.columns[name], dtype=DTYPES[types[name]], strict=False).gather(rows) for name in fields]
    )


class Chained:
    """A candidate's exported chain, asked with raw fields."""

    def __init__(self, session: Session, candidate: Candidate, built: Built) -> None:
        self.prepared: Prepared = session.material.prepared_for(candidate)
        self.types = session.project.types
        self.fields = tuple(
            sorted({name for one in self.prepared.columns for name in fields_of(parse(one.expression))})
        )
        self._task = session.project.task
        self._policy = session.material.policy
        self._chain: OpenChain = open_chain(built.chain, built.files, open_index=adapters.open_index)
        self._by_rows = row_preparer(self.prepared, types=self.types)
        self._by_columns = frame_preparer(self.prepared, types=self.types)
        pinned = session.material.pinned_for(self.prepared)
        kinds = {column.name: column.kind for column in pinned.columns}
        self._judge = judge_of(self._policy, row_masks(self._policy, types=self.types, kinds=kinds))
        self._pinned = row_preparer(pinned, types=self.types)
        one = _part(session.material.test_batch, 0, 1)
        self._silent = _silence(self._chain.answer(select(one, names_of(self.prepared))))

    def close(self) -> None:
        self._chain.close()

    def outputs(self, frame: pl.DataFrame) -> NDArray[np.float64]:
        """The answers to a frame of raw fields, as the task reads them."""
        return self._task.outputs(self._answer(self._by_columns(frame)), self._policy)

    def answer(self, rows: Sequence[Inputs]) -> Batch:
        """The answers to rows of raw fields, as columns; a field that is left out is missing."""
        raw = Batch(len(rows), {name: [row.get(name) for row in rows] for name in self.fields})
        return self._answer(self._by_rows(raw))

    def judged(self, rows: Sequence[Inputs], outputs: Batch) -> Batch:
        """What business rules and abstention make of decided answers; there is no outlier score yet."""
        raw = Batch(len(rows), {name: [row.get(name) for row in rows] for name in self.types})
        return self._judge(raw, self._pinned(raw), outputs).outputs

    def _answer(self, batch: Batch) -> Batch:
        return answer_rows(self._chain.answer, batch, silent=self._silent)


def answer_rows(answer: Callable[[Batch], Batch], batch: Batch, *, silent: Batch) -> Batch:
    """What `answer` says. Where it fails as a whole (`Unavailable`), the rows that it fails on are found by halving
    and are answered by `silent`, one row without an answer: a request would have fallen back."""
    try:
        return answer(batch)
    except Unavailable:
        if batch.n == 1:
            return silent
        half = batch.n // 2
        parts = (_part(batch, 0, half), _part(batch, half, batch.n))
        return _joined(*(answer_rows(answer, part, silent=silent) for part in parts))


def _part(batch: Batch, first: int, last: int) -> Batch:
    return Batch(last - first, {name: np.asarray(column)[first:last] for name, column in batch.columns.items()})


def _joined(one: Batch, other: Batch) -> Batch:
    both = {name: [np.asarray(column), np.asarray(other.columns[name])] for name, column in one.columns.items()}
    return Batch(one.n + other.n, {name: np.concatenate(parts) for name, parts in both.items()})


def _silence(answered: Batch) -> Batch:
    """One row without an answer, in the columns of one that has one."""
    columns: dict[str, Column] = {}
    for name, column in answered.columns.items():
        values = np.asarray(column)
        nothing = np.nan if values.dtype.kind == "f" else None
        columns[name] = np.full((1, *values.shape[1:]), nothing, dtype=values.dtype)
    return Batch(1, columns)


def _slices(session: Session, held: HeldOut, rows: NDArray[np.intp]) -> tuple[list[Measure], list[Slice]]:
    plan, material = session.project.system.evidence, session.material
    batch = Batch(len(rows), {name: np.asarray(one)[rows] for name, one in material.test_batch.columns.items()})
    kinds = {column.name: column.kind for column in material.prepared.columns}
    losses = held.losses
    return worst_slices(
        held,
        declared=declared_slices(plan.slices, batch, kinds=kinds, losses=losses, groups=held.groups),
        found=found_slices(batch, losses=losses, groups=held.groups, most=plan.max_slices, seed=held.seed),
    )


def _suspects(session: Session, candidate: Candidate) -> Suspects | None:
    """What the answers of the folds, where there are any, say about the rows to learn from."""
    outputs = session.out_of_fold.get(candidate.name)
    if outputs is None:
        return None
    material = session.material
    return suspects_of(
        session.project.task,
        truth=material.train_truth,
        outputs=outputs,
        policy=material.policy,
        keys=material.train_keys,
    )
