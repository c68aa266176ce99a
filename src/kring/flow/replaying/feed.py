"""A whole history in memory, handed out as it becomes due."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kring.data.check import typed
from kring.errors import DataError
from kring.flow.checking import KNOWN_AT, hide, with_known_at
from kring.flow.cleaning import cleaned
from kring.flow.project import Project
from kring.flow.training.material import TEMPORAL
from kring.record.batch import Batch
from kring.record.decision import Value
from kring.sources import file as source

NEVER: Final = np.iinfo(np.int64).max


@dataclass
class Feed:
    """Rows sorted by decision time. `time` and `known_at` are microseconds UTC (`NEVER` without an
    outcome); `by_known` orders the rows by it and `known_order` are its values in that order. Rows
    before `first` are history: they are never handed out."""

    frame: pl.DataFrame
    target: list[Value]
    time: NDArray[np.int64]
    known_at: NDArray[np.int64]
    by_known: NDArray[np.int64]
    known_order: NDArray[np.int64]
    first: int
    decided: int
    heard: int

    @property
    def n(self) -> int:
        return self.frame.height

    def take_due(self, now: int) -> NDArray[np.int64]:
        """Rows to be decided up to `now` that were not handed out before."""
        until = int(np.searchsorted(self.time, now, side="right"))
        rows = np.arange(self.decided, max(until, self.decided))
        self.decided = max(until, self.decided)
        return rows

    def take_known(self, now: int) -> NDArray[np.int64]:
        """Rows whose outcome became known up to `now`, of those that were decided in this replay."""
        until = int(np.searchsorted(self.known_order, now, side="right"))
        rows = self.by_known[self.heard : max(until, self.heard)]
        self.heard = max(until, self.heard)
        return rows[(rows >= self.first) & (rows < self.decided)]

    def batch(self, rows: NDArray[np.int64]) -> Batch:
        """Raw fields of consecutive rows; times as integer microseconds, dates as days."""
        part = self.frame.slice(int(rows[0]), len(rows))
        return Batch(len(rows), {name: part[name] for name in part.columns})

    def target_values(self, rows: NDArray[np.int64]) -> list[Value]:
        """What turned out to be true of the rows."""
        return [self.target[row] for row in rows.tolist()]


def load_feed(project: Project, *, start: int, end: int) -> Feed:
    """Read and type the whole source, hide identifiers, sort by decision time. `DataError` when
    nothing lies between `start` and `end`."""
    data = project.system.data
    raw = cleaned(project, source.scan(project.folder / data.source))
    try:
        frame = typed(raw, project.contract).collect(engine="streaming")
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"{data.source} can't be read", got=str(error).splitlines()[0][:200], next="check the file"
        ) from error
    frame = frame.sort(data.time, nulls_last=True, maintain_order=True)
    frame = with_known_at(project, hide(project, frame))
    time = frame[data.time].dt.epoch("us").fill_null(NEVER).to_numpy()
    known_at = frame[KNOWN_AT].dt.epoch("us").fill_null(NEVER).to_numpy()
    first = int(np.searchsorted(time, start, side="right"))
    last = int(np.searchsorted(time, end, side="right"))
    if last <= first:
        raise DataError(
            "there is nothing to decide in this span",
            got=f"{frame.height:,} rows, none of them in it",
            next="choose --from and --to within the feed",
        )
    inputs = [
        pl.col(field.name).to_physical() if field.type in TEMPORAL else pl.col(field.name)
        for field in project.contract.fields
        if field.name not in project.known_later
    ]
    by_known = np.argsort(known_at, kind="stable")
    return Feed(
        frame=frame.select(inputs),
        target=frame[data.target].to_list(),
        time=time,
        known_at=known_at,
        by_known=by_known,
        known_order=known_at[by_known],
        first=first,
        decided=first,
        heard=int(np.searchsorted(known_at[by_known], start, side="right")),
    )
