"""Scores of yes/no probabilities from sums over fine bins.

Rows under a bootstrap and integer counts of windows are brought into the same vector of sums (`LAYOUT`),
so one set of formulas serves both. Counts are integers, with probabilities and losses in millionths, so that
adding the counts of two windows is counting both together, in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kring.metrics.calibration import FINE, calibration_of, coarse, fine_bin, gap_noise
from kring.metrics.cost import best_threshold, cost_curve, expected_cost
from kring.metrics.intervals import cluster_bootstrap
from kring.metrics.ranking import Floats, area, dot, precision_area, rank, ratio
from kring.metrics.scores import Confusion, accuracy, f1, log_losses, positive_rate, precision, recall

LAYOUT: Final[Mapping[str, int]] = {
    "hist_pos": FINE,
    "hist_neg": FINE,
    "sum_p": FINE,
    "confusion": 4,
    "log_loss": 1,
    "brier": 1,
}
WIDTH: Final = sum(LAYOUT.values())
MILLIONTHS: Final = ("sum_p", "log_loss", "brier")
SCALE: Final = 1_000_000


class Sums(NamedTuple):
    """Sums over rows; leading axes are draws. `positive`, `negative` and `predicted` (summed probability)
    are per fine bin (…, 200), `cells` at the policy's threshold, losses summed (…)."""

    positive: Floats
    negative: Floats
    predicted: Floats
    cells: Confusion
    log_loss: Floats
    brier: Floats

    @property
    def rows(self) -> Floats:
        """The number of rows, as weighted."""
        return self.cells.rows


class Drawn(NamedTuple):
    """Scores of rows with leading axis 1 + draws: the value, then the draws."""

    sums: Sums
    roc_auc: Floats
    average_precision: Floats


def count_rows(truth: Floats, probability: Floats, *, threshold: float) -> dict[str, tuple[int, ...]]:
    """Integer counts of `truth` (n,), NaN where missing, and `probability` (n,) in [0, 1], NaN where nothing answered.

    `n`, `missing` (no truth) and `unanswered` (truth, but no probability), one number each, and the vectors of
    `LAYOUT` over the n rows that have both; `confusion` is right yes, wrong yes, right no, wrong no.
    """
    known, answered = ~np.isnan(truth), ~np.isnan(probability)
    both = known & answered
    true, score = truth[both], probability[both]
    positive, yes, bins = true == 1, score >= threshold, fine_bin(score)
    sides = np.bincount(bins + FINE * positive, minlength=2 * FINE).tolist()
    predicted = np.bincount(bins, weights=np.rint(score * SCALE), minlength=FINE)
    cells = np.bincount(np.where(positive, np.where(yes, 0, 3), np.where(yes, 1, 2)), minlength=4)
    seen = int(known.sum())
    return {
        "n": (len(true),),
        "missing": (len(truth) - seen,),
        "unanswered": (seen - len(true),),
        "hist_pos": tuple(sides[FINE:]),
        "hist_neg": tuple(sides[:FINE]),
        "sum_p": tuple(predicted.astype(np.int64).tolist()),
        "confusion": tuple(cells.tolist()),
        "log_loss": (int(np.rint(log_losses(true, score) * SCALE).sum()),),
        "brier": (int(np.rint((score - true) ** 2 * SCALE).sum()),),
    }


def window_sums(windows: Sequence[Mapping[str, tuple[int, ...]]], weights: Floats) -> Sums:
    """Sums of windows, each weighted: `weights` (draws, windows) gives sums with a leading axis of draws.
    A window without counts is a window without rows."""
    table = np.zeros((len(windows), WIDTH))
    for place, window in enumerate(windows):
        for name, vector in _split(table[place]).items():
            if name in window:
                vector[:] = np.divide(window[name], SCALE if name in MILLIONTHS else 1)
    return _sums(weights @ table)


def window_auc(sums: Sums) -> Floats:
    """ROC AUC (…) with scores of one fine bin taken as equal; differs from that of the rows by at most
    half the share of pairs that lie in the same bin."""
    rows = sums.positive + sums.negative
    true, every = (np.cumsum(of[..., ::-1], axis=-1) for of in (sums.positive, rows))
    return area(true, every)


def drawn_rows(
    truth: Floats,
    probabilities: Sequence[Floats],
    *,
    groups: NDArray[np.int64],
    threshold: float,
    draws: int,
    seed: int,
) -> list[Drawn]:
    """What each of `probabilities` (n,) scores against `truth` (n,), known: as the rows are, then for each draw
    of whole `groups` (n,). All share the draws, so that their differences are paired."""
    statistics = [_statistic(truth, each, threshold=threshold) for each in probabilities]
    drawn = cluster_bootstrap(
        lambda weight: np.stack([statistic(weight) for statistic in statistics]), groups, draws=draws, seed=seed
    )
    return [Drawn(_sums(each[:, :WIDTH]), each[:, WIDTH], each[:, WIDTH + 1]) for each in np.moveaxis(drawn, 1, 0)]


