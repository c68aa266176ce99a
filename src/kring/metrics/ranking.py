"""What depends only on the order of scores: sorted once, then weighted as often as needed.

Arrays whose last axis is k hold cumulated weights "at or above the i-th highest score"; leading
axes (draws, windows) are kept.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEAST: Final = np.finfo(np.float64).tiny


class Ranked(NamedTuple):
    """`order` (n,) holds the rows from the highest score to the lowest, `positive` (n,) the truth in
    that order, `ends` (k,) the place of the last row of each run of equal scores."""

    order: NDArray[np.intp]
    positive: Floats
    ends: NDArray[np.intp]


def rank(truth: Floats, score: Floats) -> Ranked:
    """Sort once. `truth` (n,) is 0/1, `score` (n,) is finite."""
    order = np.argsort(-score, kind="stable")
    falls = np.flatnonzero(np.diff(score[order]))
    return Ranked(order, truth[order], np.append(falls, len(order) - 1) if len(order) else falls)


def passed(ranked: Ranked, weight: Floats) -> tuple[Floats, Floats]:
    """Cumulated weight of positives and of all rows at or above each distinct score, both (k,).

    `weight` (n,) is in ranked order.
    """
    true, every = np.cumsum(weight * ranked.positive), np.cumsum(weight)
    return (true, every) if len(ranked.ends) == len(true) else (true[ranked.ends], every[ranked.ends])


def area(true: Floats, every: Floats) -> Floats:
    """Area under the ROC curve from cumulated positives and rows, last axis k: the share of pairs of a positive and
    a negative that are in the right order, ties counted half (Hanley & McNeil 1982). NaN with one class."""
    twice = 2 * true[..., -1] * (every[..., -1] - true[..., -1])
    above = dot(every[..., 1:], true[..., :-1]) - dot(every[..., :-1], true[..., 1:])
    return ratio(twice / 2 + above, twice)


def precision_area(true: Floats, every: Floats) -> Floats:
    """Average precision from cumulated positives and rows, last axis k: Σ (recall_i − recall_{i−1}) · precision_i,
    without interpolation (Manning, Raghavan & Schütze 2008, 8.4). NaN without positives."""
    precision = np.maximum(every, LEAST)
    np.divide(true, precision, out=precision)
    return ratio(dot(true, precision) - dot(true[..., :-1], precision[..., 1:]), true[..., -1])


def dot(left: Floats, right: Floats) -> Floats:
    """Sum of products over the last axis; on one thread, whatever the linear algebra library would do."""
    summed: Floats = np.einsum("...i,...i->...", left, right)
    return np.asarray(summed, dtype=np.float64)


def ratio(above: Floats, below: Floats, *, empty: float = np.nan) -> Floats:
    """`above / below` element by element, `empty` where `below` is 0 or so small that the ratio has no number."""
    above, below = np.broadcast_arrays(np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64))
    out: Floats = np.full(above.shape, empty)
    with np.errstate(over="ignore"):
        np.divide(above, below, out=out, where=below != 0)
    out[np.isinf(out)] = empty
    return out
