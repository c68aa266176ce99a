"""Scores of predictions against truth; `weight` (n,) counts rows more than once, all equal when left out.

Every score of yes/no decisions is a formula over a `Confusion`, so that rows, draws of a bootstrap and
counts of windows share one definition. A score that is not defined (no positives, say) is NaN.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from kring.metrics.ranking import Floats, area, dot, passed, precision_area, rank, ratio

SMALLEST: Final = float(np.finfo(np.float64).eps)


class Confusion(NamedTuple):
    """Weights of right yes, wrong yes, right no and wrong no; arrays of one shape."""

    true_yes: Floats
    false_yes: Floats
    true_no: Floats
    false_no: Floats

    @property
    def rows(self) -> Floats:
        """The weight of all rows."""
        return self.true_yes + self.false_yes + self.true_no + self.false_no


def confusion(truth: Floats, yes: Floats, *, weight: Floats | None = None) -> Confusion:
    """Count decisions `yes` (n,) 0/1 against `truth` (n,) 0/1."""
    weight = _weight(truth, weight)
    said = np.asarray(yes, dtype=np.float64)
    right = dot(weight, truth * said)
    return Confusion(
        right,
        dot(weight, said) - right,
        dot(weight, (1 - truth) * (1 - said)),
        dot(weight, truth) - right,
    )


def accuracy(counts: Confusion) -> Floats:
    """Share of decisions that are right."""
    return ratio(counts.true_yes + counts.true_no, counts.rows)


def precision(counts: Confusion) -> Floats:
    """Share of yes that is right; NaN when nothing was answered yes (van Rijsbergen 1979)."""
    return ratio(counts.true_yes, counts.true_yes + counts.false_yes)


def recall(counts: Confusion) -> Floats:
    """Share of positives that were found; NaN without positives (van Rijsbergen 1979)."""
    return ratio(counts.true_yes, counts.true_yes + counts.false_no)


def f1(counts: Confusion) -> Floats:
    """Harmonic mean of precision and recall (van Rijsbergen 1979); NaN when there is neither yes nor positive."""
    return ratio(2 * counts.true_yes, 2 * counts.true_yes + counts.false_yes + counts.false_no)


def positive_rate(counts: Confusion) -> Floats:
    """Share of rows answered yes."""
    return ratio(counts.true_yes + counts.false_yes, counts.rows)


def roc_auc(truth: Floats, score: Floats, *, weight: Floats | None = None) -> float:
    """Area under the ROC curve of `score` (n,), see `kring.metrics.ranking.area`. NaN with one class."""
    if not len(truth):
        return np.nan
    ranked = rank(truth, score)
    return float(area(*passed(ranked, _weight(truth, weight)[ranked.order])))


def average_precision(truth: Floats, score: Floats, *, weight: Floats | None = None) -> float:
    """Area under the precision-recall curve, see `kring.metrics.ranking.precision_area`."""
    if not len(truth):
        return np.nan
    ranked = rank(truth, score)
    return float(precision_area(*passed(ranked, _weight(truth, weight)[ranked.order])))


def log_losses(truth: Floats, probability: Floats) -> Floats:
    """−log of the probability given to what happened, per row, in nats (Good 1952); probabilities are
    kept 2^−52 away from 0 and 1, so that one certain mistake costs 36 and not infinity."""
    kept = np.clip(probability, SMALLEST, 1 - SMALLEST)
    return -np.log(np.where(truth == 1, kept, 1 - kept))


def log_loss(truth: Floats, probability: Floats, *, weight: Floats | None = None) -> float:
    """Mean of `log_losses`."""
    return _mean(log_losses(truth, probability), weight)


def brier(truth: Floats, probability: Floats, *, weight: Floats | None = None) -> float:
    """Mean squared difference between probability and truth (Brier 1950)."""
    return _mean((probability - truth) ** 2, weight)


def mae(truth: Floats, value: Floats, *, weight: Floats | None = None) -> float:
    """Mean absolute error, in units of the target."""
    return _mean(np.abs(value - truth), weight)


def rmse(truth: Floats, value: Floats, *, weight: Floats | None = None) -> float:
    """Root of the mean squared error, in units of the target."""
    return float(np.sqrt(_mean((value - truth) ** 2, weight)))


def bias(truth: Floats, value: Floats, *, weight: Floats | None = None) -> float:
    """Mean error, in units of the target: positive when predictions are too high."""
    return _mean(value - truth, weight)


def r2(truth: Floats, value: Floats, *, weight: Floats | None = None) -> float:
    """1 − squared error over squared deviation from the mean (Wright 1921); NaN for a constant truth."""
    spread = _mean((truth - _mean(truth, weight)) ** 2, weight)
    return float(1 - ratio(np.asarray(_mean((value - truth) ** 2, weight)), np.asarray(spread)))


def _weight(truth: Floats, weight: Floats | None) -> Floats:
    return np.ones(len(truth)) if weight is None else np.asarray(weight, dtype=np.float64)


def _mean(values: Floats, weight: Floats | None) -> float:
    weight = _weight(values, weight)
    return float(ratio(dot(weight, values), weight.sum()))
