"""Scores of probabilities over several labels from sums over rows.

Rows under a bootstrap and integer counts of windows are brought into the same sums, so one set of formulas
serves both. Counts are integers, with probabilities and losses in millionths, so that adding the counts of two
windows is counting both together, in any order.

Whether each label is ranked before the others is counted in bins of its probability. Windows share fixed bins,
evenly spaced in log-odds, where the probabilities of many labels crowd at 0 and 1. The draws of rows have bins with
equal shares of the rows; there the value itself is exact, and the draws are moved by what the bins were wrong by.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kring.metrics.calibration import BINS, FINE, calibration_of, fine_bin
from kring.metrics.intervals import cluster_bootstrap
from kring.metrics.labels import (
    Labels,
    among_first,
    balanced_accuracy,
    f1s,
    label_accuracy,
    label_briers,
    label_log_losses,
    least_cost,
    macro,
    mean_of,
    missing_cost,
    precisions,
    recalls,
)
from kring.metrics.ranking import Floats, area, dot, ratio
from kring.metrics.scores import roc_auc

SCALE: Final = 1_000_000
ODDS_BINS: Final = 100
ODDS_EDGES: Final = 1 / (1 + np.exp(-np.linspace(-10, 10, ODDS_BINS - 1)))
RANKS: Final = 256
"""Bins of equal share, as many of a label's own rows as of the others'."""

SECOND: Final = 2
LOSSES: Final = ("log_loss", "brier", "top_2")
SURE: Final = ("sure_rows", "sure_right", "sure_sum")
MILLIONTHS: Final = ("sure_sum", "log_loss", "brier")


class LabelSums(NamedTuple):
    """Sums over rows; leading axes are draws. `table` (…, k, k) is truth by decision; `sure` (…, 3, 10) the rows,
    the right ones and the summed probability of the most probable label, in the ten bins of that probability;
    `losses` (…, 3) the log losses, the Brier scores and the rows whose label is one of the two most probable."""

    table: Floats
    sure: Floats
    losses: Floats

    @property
    def rows(self) -> Floats:
        """The number of rows, as weighted."""
        return np.asarray(self.table.sum(axis=(-2, -1)), dtype=np.float64)


class LabelsDrawn(NamedTuple):
    """Sums and scores of rows with leading axis 1 + draws: the value, then the draws."""

    sums: LabelSums
    roc_auc: Floats


def count_labels(truth: Floats, probabilities: Floats, *, prices: Floats) -> dict[str, tuple[int, ...]]:
    """Integer counts of `truth` (n,), codes with NaN where missing, and `probabilities` (n, k), NaN where nothing
    answered.

    `n`, `missing` (no truth) and `unanswered` (truth, but no probabilities), one number each; over the n rows that
    have both `table` (k·k), the vectors of `SURE` (10 each), the sums of `LOSSES`, and per label the bins of its
    probability over its `own` rows and over `all` (100 each, label by label).
    """
    known, answered = ~np.isnan(truth), ~np.isnan(probabilities).any(axis=1)
    both = known & answered
    true, given = truth[both].astype(np.intp), probabilities[both]
    labels, seen = given.shape[1], int(known.sum())
    cells = np.bincount(true * labels + least_cost(given, prices), minlength=labels * labels)
    top = np.argmax(given, axis=1)
    sure = given[np.arange(len(given)), top]
    bins, right = fine_bin(sure) // (FINE // BINS), top == true
    places = np.searchsorted(ODDS_EDGES, given, side="right") + np.arange(labels) * ODDS_BINS
    own = np.bincount(places[np.arange(len(given)), true], minlength=labels * ODDS_BINS)
    whole = np.bincount(places.ravel(), minlength=labels * ODDS_BINS)
    return {
        "n": (len(true),),
        "missing": (len(truth) - seen,),
        "unanswered": (seen - len(true),),
        "table": _integers(cells),
        "sure_rows": _integers(np.bincount(bins, minlength=BINS)),
        "sure_right": _integers(np.bincount(bins[right], minlength=BINS)),
        "sure_sum": _integers(np.bincount(bins, weights=np.rint(sure * SCALE), minlength=BINS)),
        "log_loss": (int(np.rint(label_log_losses(true, given) * SCALE).sum()),),
        "brier": (int(np.rint(label_briers(true, given) * SCALE).sum()),),
        "top_2": (int(among_first(true, given, first=SECOND).sum()),),
        "own": _integers(own),
        "all": _integers(whole),
    }


def window_labels(windows: Sequence[Mapping[str, tuple[int, ...]]], weights: Floats, *, labels: int) -> LabelsDrawn:
    """Sums and ROC AUC of windows, each weighted: `weights` (draws, windows) gives a leading axis of draws.
    A window without counts is a window without rows. Scores of one bin count as equal in the ROC AUC."""
    draws = len(weights)

    def summed(name: str, width: int) -> Floats:
        rows = [window.get(name, (0,) * width) for window in windows]
        table = np.array(rows, dtype=np.float64).reshape(len(windows), width)
        return weights @ table / (SCALE if name in MILLIONTHS else 1)

    sums = LabelSums(
        summed("table", labels * labels).reshape(draws, labels, labels),
        np.stack([summed(name, BINS) for name in SURE], axis=1),
        np.concatenate([summed(name, 1) for name in LOSSES], axis=1),
    )
    own, whole = (summed(name, labels * ODDS_BINS).reshape(draws, labels, ODDS_BINS) for name in ("own", "all"))
    return LabelsDrawn(sums, mean_of(_areas(own, whole)))


def drawn_labels(
    truth: Labels,
    probabilities: Sequence[Floats],
    *,
    groups: NDArray[np.int64],
    prices: Floats,
    draws: int,
    seed: int,
) -> list[LabelsDrawn]:
    """What each of `probabilities` (n, k) scores against `truth` (n,), known: as the rows are, then for each draw
    of whole `groups` (n,). All share the draws, so that their differences are paired."""
    statistics = [_statistic(truth, each, prices=prices) for each in probabilities]
    drawn = cluster_bootstrap(
        lambda weight: np.stack([statistic(weight) for statistic in statistics]), groups, draws=draws, seed=seed
    )
    found = []
    for each, given in zip(np.moveaxis(drawn, 1, 0), probabilities, strict=True):
        exact = float(mean_of(np.array([roc_auc((truth == label) * 1.0, p) for label, p in enumerate(given.T)])))
        shifted = each[:, -1] + (exact - each[0, -1])
        found.append(LabelsDrawn(_sums(each[:, :-1], labels=len(prices)), np.clip(shifted, 0.0, 1.0)))
    return found


def label_scores(sums: LabelSums) -> dict[str, Floats]:
    """Every score without a price or a label's name that sums give, by name, each (…)."""
    table, rows = sums.table, sums.rows
    return {
        "accuracy": label_accuracy(table),
        "balanced_accuracy": balanced_accuracy(table),
        "macro_f1": macro(f1s(table), table),
        "macro_precision": macro(precisions(table), table),
        "macro_recall": macro(recalls(table), table),
        "log_loss": ratio(sums.losses[..., 0], rows),
        "brier": ratio(sums.losses[..., 1], rows),
        "top_2_accuracy": ratio(sums.losses[..., 2], rows),
        "calibration_error": calibration_of(*sure_sums(sums)),
    }


