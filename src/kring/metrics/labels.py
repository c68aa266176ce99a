"""Decisions among several labels, and their scores from a table of truth against decision.

A table (…, k, k) holds the weight of rows by true label (first) and decided label (last); leading axes are draws.
Where a label was never true or never said, a macro average counts its undefined share as 0, as long as it
was one of the two; a label that was neither is left out of it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from kring.metrics.ranking import Floats, dot, ratio
from kring.metrics.scores import SMALLEST

Labels = NDArray[np.intp]
NOBODY: Final = -1


def least_cost(probabilities: Floats, prices: Floats) -> Labels:
    """The label whose decision costs least, (n,), from `probabilities` (n, k); -1 in a row with a missing one.

    `prices` (k,) are what missing a true label costs: to say s is to expect Σ_{t≠s} p_t·c_t, so that the largest
    p_s·c_s is the cheapest (Elkan 2001, eq. 1). Equal prices choose the most probable label; the first of equals.
    """
    worth = probabilities * prices
    said = np.argmax(worth, axis=1)
    return np.where(np.isnan(worth).any(axis=1), NOBODY, said)


def leeway(probabilities: Floats, prices: Floats) -> Floats:
    """How far probabilities must move, at the least, for another label to be decided, (n,); NaN if one is missing.

    With worth w = p·c it is the smallest (w_s − w_j) / (c_s + c_j) over the other labels j: of two labels the
    distance of a probability from the threshold of their prices.
    """
    said = np.argmax(probabilities * prices, axis=1)
    rows = np.arange(len(said))
    worth = probabilities * prices
    far = ratio(worth[rows, said][:, None] - worth, prices[said][:, None] + prices, empty=0.0)
    far[rows, said] = np.inf
    return np.where(np.isnan(worth).any(axis=1), np.nan, far.min(axis=1))


def label_table(truth: Labels, said: Labels, *, labels: int, weight: Floats | None = None) -> Floats:
    """Count `said` (n,) against `truth` (n,), both 0 … labels − 1: (labels, labels)."""
    cells = np.bincount(truth * labels + said, weights=weight, minlength=labels * labels)
    return cells.reshape(labels, labels).astype(np.float64)


def label_accuracy(table: Floats) -> Floats:
    """Share of decisions that are right."""
    return ratio(_right(table).sum(axis=-1), table.sum(axis=(-2, -1)))


def recalls(table: Floats) -> Floats:
    """Per label (…, k): share of its rows that were found; NaN for a label that was never true."""
    return ratio(_right(table), table.sum(axis=-1))


def precisions(table: Floats) -> Floats:
    """Per label (…, k): share of its decisions that are right; NaN for a label that was never said."""
    return ratio(_right(table), table.sum(axis=-2))


def f1s(table: Floats) -> Floats:
    """Per label (…, k): harmonic mean of precision and recall; NaN for a label neither true nor said."""
    return ratio(2 * _right(table), table.sum(axis=-1) + table.sum(axis=-2))


def balanced_accuracy(table: Floats) -> Floats:
    """Mean recall over the labels that were true (Brodersen, Ong, Stephan & Buhmann 2010)."""
    return mean_of(recalls(table))


def macro(shares: Floats, table: Floats) -> Floats:
    """Plain mean of `shares` (…, k) over the labels that were true or said, undefined shares as 0
    (Yang & Liu 1999, macro-averaging)."""
    seen = (table.sum(axis=-1) + table.sum(axis=-2)) > 0
    return ratio(np.where(seen, np.nan_to_num(shares), 0.0).sum(axis=-1), seen.sum(axis=-1))


def missing_cost(table: Floats, prices: Floats) -> Floats:
    """Mean cost of a decision when missing a true label costs its price, `prices` (k,) (Elkan 2001)."""
    missed = table.sum(axis=-1) - _right(table)
    return ratio(dot(missed, prices), table.sum(axis=(-2, -1)))


def mean_of(values: Floats) -> Floats:
    """Mean over the last axis of what is defined; NaN where nothing is."""
    there = ~np.isnan(values)
    return ratio(np.where(there, values, 0.0).sum(axis=-1), there.sum(axis=-1))


def label_log_losses(truth: Labels, probabilities: Floats) -> Floats:
    """−log of the probability given to the true label, per row, in nats (Good 1952), kept 2^−52 away from 0 and 1."""
    given = probabilities[np.arange(len(truth)), truth]
    return -np.log(np.clip(given, SMALLEST, 1 - SMALLEST))


def label_briers(truth: Labels, probabilities: Floats) -> Floats:
    """Per row Σ_j (p_j − [j is true])², from 0 to 2 (Brier 1950, as he wrote it: with two labels twice the
    squared difference of one)."""
    given = probabilities[np.arange(len(truth)), truth]
    squares: Floats = dot(probabilities, probabilities)
    return squares - 2 * given + 1


def among_first(truth: Labels, probabilities: Floats, *, first: int) -> NDArray[np.bool_]:
    """Whether the true label is among the `first` most probable ones, (n,); of equals the first labels count."""
    given = probabilities[np.arange(len(truth)), truth][:, None]
    before = np.arange(probabilities.shape[1])[None, :] < truth[:, None]
    ahead: Labels = ((probabilities > given) | ((probabilities == given) & before)).sum(axis=1)
    return ahead < first


def _right(table: Floats) -> Floats:
    return np.diagonal(table, axis1=-2, axis2=-1)
