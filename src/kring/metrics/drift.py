"""Drift: counts in frozen bins, and what bets against "still within the tolerance" have won.

An e-detector of the Shiryaev-Roberts kind (Shin, Ramdas, Rinaldo 2024): each bet multiplies likelihood ratios of
windows, and a new one starts with each window. If every window's share stays within the tolerance of its reference,
given all windows before it, the expected winnings after t windows are at most t, so that a mean of them reaches
T/alpha within T windows with a probability of at most alpha.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BETS: Final = (0.02, 0.05, 0.1, 0.2)
"""How far beyond the tolerance a bet expects the share to lie."""

DECILES: Final = (0.1, 0.5, 0.9)
BINS: Final = 10
HEAVY: Final = 1 / BINS
"""A single value with this share of the rows has a bin of its own."""

ERRORS: Final = 4.0
"""A tolerance is at least so many standard errors of the reference."""

NEAREST: Final = 0.1
"""No bet expects a share nearer to 0 or 1 than this part of what the tolerance leaves."""

BLOCK: Final = 1 << 14
FEW: Final = 3000
"""Up to so many values a search is faster than comparing all of them with each cut."""


class Bets(NamedTuple):
    """Logs of what a bet multiplies its stake with, (tests, 2 sides, bets): for each row that is a hit, and for each
    that is not. `open`, (tests, 2), says on which sides there is room for a bet."""

    hit: Floats
    miss: Floats
    open: NDArray[np.bool_]


def cuts_of(values: Floats) -> Floats:
    """Rising cuts of `values` (n,), NaN for missing: the smallest value first, the deciles, just above the largest
    last. A value that holds a tenth of the rows or more is cut off on both sides, and so is each of ten or fewer. Empty
    without a finite value."""
    known = np.sort(values[np.isfinite(values)])
    if not len(known):
        return np.zeros(0)
    places = np.flatnonzero(np.concatenate([[True], known[1:] != known[:-1]]))
    distinct, sizes = known[places], np.diff(places, append=len(known))
    inner, heavy = distinct, distinct
    if len(distinct) > BINS:
        inner = known[np.ceil(np.arange(1, BINS) * len(known) / BINS).astype(np.int64) - 1]
        heavy = distinct[sizes >= HEAVY * len(known)]
    with np.errstate(over="ignore"):
        above = np.nextafter(np.concatenate([heavy, known[-1:]]), np.inf)
    cuts = np.concatenate([known[:1], inner, above])
    return np.unique(cuts[np.isfinite(cuts)])


def cells(values: NDArray[np.generic], cuts: Floats) -> Ints:
    """How many of `values` (n,) lie below the first cut, in [cut, next cut), from the last cut on, and are NaN:
    (cuts + 2,). In one pass, in float64."""
    if len(values) <= FEW or not len(cuts):
        return _searched(values.astype(np.float64, copy=False), cuts)
    below, missing = np.zeros(len(cuts), dtype=np.int64), 0
    less = np.empty(BLOCK, dtype=np.bool_)
    for first in range(0, len(values), BLOCK):
        block = values[first : first + BLOCK].astype(np.float64, copy=False)
        found = less[: len(block)]
        for place, cut in enumerate(cuts):
            np.less(block, cut, out=found)
            below[place] += np.count_nonzero(found)
        np.isnan(block, out=found)
        missing += int(np.count_nonzero(found))
    return np.concatenate([np.diff(below, prepend=0, append=len(values) - missing), [missing]])


def _searched(values: Floats, cuts: Floats) -> Ints:
    missing = int(np.count_nonzero(np.isnan(values)))
    places = np.searchsorted(cuts, values, side="right")
    counts = np.bincount(places, minlength=len(cuts) + 1).astype(np.int64)
    counts[-1] -= missing
    return np.append(counts, missing)


def shares(hits: Floats, rows: Floats) -> Floats:
    """`hits` of `rows` as shares; 0 where there are no rows."""
    found: Floats = np.divide(hits, rows, out=np.zeros(np.broadcast(hits, rows).shape), where=rows > 0)
    return found


def errors_of(hits: Floats, rows: Floats, effects: Floats) -> Floats:
    """Standard errors of the shares `hits` of `rows`, each widened by its design effect. Half a row is added on both
    sides (Jeffreys), so that a share of 0 has an error too; infinite without rows."""
    smooth = (hits + 0.5) / (rows + 1.0)
    variances = np.divide(effects * smooth * (1 - smooth), rows, out=np.full(len(rows), np.inf), where=rows > 0)
    errors: Floats = np.sqrt(variances)
    return errors


def design_effect(residuals: Floats, variance: float) -> float:
    """How many times larger the variance of a share is than with independent rows, at least 1.

    `residuals`, (groups,), are hits beyond what was expected, summed over each group of rows that belong together;
    `variance` is the sum of share * (1 - share) over all rows (Kish 1965, 5.4).
    """
    groups = len(residuals)
    if groups < 2 or variance <= 0:
        return 1.0
    return max(1.0, float((residuals**2).sum()) * groups / (groups - 1) / variance)


def bets_of(expected: Floats, tolerance: Floats, effects: Floats) -> Bets:
    """The bets on each test's share (tests,), above and below the tolerance around what is expected.

    With p0 at the edge of the tolerance and p1 beyond it, a hit multiplies by p1/p0 and a miss by (1-p1)/(1-p0): in
    expectation at most 1 for every share within the tolerance. Rows that belong together count as `effects` times
    fewer, which keeps that true when their sum is near normal.
    """
    edge = expected[:, None] + tolerance[:, None] * np.array([1.0, -1.0])
    room = (edge > 0) & (edge < 1)
    safe = np.where(room, edge, 0.5)[..., None]
    steps = np.array(BETS) * np.array([1.0, -1.0])[:, None]
    beyond = np.clip(safe + steps, NEAREST * safe, 1 - NEAREST * (1 - safe))
    weight = (room / effects[:, None])[..., None]
    return Bets(weight * np.log(beyond / safe), weight * np.log((1 - beyond) / (1 - safe)), room)


def advanced(won: Floats, hits: Floats, rows: Floats, bets: Bets) -> Floats:
    """log M of this window, (tests, 2, bets), from `won`, log(1 + M) of the one before: M = (1 + M before) L."""
    return won + hits[:, None, None] * bets.hit + (rows - hits)[:, None, None] * bets.miss


def carried(now: Floats, *, most: float) -> Floats:
    """log(1 + M), with M held at exp(`most`): less than was won, so that nothing is promised that is not so, and an
    end of the drift is seen soon."""
    return np.logaddexp(0.0, np.minimum(now, most))


def log_mean(logs: Floats, weights: Floats) -> float:
    """The log of the mean of exp(`logs`), weighted; -inf without weight."""
    total = float(weights.sum())
    if not total or not np.isfinite(top := float(np.max(logs, initial=-np.inf, where=weights > 0))):
        return -np.inf
    return top + float(np.log((weights * np.exp(np.minimum(logs - top, 0.0))).sum() / total))
