"""Columns that are added to at their end."""

from __future__ import annotations

from typing import Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Kind = TypeVar("Kind", bound=np.generic)

LEAST: Final = 64
SPARE: Final = 8
"""There is room for one row in so many more: adding one costs the same however many there are."""


class Growing(Generic[Kind]):
    """Rows of one kind and of one `shape` each, in one piece; those that nobody has put hold `fill`."""

    def __init__(self, fill: float, *, dtype: type[Kind], shape: tuple[int, ...] = ()) -> None:
        self._fill = fill
        self._room: NDArray[Kind] = np.full((0, *shape), fill, dtype=dtype)
        self._n = 0

    def __len__(self) -> int:
        return self._n

    @property
    def values(self) -> NDArray[Kind]:
        """All rows, (n, …), as they lie there; to be kept no longer than until the next one is put."""
        return self._room[: self._n]

    def reach(self, n: int) -> NDArray[Kind]:
        """The first `n` rows, (n, …), which are there afterwards."""
        if n > len(self._room):
            more = max(LEAST, n + n // SPARE) - len(self._room)
            spare = np.full((more, *self._room.shape[1:]), self._fill, dtype=self._room.dtype)
            self._room = np.concatenate([self._room, spare])
        self._n = max(self._n, n)
        return self._room[:n]

    def put(self, start: int, values: NDArray[Kind]) -> None:
        """Write `values` (k, …) to the rows from `start` on."""
        self.reach(start + len(values))[start:] = values

    def keep(self, which: NDArray[np.bool_] | slice) -> None:
        """Let go of all other rows."""
        self._room = self._room[: self._n][which].copy()
        self._n = len(self._room)
