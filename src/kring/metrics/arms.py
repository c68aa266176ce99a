"""Arms of a trial held against each other: the formulas beside their confidence sequences.

Two kinds stand side by side. Values of e may be looked at at any time; those with p hold for one look that was fixed
beforehand, and are shown so that anybody can compare them with what other programs say.
"""

from __future__ import annotations

from math import log, sqrt
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc, logsumexp, stdtr, stdtrit

from kring.metrics.e_values import BALANCE, Floats, cohort_logs, mixed, split_logs

COHORT: Final = 100
"""Units of one cohort, in the order in which they were assigned."""


class Classic(NamedTuple):
    """A difference of two means with its 1 − α interval and the two-sided p, for one look; infinite ends and 1 where an
    arm has fewer than two outcomes."""

    low: float
    high: float
    p: float


def welch(new: ArrayLike, old: ArrayLike, *, alpha: float) -> Classic:
    """The mean of `new` (n,) less that of `old` (m,), by Welch's t (Welch 1947). Without any spread in both arms the
    interval is a point, and p is 1 or 0."""
    samples = [np.asarray(values, dtype=np.float64) for values in (new, old)]
    if min(len(values) for values in samples) < 2:
        return Classic(-np.inf, np.inf, 1.0)
    errors = [float(values.var(ddof=1)) / len(values) for values in samples]
    gap, error = float(samples[0].mean() - samples[1].mean()), sqrt(sum(errors))
    if not error:
        return Classic(gap, gap, float(gap == 0))
    parts = sum(part * part / (len(values) - 1) for part, values in zip(errors, samples, strict=True))
    freedom = error**4 / parts
    half = float(stdtrit(freedom, 1 - alpha / 2)) * error
    return Classic(gap - half, gap + half, 2 * float(stdtr(freedom, -abs(gap) / error)))


def split_log(units: ArrayLike, shares: ArrayLike) -> float:
    """log e against "each unit falls into arm i with the probability `shares[i]`", of units (k,) per arm so far: the
    mean over the arms of the e-values of that arm against all others."""
    counts, planned = np.asarray(units, dtype=np.int64), np.asarray(shares, dtype=np.float64)
    if not counts.sum():
        return 0.0
    against = np.stack([counts, counts.sum() - counts], axis=1)
    return float(logsumexp(mixed(split_logs(against, planned), BALANCE.weights)) - log(len(counts)))


def split_p(units: ArrayLike, shares: ArrayLike) -> float:
    """Pearson's chi-square test of the same (Pearson 1900), for one look; 1 without units."""
    counts, planned = np.asarray(units, dtype=np.float64), np.asarray(shares, dtype=np.float64)
    expected = counts.sum() * planned
    if not counts.sum():
        return 1.0
    return float(chdtrc(len(counts) - 1, float(((counts - expected) ** 2 / expected).sum())))


def coverage_log(new: NDArray[np.bool_], known: NDArray[np.bool_]) -> float:
    """log e against "an outcome is known as often in the new arm as in the old", of units (n,) in the order in which
    they were assigned: whether each is in the new arm, and whether its outcome is known.

    Whole cohorts of `COHORT` units count, each with the exact distribution given its totals, so that it may be looked
    at whenever a cohort is complete.
    """
    whole = len(new) // COHORT
    arms = new[: whole * COHORT].reshape(whole, COHORT)
    there = known[: whole * COHORT].reshape(whole, COHORT)
    counts = np.stack([arms.sum(1), (~arms).sum(1), (arms & there).sum(1), (~arms & there).sum(1)], axis=1)
    if not whole:
        return 0.0
    logs: Floats = cohort_logs(counts, BALANCE).sum(axis=0)
    return float(mixed(logs, BALANCE.weights))
