"""A stream of numbers of which so many are kept that its quantiles are known: all of a short one, of a long one a
sample that is spread over the whole of it.

A number is kept when the hash of its place falls below a share, and the share is halved whenever too many are kept: the
places of a half are among those of the whole, and no pattern in the stream falls in with them. Of n kept numbers the
rank of a quantile q is known to √(q(1 − q)/n): from 32,768 on a p99 lies between the p98.9 and the p99.1.
"""

from __future__ import annotations

from array import array
from typing import Final

import numpy as np

from kring.metrics.ranking import Floats
from kring.metrics.sketches import Hashes, mixed

MOST: Final = 1 << 16
"""So many are kept at the most, and from half as many on something is left out."""

TOGETHER: Final = 4096
"""So many are looked at together."""


class Sampled:
    """`n` numbers were added; one in `thinned` is kept."""

    def __init__(self, *, most: int = MOST) -> None:
        self.n, self.thinned = 0, 1
        self._most = most
        self._values: Floats = np.zeros(0)
        self._hashes: Hashes = np.zeros(0, dtype=np.uint64)
        self._new = array("d")

    def add(self, value: float, *, rows: int = 1) -> None:
        """The number of `rows` rows, one after the other."""
        self.n += rows
        while rows:
            part = min(rows, TOGETHER)
            self._new.extend([value] * part)
            rows -= part
            if len(self._new) >= TOGETHER:
                self._sift(after=rows)

    def thin(self, thinned: int) -> None:
        """Keep no more than one in `thinned`, a power of two."""
        self._sift()
        self._keep(thinned)

    @property
    def values(self) -> Floats:
        """What is kept, (k,), in the order in which it came."""
        self._sift()
        return self._values

    def _sift(self, *, after: int = 0) -> None:
        """Keep of the newest numbers, which are followed by `after` that are still to come, what is to be kept."""
        new, end = np.array(self._new), self.n - after
        del self._new[:]
        hashes = mixed(np.arange(end - len(new), end, dtype=np.uint64))
        below = hashes <= _limit(self.thinned)
        self._values = np.concatenate([self._values, new[below]])
        self._hashes = np.concatenate([self._hashes, hashes[below]])
        while len(self._values) > self._most:
            self._keep(2 * self.thinned)

    def _keep(self, thinned: int) -> None:
        self.thinned = max(thinned, self.thinned)
        below = self._hashes <= _limit(self.thinned)
        self._values, self._hashes = self._values[below], self._hashes[below]


def _limit(thinned: int) -> np.uint64:
    return np.uint64((1 << 64) // thinned - 1)
