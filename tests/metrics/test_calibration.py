from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve as their_curve

from kring.metrics.calibration import BINS, EDGES, FINE, calibration_curve, calibration_error, fine_bin


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 200))
def test_the_curve_equals_scikit_learn(seed, n):
    rng = np.random.default_rng(seed)
    probability = rng.random(n)
    truth = (rng.random(n) < probability**2).astype(float)
    curve = calibration_curve(truth, probability)
    filled = curve.rows > 0
    observed, predicted = their_curve(truth, probability, n_bins=BINS)
    assert curve.observed[filled] == pytest.approx(observed)
    assert curve.predicted[filled] == pytest.approx(predicted)
    by_hand = np.sum(curve.rows[filled] / n * np.abs(observed - predicted))
    assert calibration_error(truth, probability) == pytest.approx(by_hand)


def test_by_hand():
    truth = np.array([0.0, 1.0, 1.0, 1.0])
    probability = np.array([0.12, 0.18, 0.93, 0.97])
    # bin 1: rate 0.5 against 0.15; bin 9: rate 1 against 0.95
    assert calibration_error(truth, probability) == pytest.approx(0.5 * 0.35 + 0.5 * 0.05)
    weight = np.array([2.0, 0.0, 1.0, 1.0])
    assert calibration_error(truth, probability, weight=weight) == pytest.approx(0.5 * 0.12 + 0.5 * 0.05)


def test_edges_belong_to_the_bin_above_and_the_last_is_closed():
    bins = fine_bin(EDGES)
    assert bins.tolist() == [*range(FINE), FINE - 1]
    tenths = fine_bin(np.arange(11) / 10) // (FINE // BINS)
    assert tenths.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9]


def test_true_probabilities_are_calibrated_and_squeezed_ones_are_not():
    rng = np.random.default_rng(5)
    probability = rng.random(50_000)
    truth = (rng.random(50_000) < probability).astype(float)
    assert calibration_error(truth, probability) < 0.01
    assert calibration_error(truth, 0.5 + (probability - 0.5) / 2) == pytest.approx(0.125, abs=0.01)


def test_without_rows_it_is_not_defined():
    assert np.isnan(calibration_error(np.empty(0), np.empty(0)))
