"""Whether probabilities mean what they say, over equal-width bins.

There are 200 fine bins, [k/200, (k+1)/200), the last one closed; 20 of them make one of the ten bins
in which calibration is judged, so that counts kept in fine bins give the same answer as the rows.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kring.metrics.ranking import Floats, ratio

FINE: Final = 200
BINS: Final = 10
EDGES: Final = np.arange(FINE + 1) / FINE


class Curve(NamedTuple):
    """One entry per bin (…, 10): rows, mean probability and observed rate, NaN in empty bins."""

    rows: Floats
    predicted: Floats
    observed: Floats


def fine_bin(probability: Floats) -> NDArray[np.intp]:
    """The fine bin, 0 to 199, of each probability (n,)."""
    return np.searchsorted(EDGES[1:-1], probability, side="right")


def coarse(fine: Floats) -> Floats:
    """Sums over fine bins (…, 200) added up to the ten bins (…, 10)."""
    added: Floats = fine.reshape(*fine.shape[:-1], BINS, FINE // BINS).sum(axis=-1)
    return added


def calibration_of(rows: Floats, positive: Floats, predicted: Floats) -> Floats:
    """Expected calibration error from rows, positives and summed probabilities per bin, last axis bins:
    Σ_b (rows_b / rows) · |rate_b − mean probability_b| (Naeini, Cooper & Hauskrecht 2015). NaN without rows."""
    return ratio(np.abs(positive - predicted).sum(axis=-1), rows.sum(axis=-1))


def curve_of(rows: Floats, positive: Floats, predicted: Floats) -> Curve:
    """The calibration curve from the same sums (DeGroot & Fienberg 1983)."""
    return Curve(rows, ratio(predicted, rows), ratio(positive, rows))


def gap_noise(rows: Floats, positive: Floats, predicted: Floats) -> Floats:
    """How far each draw's gaps lie from those of the rows, Σ_b |gap*_b − gap_b|, (draws,), from sums with a leading
    axis 1 + draws.

    By the triangle inequality no calibration error is further from its estimate than the gaps are from theirs.
    """
    gaps = ratio(positive - predicted, rows.sum(axis=-1)[..., None])
    noise: Floats = np.abs(gaps[1:] - gaps[0]).sum(axis=-1)
    return noise


def calibration_error(truth: Floats, probability: Floats, *, weight: Floats | None = None) -> float:
    """Expected calibration error of `probability` (n,) against `truth` (n,) 0/1 over ten equal-width bins."""
    return float(calibration_of(*_sums(truth, probability, weight)))


def calibration_curve(truth: Floats, probability: Floats, *, weight: Floats | None = None) -> Curve:
    """Rows, mean probability and observed rate in ten equal-width bins."""
    return curve_of(*_sums(truth, probability, weight))


def _sums(truth: Floats, probability: Floats, weight: Floats | None) -> tuple[Floats, Floats, Floats]:
    weight = np.ones(len(truth)) if weight is None else np.asarray(weight, dtype=np.float64)
    bins = fine_bin(probability) // (FINE // BINS)
    sums = [np.bincount(bins, weights=of, minlength=BINS) for of in (weight, weight * truth, weight * probability)]
    rows, positive, predicted = (each.astype(np.float64) for each in sums)
    return rows, positive, predicted
