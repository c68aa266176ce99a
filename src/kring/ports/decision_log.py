"""The log of decisions and outcomes: what was acknowledged is never lost (law 1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from typing import Protocol

import msgspec

from kring.record.decision import Closed, Decisions, Outcomes, PackedDecisions, Place
from kring.record.event import Segment
from kring.record.exposure import Exposure


class Logged(msgspec.Struct, frozen=True):
    """One frame of the log: its record, the place of its first row, and the cursor after it."""

    place: Place
    record: Decisions | Outcomes | Closed | Exposure
    cursor: tuple[int, int]


class DecisionLog(Protocol):
    """One writer's log. Cursors are (segment, byte offset)."""

    @property
    def writer(self) -> int:
        """Its number, which stands in the ids of its decisions."""
        ...

    def append(self, record: Decisions | PackedDecisions | Outcomes | Closed | Exposure) -> Place:
        """Buffer one frame; packed decisions are read again as plain ones. Returns the place of its first row;
        the ids of its decisions follow from it (`kring.metrics.ids`), sequence by sequence. What is said
        of decisions afterwards takes up no sequences, nor do exposures. Nothing is acknowledged before `commit` has
        returned."""
        ...

    def commit(self) -> None:
        """Write and fsync all that is buffered: one group. After `NoRoom` the failed group was cut off again, none
        of it will ever be read, and new records may be tried. After anything else the log is read-only: this call and
        every later one that writes raises `ReadOnly`, and only the next opening knows what of the group there is."""
        ...

    def read(self, after: tuple[int, int] = (0, 0)) -> Iterator[Logged]:
        """Committed frames after a cursor, in order. Damage in the middle of a segment is an
        `IntegrityError` that names the segment and offset; a torn tail is the end."""
        ...

    def find(self, id: str) -> tuple[Decisions, int]:
        """The decisions that hold this id and its row number in them, without an index.
        `NotFound` when the id is not in this log."""
        ...

    def cursor(self, since: int | None = None) -> tuple[int, int]:
        """The end of what is committed; with `since` (microseconds UTC) a cursor before the first committed frame of
        that moment or a later one."""
        ...

    def seal(self) -> list[Segment]:
        """Commit, close the current segment unless it is empty, and describe every complete segment,
        in order; whoever asks compares their ids with those it has heard of."""
        ...

    def close(self) -> None:
        """Commit and close. Closing twice is allowed."""
        ...


class DecisionHistory(Protocol):
    """What all writers of one log have put on record, for reading only."""

    def read(self, after: Mapping[int, tuple[int, int]] = ..., *, until: int | None = None) -> Iterator[Logged]:
        """Frames after a cursor for each writer (none: from the beginning), each writer's in its own order, together
        by their moments. `cursors[logged.place.writer] = logged.cursor` goes on from a frame.

        `until` (microseconds UTC) stops each writer before its first frame of a later moment. Whoever follows a log
        that is being written asks until the moment at which it began to read: then nothing is read before what it
        refers to, though it lie with another writer."""
        ...

    def find(self, id: str) -> tuple[Decisions, int]:
        """The decisions that hold this id and its row number in them. `NotFound` when the id is not in this log."""
        ...

    def outcomes(self, id: str) -> list[tuple[Outcomes, int]]:
        """Every outcome that any writer has recorded of the decision, with its row, by the moments at which they
        became known, else in the order of the log: the last one counts. `NotFound` for what is no decision's id."""
        ...

    def outcomes_of(self, ids: Set[bytes]) -> list[tuple[Outcomes, int]]:
        """As `outcomes`, of several decisions at once, each given by the 16 bytes of its id."""
        ...

    def closed(self, id: str) -> tuple[Closed, int] | None:
        """How the stream of the decision ended, with its row, as the writer that opened it recorded; None when it
        did not. `NotFound` for what is no decision's id."""
        ...
