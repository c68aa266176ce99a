"""Joins outcomes to the decisions they belong to, whoever answered, by nothing but the id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kring.metrics.ids import SEQUENCE_BITS
from kring.record.decision import Place


@dataclass(frozen=True)
class Waiting:
    """One frame of decisions whose outcomes may still come, all of one window.

    `outputs` holds what each version said to them, live or in shadow; `truth` what turned out to be
    true, NaN until it is known. All have shape (n,).
    """

    key: int
    n: int
    window: int
    live: str
    truth: NDArray[np.float64]
    outputs: dict[str, NDArray[np.float64]] = field(default_factory=dict)


class Matcher:
    """Holds frames in the order of the log, which is the order of their keys."""

    def __init__(self) -> None:
        self._frames: list[Waiting] = []
        self._windows: dict[int, list[Waiting]] = {}
        self._keys = np.zeros(0, dtype=np.int64)

    def decided(self, place: Place, *, n: int, window: int, live: str) -> Waiting:
        """Remember `n` decisions from `place` on, which belong to the window that starts at `window`."""
        key = place.segment << SEQUENCE_BITS | place.sequence
        waiting = Waiting(key=key, n=n, window=window, live=live, truth=np.full(n, np.nan))
        self._frames.append(waiting)
        self._windows.setdefault(window, []).append(waiting)
        return waiting

    def settle(self, ids: Sequence[bytes], truth: NDArray[np.float64]) -> dict[int, int]:
        """Write each truth to its decision; a later one corrects an earlier one, NaN takes it back.

        Returns by how many the known decisions of each window became more (or fewer); ids that are not
        waiting are passed over.
        """
        settled: dict[int, int] = {}
        if not ids or not self._frames:
            return settled
        low = np.frombuffer(b"".join(ids), dtype=">u8").reshape(-1, 2)[:, 1]
        keys = (low & np.uint64((1 << 62) - 1)).astype(np.int64)
        if len(self._keys) != len(self._frames):
            self._keys = np.array([frame.key for frame in self._frames], dtype=np.int64)
        frames = np.searchsorted(self._keys, keys, side="right") - 1
        for index in np.unique(frames[frames >= 0]).tolist():
            waiting = self._frames[index]
            mine = np.flatnonzero(frames == index)
            rows = keys[mine] - waiting.key
            inside = rows < waiting.n
            rows, values = rows[inside], truth[mine[inside]]
            touched = np.unique(rows)
            before = np.isnan(waiting.truth[touched]).sum()
            waiting.truth[rows] = values
            became = int(before - np.isnan(waiting.truth[touched]).sum())
            settled[waiting.window] = settled.get(waiting.window, 0) + became
        return settled

    def frames(self, window: int) -> list[Waiting]:
        """The frames of one window, in the order of the log."""
        return self._windows.get(window, [])
