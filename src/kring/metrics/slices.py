"""Whether some rows do worse than all others, when many such sets of rows are looked at.

Rows of one group are not independent, so the error of a difference of means adds up whole groups (Liang & Zeger
1986) and is judged by Student's t with the number of groups that the set falls into. Looking at many sets is
paid for by the false discovery rate (Benjamini & Hochberg 1995).
"""

from __future__ import annotations

from math import erfc, log1p, sqrt
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kring.metrics.intervals import FEWEST_GROUPS, number_groups
from kring.metrics.ranking import Floats, dot, ratio

LARGEST: Final = 1e150


class Excess(NamedTuple):
    """Per set (k,): its rows, the groups they fall into, the mean inside minus the mean outside, and the
    probability of at least that by luck; 1 where rows or groups are too few to say."""

    rows: NDArray[np.intp]
    groups: NDArray[np.intp]
    difference: Floats
    chance: Floats


def excess(losses: Floats, codes: NDArray[np.intp], *, count: int, groups: NDArray[np.int64]) -> Excess:
    """How much worse each of `count` sets is than all other rows, one-sided.

    `losses` (n,) finite; `codes` (n,) the set of each row, from 0, and −1 for none; `groups` (n,).
    """
    numbers, total = number_groups(groups)
    centred = losses - losses.mean() if len(losses) else losses
    inside = codes >= 0
    rows = np.bincount(codes[inside], minlength=count)
    sums = _summed(codes[inside], centred[inside], count)
    others = (len(codes) - rows).astype(np.float64)
    mean, rest = ratio(sums, rows.astype(np.float64), empty=0.0), ratio(-sums, others, empty=0.0)
    pairs, place = np.unique(numbers[inside] * count + codes[inside], return_inverse=True)
    group, each = np.divmod(pairs, max(count, 1))
    cells = np.bincount(place, minlength=len(pairs)), _summed(place, centred[inside], len(pairs))
    whole = np.bincount(numbers, minlength=total), _summed(numbers, centred, total)
    without = _without(whole, rest, others)
    out = (whole[1][group] - cells[1]) - (whole[0][group] - cells[0]) * rest[each]
    full = (cells[1] - cells[0] * mean[each]) / rows[each] - ratio(out, others[each], empty=0.0)
    empty = ratio(whole[1][group] - whole[0][group] * rest[each], others[each], empty=0.0)
    variance = without + _summed(each, full**2 - empty**2, count)
    spread = np.bincount(each, minlength=count)
    error = np.sqrt(np.maximum(variance, 0) * total / max(total - 1, 1))
    enough = (spread >= FEWEST_GROUPS) & (others > 0) & (error > 0)
    chance = np.ones(count)
    for number in np.flatnonzero(enough):
        chance[number] = student_tail((mean - rest)[number] / error[number], spread[number] - 1)
    return Excess(rows, spread, mean - rest, chance)


def student_tail(t: float, freedom: float) -> float:
    """P(T ≥ t) of Student's t by Wallace's (1959) normal approximation."""
    size = min(abs(t), LARGEST)
    z = (8 * freedom + 1) / (8 * freedom + 3) * sqrt(freedom * log1p(size * size / freedom))
    tail = erfc(z / sqrt(2)) / 2
    return tail if t > 0 else 1 - tail


def discovered(chances: Floats) -> Floats:
    """`chances` (k,) corrected for looking at all of them: the smallest false discovery rate at which each would
    be named (Benjamini & Hochberg 1995)."""
    count = len(chances)
    order = np.argsort(chances, kind="stable")[::-1]
    scaled = chances[order] * count / np.arange(count, 0, -1)
    corrected = np.empty(count)
    corrected[order] = np.minimum.accumulate(np.minimum(scaled, 1.0)) if count else scaled
    return corrected


def _without(whole: tuple[NDArray[np.intp], Floats], rest: Floats, others: Floats) -> Floats:
    """What the groups would add to the variance if none of their rows lay inside: Σ_g (S_g − n_g · rest)² / others²."""
    rows, sums = whole[0].astype(np.float64), whole[1]
    squares = dot(sums, sums) - 2 * rest * dot(sums, rows) + rest**2 * dot(rows, rows)
    return ratio(squares, others**2, empty=0.0)


def _summed(codes: NDArray[np.intp], values: Floats, count: int) -> Floats:
    return np.bincount(codes, weights=values, minlength=count).astype(np.float64)