def bin_scores(sums: Sums) -> dict[str, Floats]:
    """Every score without a price that sums give exactly, by name, each (…)."""
    return {
        "log_loss": ratio(sums.log_loss, sums.rows),
        "brier": ratio(sums.brier, sums.rows),
        "calibration_error": calibration_of(*calibration_sums(sums)),
        "accuracy": accuracy(sums.cells),
        "precision": precision(sums.cells),
        "recall": recall(sums.cells),
        "f1": f1(sums.cells),
        "positive_rate": positive_rate(sums.cells),
    }


def bin_costs(sums: Sums, *, false_positive: float, false_negative: float) -> dict[str, Floats]:
    """Cost per decision at the policy's threshold and at the best one on the data, each (…)."""
    best = best_threshold(bin_cost_curve(sums, false_positive=false_positive, false_negative=false_negative))
    return {
        "expected_cost": expected_cost(sums.cells, false_positive=false_positive, false_negative=false_negative),
        "best_threshold": best.threshold,
        "best_threshold_cost": best.cost,
    }


def bin_cost_curve(sums: Sums, *, false_positive: float, false_negative: float) -> Floats:
    """`cost_curve` of the sums, (…, 201)."""
    return cost_curve(sums.positive, sums.negative, false_positive=false_positive, false_negative=false_negative)


def calibration_sums(sums: Sums) -> tuple[Floats, Floats, Floats]:
    """Rows, positives and summed probability in the ten bins of calibration, each (…, 10)."""
    positive = coarse(sums.positive)
    return positive + coarse(sums.negative), positive, coarse(sums.predicted)


def calibration_noise(sums: Sums) -> Floats:
    """How far each draw's gaps of the ten bins lie from those of the rows, (draws,); see `gap_noise`."""
    return gap_noise(*calibration_sums(sums))


def _statistic(truth: Floats, probability: Floats, *, threshold: float) -> Callable[[Floats], Floats]:
    """The vector of `LAYOUT`, then ROC AUC and average precision, as a function of the rows' weights (n,).

    In the order of scores the rows of a bin lie side by side, so that every sum is a difference of two
    cumulated weights. Arrays as long as the rows are made once and written over.
    """
    ranked = rank(truth, probability)
    score = probability[ranked.order]
    bins = fine_bin(score)
    starts = np.flatnonzero(np.diff(bins, prepend=FINE))
    cuts = len(bins) - np.searchsorted(bins[::-1], np.arange(FINE + 1))
    yes = int(np.count_nonzero(score >= threshold))
    log_loss, brier = log_losses(ranked.positive, score), (score - ranked.positive) ** 2
    true, every = np.zeros((2, len(score) + 1))
    mine, product = np.empty((2, len(score)))
    last = slice(1, None) if len(ranked.ends) == len(score) else ranked.ends + 1

    def statistic(weight: Floats) -> Floats:
        np.take(weight, ranked.order, out=mine, mode="clip")
        np.cumsum(mine, out=every[1:])
        np.cumsum(np.multiply(mine, ranked.positive, out=product), out=true[1:])
        positive = true[cuts[:-1]] - true[cuts[1:]]
        predicted = np.zeros(FINE)
        predicted[bins[starts]] = np.add.reduceat(np.multiply(mine, score, out=product), starts)
        found, said, had, rows = true[yes], every[yes], true[-1], every[-1]
        cells = (found, said - found, rows - said - (had - found), had - found)
        return np.concatenate(
            [
                positive,
                every[cuts[:-1]] - every[cuts[1:]] - positive,
                predicted,
                cells,
                (dot(mine, log_loss), dot(mine, brier)),
                (area(true[last], every[last]), precision_area(true[last], every[last])),
            ]
        )

    return statistic


def _split(vector: Floats) -> dict[str, Floats]:
    """Views of the parts of a vector (…, WIDTH), by name."""
    parts = np.split(vector, np.cumsum(list(LAYOUT.values()))[:-1], axis=-1)
    return dict(zip(LAYOUT, parts, strict=True))


def _sums(vector: Floats) -> Sums:
    parts = _split(vector)
    cells = parts["confusion"]
    return Sums(
        parts["hist_pos"],
        parts["hist_neg"],
        parts["sum_p"],
        Confusion(cells[..., 0], cells[..., 1], cells[..., 2], cells[..., 3]),
        parts["log_loss"][..., 0],
        parts["brier"][..., 0],
    )
