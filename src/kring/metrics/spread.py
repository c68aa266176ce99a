"""Quantiles of durations from integer counts that add: a histogram with sixteen cells for each doubling.

A quantile read from it is off by at most 2.2 % of itself (half a cell, 2^(1/32) − 1), whatever the durations are; its
interval is that of order statistics (Hahn & Meeker 1991, 5.2) with normal ranks, widened to whole cells.
"""

from __future__ import annotations

from math import sqrt
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kring.metrics.intervals import Z
from kring.metrics.ranking import Floats

PARTS: Final = 16
DOUBLINGS: Final = 36
CELLS: Final = PARTS * DOUBLINGS
"""From 1 µs to 19 hours; what is shorter or longer counts as that."""

ERROR: Final = 2 ** (1 / (2 * PARTS)) - 1


class Quantile(NamedTuple):
    """A quantile and its 95 % interval; the upper end is infinite where there are too few rows to bound it."""

    value: float
    low: float
    high: float


def spread_of(durations: NDArray[np.int64], weights: NDArray[np.int64]) -> tuple[int, ...]:
    """Rows by cell, (576,), of `durations` (k,) in microseconds, each of `weights` (k,) rows."""
    cells = np.floor(np.log2(np.maximum(durations, 1)) * PARTS).astype(np.intp)
    counts = np.bincount(np.minimum(cells, CELLS - 1), weights=weights, minlength=CELLS)
    return tuple(counts.astype(np.int64).tolist())


def quantile_of(spread: tuple[int, ...], quantile: float) -> Quantile | None:
    """A quantile of what was counted, in microseconds; None without rows."""
    below: Floats = np.cumsum(np.array(spread, dtype=np.float64))
    rows = float(below[-1]) if len(below) else 0.0
    if not rows:
        return None
    middle, half = quantile * rows, Z * sqrt(rows * quantile * (1 - quantile))
    at, low, high = (int(np.searchsorted(below, max(rank, 0.5))) for rank in (middle, middle - half, middle + half))
    end = 2 ** ((high + 1) / PARTS) if middle + half <= rows else np.inf
    return Quantile(2 ** ((at + 0.5) / PARTS), 2 ** (low / PARTS), float(end))
