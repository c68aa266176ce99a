"""Joins outcomes to the decisions they belong to, whoever answered, by nothing but the id.

Rows lie in columns, together with all others of their window that were asked and answered by the same versions: a
decision takes the bytes of its numbers, and an outcome is found by halving, however many are held.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kring.metrics.ids import SEGMENT_BITS, SEQUENCE_BITS, WRITER_BITS
from kring.record.decision import Place
from kring.watch.growing import Growing
from kring.watch.windows import Counted

LOW: Final = (1 << SEGMENT_BITS + SEQUENCE_BITS) - 1
"""The part of an id that says where in its writer's log a decision lies."""

EVER: Final = 1 << 62
NOBODY: Final = -1
"""The group of a row whose group of people is not known."""


class Rows:
    """Decisions of one window for which the version `live` was asked and `answered_by` answered, in the order in which
    they were heard. Outcomes that became known after `until` (microseconds UTC) do not count any more."""

    def __init__(self, window: int, *, live: str, answered_by: str, until: int) -> None:
        self.window, self.live, self.answered_by, self.until = window, live, answered_by, until
        self.n = 0
        self.changes = 0
        self.is_over = False
        self.counted: dict[str, tuple[int, Counted]] = {}
        self._truth: Growing[np.float64] | None = None
        self._heard = Growing(0, dtype=np.int64)
        self._outputs: dict[str, Growing[np.float64]] = {}
        self._codes: dict[str, Growing[np.int16]] = {}

    @property
    def truth(self) -> NDArray[np.float64]:
        """What turned out to be true, (n, …); NaN until it is known."""
        return np.full(self.n, np.nan) if self._truth is None else self._truth.reach(self.n)

    @property
    def has_outcomes(self) -> bool:
        """Whether any outcome has come."""
        return self._truth is not None

    @property
    def versions(self) -> Collection[str]:
        """Who said something to these rows, live or in shadow."""
        return self._outputs.keys()

    @property
    def columns(self) -> Collection[str]:
        """The protected columns by which these rows belong to groups of people."""
        return self._codes.keys()

    def outputs(self, version: str) -> NDArray[np.float64]:
        """What the version said, (n, …); NaN where it was not asked or had no answer."""
        said = self._outputs.get(version)
        return np.full(self.n, np.nan) if said is None else said.reach(self.n)

    def codes(self, column: str) -> NDArray[np.int16]:
        """The group of each row by a protected column, (n,); `NOBODY` where it is not known."""
        return self._codes[column].reach(self.n)

    def add(self, n: int) -> int:
        """Room for `n` decisions more; where they begin."""
        self.n += n
        self.changes += 1
        return self.n - n

    def say(self, version: str, start: int, said: NDArray[np.float64]) -> None:
        """What a version said, (k, …), to the rows from `start` on."""
        if version not in self._outputs:
            self._outputs[version] = Growing(np.nan, dtype=np.float64, shape=said.shape[1:])
        self._outputs[version].put(start, said)
        self.changes += 1

    def group(self, column: str, start: int, codes: NDArray[np.int16]) -> None:
        """The groups, (k,), of the rows from `start` on."""
        if column not in self._codes:
            self._codes[column] = Growing(NOBODY, dtype=np.int16)
        self._codes[column].put(start, codes)

    def settle(self, rows: NDArray[np.intp], truth: NDArray[np.float64], *, at: int) -> int:
        """Write each truth (k, …), known at `at`, to its row (k,), unless a later one is known. Returns by how many the
        known ones became more, or fewer."""
        if at > self.until:
            return 0
        if self._truth is None:
            self._truth = Growing(np.nan, dtype=np.float64, shape=truth.shape[1:])
        heard, known = self._heard.reach(self.n), self._truth.reach(self.n)
        newer = heard[rows] <= at
        rows, truth = rows[newer], truth[newer]
        touched = np.unique(rows)
        before = _missing(known[touched])
        heard[rows], known[rows] = at, truth
        self.changes += 1
        return before - _missing(known[touched])

    def clear(self) -> None:
        """Let go of everything, for whoever still holds on to some of these rows."""
        self.is_over = True
        self._truth, self._heard = None, Growing(0, dtype=np.int64)
        self._outputs.clear()
        self._codes.clear()
        self.counted.clear()


class Waiting(NamedTuple):
    """`n` of `rows`, from `start` on: one frame of decisions whose outcomes may still come."""

    rows: Rows
    start: int
    n: int

    @property
    def truth(self) -> NDArray[np.float64]:
        """What turned out to be true, (n, …)."""
        return self.rows.truth[self.start : self.start + self.n]


