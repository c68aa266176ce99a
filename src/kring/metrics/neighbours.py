"""What rows like a row turned out as, and rows that come too often.

Rows are points: numbers on a common scale, and places of categories that are alike or not.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kring.metrics.ranking import Floats

NEAREST: Final = 10
AT_ONCE: Final = 256
GRID: Final = 0.1
"""Rows whose numbers differ by less than this many scales may be the same row with noise on it."""

LEAST_IQR: Final = 1.349
"""The distance of the quartiles of a standard normal."""


class Points(NamedTuple):
    """`numbers` (n, d) without NaN, `codes` (n, c), `truth` (n,)."""

    numbers: Floats
    codes: NDArray[np.int64]
    truth: Floats

    @property
    def n(self) -> int:
        return len(self.truth)

    def some(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Points:
        """These rows."""
        return Points(self.numbers[rows], self.codes[rows], self.truth[rows])


def scaled(numbers: Floats, *, like: Floats) -> Floats:
    """Columns (n, d) in robust scales of `like` (m, d), around its median. A missing value lies 3 scales out, a column
    that does not vary, or of which nothing is known, nowhere."""
    found = np.zeros(numbers.shape)
    known = np.isfinite(like).any(axis=0)
    if not known.any():
        return found
    finite = np.where(np.isfinite(like), like, np.nan)[:, known]
    low, middle, high = np.nanquantile(finite, [0.25, 0.5, 0.75], axis=0)
    scale = (high - low) / LEAST_IQR
    scale = np.where(scale > 0, scale, np.nanstd(finite, axis=0))
    with np.errstate(invalid="ignore", divide="ignore"):
        placed = np.where(scale > 0, (numbers[:, known] - middle) / scale, 0.0)
    found[:, known] = np.clip(np.where(np.isfinite(placed), placed, 3.0), -10.0, 10.0)
    return found


def against(rows: Points, pool: Points, *, labelled: bool, alike: bool = False) -> Floats:
    """How much the nearest ten of `pool` speak against each row's truth, (n,): the share that turned out otherwise, or
    for numbers the distance from their median. With `alike` the rows are the pool, and none is its own neighbour."""
    found = np.empty(rows.n)
    nearest = min(NEAREST, pool.n - alike)
    norms = (pool.numbers**2).sum(axis=1)
    for begin in range(0, rows.n, AT_ONCE):
        here = slice(begin, min(begin + AT_ONCE, rows.n))
        apart = norms - 2 * rows.numbers[here] @ pool.numbers.T
        for column in range(pool.codes.shape[1]):
            apart += rows.codes[here, column, None] != pool.codes[None, :, column]
        if alike:
            apart[np.arange(apart.shape[0]), np.arange(here.start, here.stop)] = np.inf
        near = pool.truth[np.argpartition(apart, nearest - 1, axis=1)[:, :nearest]]
        own = rows.truth[here, None]
        found[here] = (near != own).mean(axis=1) if labelled else np.abs(np.median(near, axis=1) - own[:, 0])
    return found


def largest_cells(points: Points, *, grid: float = GRID) -> NDArray[np.int64]:
    """How many rows share the cell of each row, (n,): the larger of two grids, one half a cell beside the other, so
    that rows close to each other meet in one of them."""
    counts = []
    for shift in (0.0, 0.5):
        cells = np.floor(points.numbers / grid + shift).astype(np.int64)
        _, place, n = np.unique(np.hstack([cells, points.codes]), axis=0, return_inverse=True, return_counts=True)
        counts.append(n[place.ravel()])
    return np.maximum(*counts).astype(np.int64)
