"""What mistakes cost, per decision, in the currency of the prices."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kring.metrics.calibration import EDGES
from kring.metrics.ranking import Floats, ratio
from kring.metrics.scores import Confusion


class Best(NamedTuple):
    """The cheapest threshold on the data and its cost per decision; NaN without rows."""

    threshold: Floats
    cost: Floats


def bayes_threshold(*, false_positive: float, false_negative: float) -> float:
    """The probability at and above which yes is the cheaper answer, c_fp / (c_fp + c_fn) (Elkan 2001, eq. 2).

    Both prices are ≥ 0 and one is > 0, else ValueError.
    """
    if not (false_positive >= 0 and false_negative >= 0 and 0 < false_positive + false_negative < np.inf):
        raise ValueError(f"prices are finite and ≥ 0 and one is > 0, got {false_positive} and {false_negative}")
    return false_positive / (false_positive + false_negative)


def expected_cost(counts: Confusion, *, false_positive: float, false_negative: float) -> Floats:
    """Mean cost of a decision: (c_fp · wrong yes + c_fn · wrong no) / rows (Elkan 2001)."""
    return ratio(false_positive * counts.false_yes + false_negative * counts.false_no, counts.rows)


def cost_curve(positive: Floats, negative: Floats, *, false_positive: float, false_negative: float) -> Floats:
    """Cost per decision at the thresholds k/200 (…, 201), from positives and negatives per fine bin (…, 200).

    The last point, threshold 1, stands for never answering yes.
    """
    missed = np.cumsum(positive, axis=-1)
    disturbed = np.cumsum(negative[..., ::-1], axis=-1)[..., ::-1]
    none = np.zeros((*positive.shape[:-1], 1))
    wrong = false_negative * np.concatenate([none, missed], axis=-1)
    wrong += false_positive * np.concatenate([disturbed, none], axis=-1)
    return ratio(wrong, (positive.sum(axis=-1) + negative.sum(axis=-1))[..., None])


def best_threshold(curve: Floats) -> Best:
    """The lowest point of `cost_curve` (…, 201); among equals the smallest threshold."""
    place = np.argmin(curve, axis=-1)
    cost = np.take_along_axis(curve, place[..., None], axis=-1)[..., 0]
    return Best(np.where(np.isnan(cost), np.nan, EDGES[place]), cost)


def regret(cost: Floats, best: Best) -> Floats:
    """What the threshold in use costs more than the best one on the same data; ≥ 0 up to the width of a bin."""
    return cost - best.cost


def unit_cost(*, over: Floats, under: Floats, rows: Floats, over_price: float, under_price: float) -> Floats:
    """Mean cost of a value: `over` and `under` are the summed units predicted too much and too little,
    the prices are per unit (the newsvendor's cost, Arrow, Harris & Marschak 1951)."""
    return ratio(over_price * over + under_price * under, rows)