class Line:
    """Where the decisions of one writer lie, in the order of its log, which is the order of their keys. Those that
    follow one another in the log and in their rows are one stretch."""

    def __init__(self) -> None:
        self._keys = Growing(0, dtype=np.int64)
        self._stretches = Growing(0, dtype=np.int32, shape=(3,))
        self._next = (-1, -1, -1)

    def add(self, key: int, *, n: int, slot: int, start: int) -> None:
        """`n` decisions from `key` on lie in the rows `slot` from `start` on."""
        at = len(self._keys)
        if self._next == (key, slot, start):
            self._stretches.values[at - 1, 0] += n
        else:
            self._keys.reach(at + 1)[at] = key
            self._stretches.reach(at + 1)[at] = n, slot, start
        self._next = key + n, slot, start + n

    def find(self, keys: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
        """For each key, (k,), the slot and the row of its decision; -1 where there is none."""
        known, stretches = self._keys.values, self._stretches.values
        if not len(known):
            return np.full(len(keys), -1, dtype=np.int32), np.zeros(len(keys), dtype=np.intp)
        at = np.searchsorted(known, keys, side="right") - 1
        n, slots, starts = stretches[at].T
        beyond = keys - known[at]
        return np.where((at >= 0) & (beyond < n), slots, -1), starts + beyond

    def drop(self, slots: Collection[int]) -> None:
        """Let go of what lies in these slots."""
        kept = ~np.isin(self._stretches.values[:, 1], [*slots])
        self._keys.keep(kept)
        self._stretches.keep(kept)
        self._next = (-1, -1, -1)


class Matcher:
    """Holds the rows of every writer, whatever order the writers are heard in. Outcomes count that became known within
    `lasts_us` of the beginning of their window."""

    def __init__(self, *, lasts_us: int = EVER) -> None:
        self._lasts_us = lasts_us
        self._lines: dict[int, Line] = {}
        self._slots: dict[int, Rows] = {}
        self._windows: dict[int, dict[tuple[str, str], int]] = {}
        self._made = 0

    def decided(self, place: Place, *, n: int, window: int, live: str, answered_by: str = "") -> Waiting:
        """Remember `n` decisions from `place` on, which belong to the window that starts at `window`."""
        groups = self._windows.setdefault(window, {})
        slot = groups.get((live, answered_by))
        if slot is None:
            slot = groups[live, answered_by] = self._made
            until = window + self._lasts_us
            self._slots[slot] = Rows(window, live=live, answered_by=answered_by, until=until)
            self._made += 1
        rows = self._slots[slot]
        start = rows.add(n)
        if place.writer not in self._lines:
            self._lines[place.writer] = Line()
        key = place.segment << SEQUENCE_BITS | place.sequence
        self._lines[place.writer].add(key, n=n, slot=slot, start=start)
        return Waiting(rows, start, n)

    def settle(self, ids: Sequence[bytes], truth: NDArray[np.float64], *, at: int = 0) -> dict[int, int]:
        """Write each truth, known at `at`, to its decision; one that became known later corrects one known earlier, in
        whatever order they are heard, and NaN takes it back.

        Returns by how many the known decisions of each window became more (or fewer); ids that are not
        waiting, and outcomes that come too late for their window, are passed over.
        """
        settled: dict[int, int] = {}
        if not ids:
            return settled
        halves = np.frombuffer(b"".join(ids), dtype=">u8").reshape(-1, 2).astype(np.uint64)
        writers = (halves[:, 0] & np.uint64((1 << WRITER_BITS) - 1)).astype(np.int64)
        keys = (halves[:, 1] & np.uint64(LOW)).astype(np.int64)
        for writer in np.unique(writers).tolist():
            line = self._lines.get(writer)
            if line is None:
                continue
            mine = np.flatnonzero(writers == writer)
            slots, rows = line.find(keys[mine])
            for slot in np.unique(slots[slots >= 0]).tolist():
                inside, group = slots == slot, self._slots[slot]
                became = group.settle(rows[inside], truth[mine[inside]], at=at)
                settled[group.window] = settled.get(group.window, 0) + became
        return settled

    def forget(self, before: int) -> list[Rows]:
        """Let go of the rows of windows that began before `before` (microseconds UTC); outcomes that come for them
        are passed over. Returns them, in the order of their windows."""
        over = sorted(window for window in self._windows if window < before)
        slots = [slot for window in over for slot in self._windows.pop(window).values()]
        for line in self._lines.values() if slots else ():
            line.drop(slots)
        return [self._slots.pop(slot) for slot in slots]

    def rows(self, window: int) -> list[Rows]:
        """The rows of one window, by whom they were asked and answered."""
        return [self._slots[slot] for slot in self._windows.get(window, {}).values()]


def _missing(truth: NDArray[np.float64]) -> int:
    """How many of the rows (k, …) have no truth."""
    return int(np.isnan(truth if truth.ndim == 1 else truth[:, 0]).sum())
