"""Rules that public tools steer rollouts by, over the same counts: when does each of them roll back?

Each is written from its public description, in its usual setting. A look every 100 units.
"""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu
from simulated import NEVER, Stream, first

ALPHA = 0.05
WINDOW = 50
"""Batches in the window of a threshold: 5000 units."""

INTERVAL, EVERY = 10, 100
"""Mann-Whitney: the share of bad units in each 1000 units is one value; judged anew every 10,000 units."""

TAU = 0.005
"""The effect that the normal mixtures are tuned for."""


def threshold(stream: Stream) -> NDArray[np.intp]:
    """The new version's rate over the last 5000 units is above 1.2 times that of the old one, once, with 100 units."""
    new, old, new_bad, old_bad = (_window(counts) for counts in stream)
    rates = new_bad / np.maximum(new, 1), old_bad / np.maximum(old, 1)
    return first((new >= 100) & (rates[0] > 1.2 * rates[1]))


def _window(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    total = np.cumsum(counts, axis=1)
    total[:, WINDOW:] -= total[:, :-WINDOW].copy()
    return total


def repeated_z(stream: Stream) -> NDArray[np.intp]:
    """A one-sided z-test of two shares at 5 %, at each look from 500 units of the new version on."""
    z, new = _z(stream, pooled=True)
    return first((new >= 500) & (z >= NormalDist().inv_cdf(1 - ALPHA)))


def mixture(stream: Stream, *, pooled: bool) -> NDArray[np.intp]:
    """A two-sided mixture sequential probability ratio test with a normal approximation, `pooled` (Johari et al. 2022)
    or not (an asymptotic confidence sequence; Waudby-Smith et al. 2024), when the new version is the worse one."""
    z, new = _z(stream, pooled=pooled)
    variance = _variance(stream, pooled=pooled)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = TAU**2 / variance
        logs = 0.5 * (z**2 * ratio / (1 + ratio) - np.log1p(ratio))
    return first((new >= 100) & (z > 0) & np.isfinite(logs) & (logs >= -np.log(ALPHA)))


def _z(stream: Stream, *, pooled: bool) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    new, old, new_bad, old_bad = (np.cumsum(counts, axis=1) for counts in stream)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (new_bad / new - old_bad / old) / np.sqrt(_variance(stream, pooled=pooled))
    return np.nan_to_num(z, nan=0.0, posinf=0.0, neginf=0.0), new


def _variance(stream: Stream, *, pooled: bool) -> NDArray[np.float64]:
    new, old, new_bad, old_bad = (np.cumsum(counts, axis=1) for counts in stream)
    with np.errstate(divide="ignore", invalid="ignore"):
        if pooled:
            rate = (new_bad + old_bad) / (new + old)
            return rate * (1 - rate) * (1 / new + 1 / old)
        rates = new_bad / new, old_bad / old
        return rates[0] * (1 - rates[0]) / new + rates[1] * (1 - rates[1]) / old


def mann_whitney(stream: Stream) -> NDArray[np.intp]:
    """The rates of intervals of 1000 units, new against old, differ at 98 %, two-sided, the mean by a quarter."""
    runs, batches = stream.new.shape
    several = batches // INTERVAL
    new, old, new_bad, old_bad = (
        counts[:, : several * INTERVAL].reshape(runs, several, INTERVAL).sum(axis=2) for counts in stream
    )
    rates = new_bad / np.maximum(new, 1), old_bad / np.maximum(old, 1)
    found = np.full(runs, NEVER)
    for until in range(EVERY // INTERVAL, several + 1, EVERY // INTERVAL):
        some = rates[0][:, :until], rates[1][:, :until]
        p = mannwhitneyu(*some, axis=1, alternative="greater", method="asymptotic").pvalue
        worse = (p < 0.01) & (some[0].mean(axis=1) > 1.25 * some[1].mean(axis=1))
        found = np.where((found == NEVER) & worse, until * INTERVAL - 1, found)
    return found


RULES = {
    "1.2x the live rate, window 5000": threshold,
    "repeated z-test": repeated_z,
    "Mann-Whitney": mann_whitney,
    "mSPRT, pooled variance": lambda stream: mixture(stream, pooled=True),
    "asymptotic confidence sequence": lambda stream: mixture(stream, pooled=False),
}


def error(share: float, runs: int) -> float:
    """Twice the standard error of a share of runs."""
    return 2 * sqrt(max(share * (1 - share), 1 / runs) / runs)
