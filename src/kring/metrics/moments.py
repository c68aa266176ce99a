"""Scores of predicted values from sums over rows.

Rows under a bootstrap and integer counts of windows are brought into the same vector of sums. Counts are
Python integers in billionths (squares in billionths of billionths), so nothing overflows and adding the counts of
two windows is counting both together, in any order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kring.metrics.cost import unit_cost
from kring.metrics.intervals import cluster_bootstrap
from kring.metrics.ranking import Floats, dot, ratio

SCALE: Final = 1_000_000_000
CONSTANT: Final = 1e-12
"""A smaller share of the squares is what rounding leaves of a constant truth."""

NAMES: Final = ("n", "error", "absolute", "squared", "over", "under", "truth", "truth_squared")
UNITS: Final = (1, SCALE, SCALE, SCALE * SCALE, SCALE, SCALE, SCALE, SCALE * SCALE)


class Moments(NamedTuple):
    """Sums over rows, leading axes are draws: rows, error, |error|, error², units predicted too much and too
    little, and the first two moments of truth around one fixed point."""

    rows: Floats
    error: Floats
    absolute: Floats
    squared: Floats
    over: Floats
    under: Floats
    truth: Floats
    truth_squared: Floats


def count_values(truth: Floats, value: Floats) -> dict[str, tuple[int, ...]]:
    """Integer counts of `truth` (n,), NaN where missing, and `value` (n,), NaN where nothing answered.

    `n`, `missing` (no truth) and `unanswered` (truth, but no value), then one sum for each of the moments over
    the n rows that have both.
    """
    known, answered = ~np.isnan(truth), ~np.isnan(value)
    both = known & answered
    true, said = _fixed(truth[both]), _fixed(value[both])
    errors = [mine - theirs for mine, theirs in zip(said, true, strict=True)]
    seen = int(known.sum())
    return {
        "n": (len(true),),
        "missing": (len(truth) - seen,),
        "unanswered": (seen - len(true),),
        "error": (sum(errors),),
        "absolute": (sum(abs(error) for error in errors),),
        "squared": (sum(error * error for error in errors),),
        "over": (sum(error for error in errors if error > 0),),
        "under": (-sum(error for error in errors if error < 0),),
        "truth": (sum(true),),
        "truth_squared": (sum(each * each for each in true),),
    }


def window_moments(windows: Sequence[Mapping[str, tuple[int, ...]]], weights: Floats) -> Moments:
    """Moments of windows, each weighted: `weights` (draws, windows) gives moments (draws,)."""
    whole = [[window.get(name, (0,))[0] for name in NAMES] for window in windows]
    middle = sum(row[6] for row in whole) // max(1, sum(row[0] for row in whole))
    table = np.zeros((len(windows), len(NAMES)))
    for place, (n, *sums, truth, truth_squared) in enumerate(whole):
        around = truth - n * middle, truth_squared - 2 * middle * truth + n * middle * middle
        table[place] = [number / unit for number, unit in zip((n, *sums, *around), UNITS, strict=True)]
    return Moments(*(weights @ table).T)


def drawn_values(
    truth: Floats, values: Sequence[Floats], *, groups: NDArray[np.int64], draws: int, seed: int
) -> list[Moments]:
    """Moments of each of `values` (n,) against `truth` (n,), known: as the rows are, then for each draw of whole
    `groups` (n,), each (1 + draws,). All share the draws, so that their differences are paired."""
    tables = [_table(truth, each) for each in values]
    drawn = cluster_bootstrap(
        lambda weight: np.stack([dot(table, weight) for table in tables]), groups, draws=draws, seed=seed
    )
    return [Moments(*each.T) for each in np.moveaxis(drawn, 1, 0)]


def _table(truth: Floats, value: Floats) -> Floats:
    error, centred = value - truth, truth - truth.mean()
    over, under = np.maximum(error, 0), np.maximum(-error, 0)
    return np.stack([np.ones(len(truth)), error, np.abs(error), error**2, over, under, centred, centred**2])


def value_scores(sums: Moments) -> dict[str, Floats]:
    """Every score without a price, by name, each (…); formulas as in `kring.metrics.scores`."""
    spread = sums.truth_squared - ratio(sums.truth**2, sums.rows)
    spread = np.where(spread > CONSTANT * sums.truth_squared, spread, 0.0)
    return {
        "mae": ratio(sums.absolute, sums.rows),
        "rmse": np.sqrt(ratio(sums.squared, sums.rows)),
        "r2": 1 - ratio(sums.squared, spread),
        "bias": ratio(sums.error, sums.rows),
    }


def value_costs(sums: Moments, *, over: float, under: float) -> dict[str, Floats]:
    """Cost per value at the prices per unit predicted too much and too little."""
    cost = unit_cost(over=sums.over, under=sums.under, rows=sums.rows, over_price=over, under_price=under)
    return {"expected_cost": cost}


def _fixed(values: Floats) -> list[int]:
    return [int(value) for value in np.rint(values * SCALE).tolist()]
