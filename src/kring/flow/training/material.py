"""What candidates are fitted and measured on: one snapshot, split, prepared, with its truth."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kring.contracts.grammar import fields_of, lookups_of, parse
from kring.data import snapshot as snapshots
from kring.decide.lookups import as_of, build
from kring.decide.prepare import declare, prepare_frame
from kring.errors import CandidateError
from kring.experiment.evidence import groups_of
from kring.experiment.folds import Rows
from kring.experiment.leaks import find_leaks
from kring.experiment.split import micros, split
from kring.flow.checking import KNOWN_AT, with_known_at
from kring.flow.policy_asked import fields_read, pinned_policy
from kring.flow.project import Project
from kring.flow.training.references import input_references
from kring.record.batch import Batch
from kring.record.drift import References
from kring.record.prepare import Prepared
from kring.record.run import SplitPart
from kring.record.snapshot import Snapshot
from kring.record.system import Candidate
from kring.record.version import Policy

LOOKED_UP = "kring.lookup."
TEMPORAL = ("timestamp", "date")
NEVER = 2**63 - 1


@dataclass(frozen=True)
class Material:
    """Prepared batches of both parts, with truth as numbers. `test_raw` are the same held-out rows
    as raw fields, `groups` what the intervals resample, `train_rows` what folds are made by, `train_keys`
    what people know the rows to learn from by, `references` how their raw fields are spread."""

    prepared: Prepared
    train_batch: Batch
    train_truth: NDArray[np.float64]
    train_rows: Rows
    train_keys: tuple[str, ...]
    references: References
    test_batch: Batch
    test_truth: NDArray[np.float64]
    test_raw: Batch
    groups: NDArray[np.int64]
    group_by: str
    policy: Policy
    parts: tuple[SplitPart, SplitPart]
    split_by: str

    @property
    def cut_text(self) -> str:
        """Which rows were held out."""
        if self.split_by in ("random", "group"):
            return "drawn at random" + (", group by group" if self.split_by == "group" else "")
        if not self.parts[1].last:
            return "from the end of the feed"
        return f"from {datetime.fromtimestamp(self.parts[1].first / 1e6, tz=UTC):%Y-%m-%d %H:%M} UTC"

    def prepared_for(self, candidate: Candidate) -> Prepared:
        """Only the columns and tables that `candidate` uses."""
        wanted = set(candidate.columns)
        if candidate.rule:
            wanted = set(fields_of(parse(candidate.rule, key=f"candidate.{candidate.name}.rule")))
        known = self.names
        if wanted - known:
            raise CandidateError(
                f"candidate {candidate.name} uses columns that are not prepared",
                got=", ".join(sorted(wanted - known)),
                allowed=", ".join(sorted(known)),
                next="declare them under [prepare] in kring.toml",
            )
        return self._only(wanted or known)

    def pinned_for(self, prepared: Prepared) -> Prepared:
        """`prepared`, and beside it the columns that the policy reads."""
        return self._only({column.name for column in prepared.columns} | (set(fields_read(self.policy)) & self.names))

    @property
    def names(self) -> set[str]:
        """What the prepared columns are called."""
        return {column.name for column in self.prepared.columns}

    def _only(self, wanted: Collection[str]) -> Prepared:
        columns = tuple(column for column in self.prepared.columns if column.name in wanted)
        used = {call.name for column in columns for call in lookups_of(parse(column.expression))}
        return Prepared(columns=columns, tables=tuple(table for table in self.prepared.tables if table.name in used))


def gather(project: Project, snapshot: Snapshot) -> Material:
    """Load the pinned snapshot, split it, build the lookups as of the cut, prepare both parts.

    Rows to learn from see lookups as they were when each was decided; held-out rows see the pinned
    tables, exactly as requests will.
    """
    data = project.system.data
    frame = with_known_at(project, snapshots.load(snapshot, folder=project.home.data))
    declared = declare(project.system.prepare, project.contract, project.system.lookups, forbidden=project.known_later)
    for spec in project.system.lookups:
        history = as_of(spec, frame, known_at=KNOWN_AT, time=data.time)
        frame = frame.with_columns(history.alias(LOOKED_UP + spec.name))
    known_at = KNOWN_AT if data.time else ""
    train, test, parts = split(
        frame, time=data.time, known_at=known_at, target=data.target, group=data.group, split=data.split
    )
    cutoff = parts[1].first
    tables = tuple(build(spec, frame, known_at=KNOWN_AT, cutoff=cutoff) for spec in project.system.lookups)
    prepared = Prepared(columns=declared, tables=tables)
    looked_up = {spec.name: LOOKED_UP + spec.name for spec in project.system.lookups}
    policy = project.task.policy(project.system.frame, train[data.target].to_list(), positive=data.positive)
    policy = pinned_policy(project.system, project.contract, policy, columns=declared)
    train_truth = project.task.truth(train[data.target].to_list(), policy)
    train_batch = prepare_frame(prepared, train, types=project.types, as_of=looked_up)
    if train_truth.ndim == 1:
        find_leaks(train_batch, train_truth, labels=len(policy.labels))
    groups, group_by = groups_of(test, group=data.group, time=data.time)
    return Material(
        prepared=prepared,
        train_batch=train_batch,
        train_truth=train_truth,
        train_rows=fold_by(train, time=data.time, known_at=known_at, group=data.group),
        train_keys=row_keys(project, train),
        references=input_references(project, train),
        test_batch=prepare_frame(prepared, test, types=project.types),
        test_truth=project.task.truth(test[data.target].to_list(), policy),
        test_raw=raw_batch(project, test),
        groups=groups,
        group_by=group_by,
        policy=policy,
        parts=parts,
        split_by=data.split.by,
    )


def fold_by(train: pl.DataFrame, *, time: str, known_at: str, group: str) -> Rows:
    """Moments and groups of the rows to learn from. An outcome without a moment was never known."""
    return Rows(
        times=micros(train, time).fill_null(0).to_numpy() if time else None,
        known_at=micros(train, known_at).fill_null(NEVER).to_numpy() if known_at else None,
        groups=groups_of(train, group=group)[0],
    )


def row_keys(project: Project, frame: pl.DataFrame) -> tuple[str, ...]:
    """The contract's key of each row, else its subject and time, else its place in `frame`; nothing personal."""
    data = project.system.data
    personal = {field.name for field in project.contract.fields if field.personal and not field.identifier}
    names = [field.name for field in project.contract.fields if field.primary_key]
    names = names or [name for name in (data.subject, data.time if data.subject else "") if name]
    if not names or personal & set(names):
        return tuple(f"row {number + 1}" for number in range(frame.height))
    texts = pl.concat_str([pl.col(name).cast(pl.String).fill_null("?") for name in names], separator=" ")
    return tuple(frame.select(texts.alias("key"))["key"].to_list())


def raw_batch(project: Project, frame: pl.DataFrame) -> Batch:
    """The fields that are known when a decision is made, as lists; times as integer microseconds, dates
    as days since 1970."""
    columns = {
        field.name: (frame[field.name].to_physical() if field.type in TEMPORAL else frame[field.name]).to_list()
        for field in project.contract.fields
        if field.name not in project.known_later
    }
    return Batch(frame.height, dict(columns))


def select(batch: Batch, names: Sequence[str]) -> Batch:
    """Some of the columns, in the given order."""
    return Batch(batch.n, {name: batch.columns[name] for name in names})