def label_costs(sums: LabelSums, prices: Floats) -> dict[str, Floats]:
    """Cost per decision when missing a label costs its price, (…)."""
    return {"expected_cost": missing_cost(sums.table, prices)}


def sure_sums(sums: LabelSums) -> tuple[Floats, Floats, Floats]:
    """Rows, right ones and summed probability of the most probable label in the ten bins, each (…, 10)."""
    return sums.sure[..., 0, :], sums.sure[..., 1, :], sums.sure[..., 2, :]


def _statistic(truth: Labels, probabilities: Floats, *, prices: Floats) -> Callable[[Floats], Floats]:
    """The sums of `LabelSums`, flat, then the mean ROC AUC by bins, as a function of the rows' weights (n,)."""
    labels = len(prices)
    cells = truth * labels + least_cost(probabilities, prices)
    top = np.argmax(probabilities, axis=1)
    sure = probabilities[np.arange(len(top)), top]
    bins = fine_bin(sure) // (FINE // BINS)
    sides = bins + BINS * (top == truth)
    losses = np.stack(
        [
            label_log_losses(truth, probabilities),
            label_briers(truth, probabilities),
            among_first(truth, probabilities, first=SECOND) * 1.0,
        ]
    )
    ranks = [_rank_bins(truth == label, given) for label, given in enumerate(probabilities.T)]

    def statistic(weight: Floats) -> Floats:
        table = np.bincount(cells, weights=weight, minlength=labels * labels)
        wrong, right = np.bincount(sides, weights=weight, minlength=2 * BINS).reshape(2, BINS)
        said = np.bincount(bins, weights=weight * sure, minlength=BINS)
        counted = [np.bincount(rank, weights=weight, minlength=4 * RANKS) for rank in ranks]
        others, own = np.array(counted, dtype=np.float64).reshape(labels, 2, 2 * RANKS).swapaxes(0, 1)
        auc = mean_of(_areas(own, others + own))
        return np.concatenate([table, wrong + right, right, said, dot(losses, weight), [auc]])

    return statistic


def _rank_bins(own: NDArray[np.bool_], score: Floats) -> Labels:
    """Each row's bin of `score` (n,), below 512, and 512 more for the label's own rows; each score has a bin of
    its own where there are so few."""
    values = np.unique(score)
    if len(values) <= 2 * RANKS:
        return np.searchsorted(values, score) + 2 * RANKS * own
    steps = np.arange(1, RANKS) / RANKS
    edges = [np.quantile(part, steps) for part in (score[own], score[~own]) if len(part)]
    places = np.searchsorted(np.unique(np.concatenate([*edges, []])), score, side="right")
    return places + 2 * RANKS * own


def _areas(own: Floats, whole: Floats) -> Floats:
    """ROC AUC of each label (…, k) from its own and all rows per bin (…, k, bins); NaN without own or others."""
    true, every = (np.cumsum(of[..., ::-1], axis=-1) for of in (own, whole))
    return area(true, every)


def _sums(vector: Floats, *, labels: int) -> LabelSums:
    cells, sure, losses = np.split(vector, np.cumsum([labels * labels, 3 * BINS]), axis=-1)
    return LabelSums(cells.reshape(-1, labels, labels), sure.reshape(-1, 3, BINS), losses)


def _integers(values: NDArray[np.generic]) -> tuple[int, ...]:
    return tuple(values.astype(np.int64).tolist())
