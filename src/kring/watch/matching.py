"""Joins outcomes to the decisions they belong to, whoever answered, by nothing but the id."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kring.metrics.ids import SEGMENT_BITS, SEQUENCE_BITS, WRITER_BITS
from kring.record.decision import Place

LOW: Final = (1 << SEGMENT_BITS + SEQUENCE_BITS) - 1
"""The part of a key that says where in its writer's log a frame lies."""


@dataclass(frozen=True)
class Waiting:
    """One frame of decisions whose outcomes may still come, all of one window; `key` is its own among all writers'.

    `outputs` holds what each version said to them, live or in shadow; `truth` what turned out to be
    true, NaN until it is known, and `heard` when it became known; `codes` the group of each protected column. All have
    shape (n,).
    """

    key: int
    n: int
    window: int
    live: str
    truth: NDArray[np.float64]
    heard: NDArray[np.int64]
    outputs: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    codes: dict[str, NDArray[np.int16]] = field(default_factory=dict)


class Line:
    """The frames of one writer, in the order of its log, which is the order of their keys."""

    def __init__(self) -> None:
        self.frames: list[Waiting] = []
        self._keys = np.zeros(0, dtype=np.int64)

    def places(self, keys: NDArray[np.int64]) -> NDArray[np.intp]:
        """For each key, (n,), the place of the last frame that does not begin after it; -1 where there is none."""
        if len(self._keys) != len(self.frames):
            self._keys = np.array([frame.key & LOW for frame in self.frames], dtype=np.int64)
        return np.searchsorted(self._keys, keys, side="right") - 1

    def drop(self, keys: Set[int]) -> None:
        """Let go of the frames with these keys."""
        self.frames = [frame for frame in self.frames if frame.key not in keys]
        self._keys = np.zeros(0, dtype=np.int64)


class Matcher:
    """Holds the frames of every writer, whatever order the writers are heard in."""

    def __init__(self) -> None:
        self._lines: dict[int, Line] = {}
        self._windows: dict[int, list[Waiting]] = {}

    def decided(self, place: Place, *, n: int, window: int, live: str) -> Waiting:
        """Remember `n` decisions from `place` on, which belong to the window that starts at `window`."""
        key = (place.writer << SEGMENT_BITS | place.segment) << SEQUENCE_BITS | place.sequence
        waiting = Waiting(
            key=key, n=n, window=window, live=live, truth=np.full(n, np.nan), heard=np.zeros(n, dtype=np.int64)
        )
        self._lines.setdefault(place.writer, Line()).frames.append(waiting)
        self._windows.setdefault(window, []).append(waiting)
        return waiting

    def settle(self, ids: Sequence[bytes], truth: NDArray[np.float64], *, at: int = 0) -> dict[int, int]:
        """Write each truth, known at `at`, to its decision; one that became known later corrects one known earlier, in
        whatever order they are heard, and NaN takes it back.

        Returns by how many the known decisions of each window became more (or fewer); ids that are not
        waiting are passed over.
        """
        settled: dict[int, int] = {}
        if not ids:
            return settled
        halves = np.frombuffer(b"".join(ids), dtype=">u8").reshape(-1, 2).astype(np.uint64)
        writers = (halves[:, 0] & np.uint64((1 << WRITER_BITS) - 1)).astype(np.int64)
        keys = (halves[:, 1] & np.uint64(LOW)).astype(np.int64)
        for writer in np.unique(writers).tolist():
            line = self._lines.get(writer)
            if line is not None:
                mine = np.flatnonzero(writers == writer)
                _settle(line, keys[mine], truth[mine], settled, at=at)
        return settled

    def forget(self, before: int) -> list[Waiting]:
        """Let go of the frames of windows that began before `before` (microseconds UTC); outcomes that come for them
        are passed over. Returns them."""
        gone = [frame for window in [*self._windows] if window < before for frame in self._windows.pop(window)]
        keys = {frame.key for frame in gone}
        for line in self._lines.values() if keys else ():
            line.drop(keys)
        return gone

    def frames(self, window: int) -> list[Waiting]:
        """The frames of one window, in the order of the log."""
        return self._windows.get(window, [])


def _settle(
    line: Line, keys: NDArray[np.int64], truth: NDArray[np.float64], settled: dict[int, int], *, at: int
) -> None:
    """The outcomes of one writer's decisions."""
    frames = line.places(keys)
    for index in np.unique(frames[frames >= 0]).tolist():
        waiting = line.frames[index]
        mine = np.flatnonzero(frames == index)
        rows = keys[mine] - (waiting.key & LOW)
        inside = np.flatnonzero(rows < waiting.n)
        inside = inside[waiting.heard[rows[inside]] <= at]
        rows, values = rows[inside], truth[mine[inside]]
        waiting.heard[rows] = at
        touched = np.unique(rows)
        before = np.isnan(waiting.truth[touched]).sum()
        waiting.truth[rows] = values
        became = int(before - np.isnan(waiting.truth[touched]).sum())
        settled[waiting.window] = settled.get(waiting.window, 0) + became
