"""The rows of a snapshot as points: which of them are new, how they lie, and what is learned with and without them."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kring.data import snapshot as snapshots
from kring.data.check import typed
from kring.decide.lookups import as_of, build
from kring.decide.prepare import declare, prepare_frame
from kring.flow import adapters
from kring.flow.checking import KNOWN_AT, hide, with_known_at
from kring.flow.keyed import row_key
from kring.flow.project import Project
from kring.flow.training.material import LOOKED_UP
from kring.metrics.neighbours import Points, scaled
from kring.record.batch import Batch
from kring.record.prepare import Prepared
from kring.record.snapshot import Snapshot
from kring.record.version import Policy
from kring.serve.fallback import rows_of
from kring.sources import file as source

MOST_LEARNED: Final = 20_000
BUILTIN: Final = "linear"
SEED: Final = 0


class Seen(NamedTuple):
    """Rows with a known outcome in the order of the snapshot: prepared, with truth as numbers (n,). `is_new` (n,) are
    those that the snapshot before did not have, or had with another outcome."""

    frame: pl.DataFrame
    before: pl.DataFrame
    batch: Batch
    truth: NDArray[np.float64]
    is_new: NDArray[np.bool_]
    policy: Policy
    prepared: Prepared


def seen_rows(project: Project, snapshot: Snapshot, *, before: Snapshot) -> Seen | None:
    """The rows of `snapshot` beside those of `before`; None where an outcome is not one value."""
    data = project.system.data
    frame, old = (with_known_at(project, snapshots.load(one, folder=project.home.data)) for one in (snapshot, before))
    target = frame[data.target].to_list()
    policy = project.task.policy(project.system.frame, target, positive=data.positive)
    truth = project.task.truth(target, policy)
    if truth.ndim != 1 or not (policy.labels or policy.output == "value"):
        return None
    looked_up = {spec.name: LOOKED_UP + spec.name for spec in project.system.lookups}
    for spec in project.system.lookups:
        history = as_of(spec, frame, known_at=KNOWN_AT, time=data.time)
        frame = frame.with_columns(history.alias(looked_up[spec.name]))
    prepared = prepared_from(project, frame)
    batch = prepare_frame(prepared, frame, types=project.types, as_of=looked_up)
    known = np.flatnonzero(project.task.known(truth))
    is_new = new_rows(project, frame, old)
    return Seen(frame, old, rows_of(batch, known), truth[known], is_new[known], policy, prepared)


def prepared_from(project: Project, frame: pl.DataFrame) -> Prepared:
    """The prepared columns, with lookups as `frame` gives them when all of it is known."""
    columns = declare(project.system.prepare, project.contract, project.system.lookups, forbidden=project.known_later)
    cutoff = int(np.iinfo(np.int64).max)
    tables = tuple(build(spec, frame, known_at=KNOWN_AT, cutoff=cutoff) for spec in project.system.lookups)
    return Prepared(columns=columns, tables=tables)


def new_rows(project: Project, frame: pl.DataFrame, before: pl.DataFrame) -> NDArray[np.bool_]:
    """The rows of `frame` (n,) that `before` does not have with the same outcome."""
    names = [*row_key(project), project.system.data.target]
    known = before.select(names).unique().with_columns(pl.lit(value=True).alias("kring.before"))
    joined = frame.select(names).join(known, on=names, how="left", nulls_equal=True, maintain_order="left")
    return joined["kring.before"].is_null().to_numpy()


def points_of(seen: Seen) -> Points:
    """The rows as points, in scales of those that are not new."""
    kinds = {column.name: column.kind for column in seen.prepared.columns}
    numbers = [
        np.asarray(seen.batch.columns[name], dtype=np.float64) for name, kind in kinds.items() if kind == "number"
    ]
    words = [np.asarray(seen.batch.columns[name]) for name, kind in kinds.items() if kind == "category"]
    table = np.stack(numbers, axis=1) if numbers else np.zeros((seen.batch.n, 0))
    codes = [np.unique(column, return_inverse=True)[1].astype(np.int64) for column in words]
    like = table[~seen.is_new] if (~seen.is_new).any() else table
    return Points(
        numbers=scaled(table, like=like),
        codes=np.stack(codes, axis=1) if codes else np.zeros((seen.batch.n, 0), dtype=np.int64),
        truth=seen.truth,
    )


def trusted_losses(project: Project, seen: Seen) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Losses on the rows of `learn.trusted`, (n,) each: of a model of ours that learned without the new rows, and of
    one that learned with them. `DataError` for a file that is no such table, `CandidateError` when nothing can be
    learned."""
    task, data = project.task, project.system.data
    feed = typed(source.scan(project.folder / project.system.learn.trusted), project.contract).collect()
    frame = hide(project, feed)
    truth = task.truth(frame[data.target].to_list(), seen.policy)
    known = np.flatnonzero(task.known(truth))
    losses = []
    for rows, history in ((np.flatnonzero(~seen.is_new), seen.before), (np.arange(seen.batch.n), seen.frame)):
        prepared = prepared_from(project, history)
        asked = rows_of(prepare_frame(prepared, frame, types=project.types), known)
        losses.append(task.losses(truth[known], learned(seen, thinned(rows), asked), seen.policy))
    return losses[0], losses[1]


def learned(seen: Seen, rows: NDArray[np.intp], asked: Batch) -> NDArray[np.float64]:
    """What a model of ours that learned from `rows` answers."""
    library = adapters.framework(BUILTIN)
    made = library.builtin(BUILTIN, output=seen.policy.output, columns=seen.prepared.columns, params={}, seed=SEED)
    labels = len(seen.policy.labels)
    fitted = library.fit(made, rows_of(seen.batch, rows), seen.truth[rows], labels=labels if labels > 2 else 0)
    return library.predict(fitted, asked)


def thinned(rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """The newest 20,000 of the rows."""
    return rows[-MOST_LEARNED:]
