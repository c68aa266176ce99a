from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kring.metrics.calibration import EDGES, FINE, fine_bin
from kring.metrics.cost import bayes_threshold, best_threshold, cost_curve, expected_cost, regret, unit_cost
from kring.metrics.scores import confusion

PRICES = st.floats(0.1, 50)


def histograms(truth, probability):
    bins = fine_bin(probability)
    return (
        np.bincount(bins, weights=truth, minlength=FINE),
        np.bincount(bins, weights=1 - truth, minlength=FINE),
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), PRICES, PRICES)
def test_the_curve_is_the_cost_at_each_threshold(seed, wrong_yes, wrong_no):
    rng = np.random.default_rng(seed)
    probability = rng.random(80)
    truth = (rng.random(80) < probability).astype(float)
    prices = {"false_positive": wrong_yes, "false_negative": wrong_no}
    curve = cost_curve(*histograms(truth, probability), **prices)
    for place in (0, 1, 50, 199):
        counts = confusion(truth, probability >= EDGES[place])
        assert curve[place] == pytest.approx(expected_cost(counts, **prices))
    assert curve[-1] == pytest.approx(wrong_no * truth.mean())
    best = best_threshold(curve)
    assert best.cost == curve.min()
    assert curve[round(float(best.threshold) * FINE)] == best.cost
    assert (regret(curve, best) >= 0).all()


def test_bayes_threshold_is_where_both_answers_cost_the_same():
    threshold = bayes_threshold(false_positive=4, false_negative=25)
    assert threshold == pytest.approx(4 / 29)
    assert (1 - threshold) * 4 == pytest.approx(threshold * 25)
    assert bayes_threshold(false_positive=0, false_negative=1) == 0
    for bad in ((0, 0), (-1, 2), (np.nan, 1), (np.inf, 1)):
        with pytest.raises(ValueError, match="prices"):
            bayes_threshold(false_positive=bad[0], false_negative=bad[1])


def test_on_true_probabilities_the_bayes_threshold_is_nearly_the_best():
    rng = np.random.default_rng(2)
    probability = rng.beta(2, 6, 200_000)
    truth = (rng.random(200_000) < probability).astype(float)
    prices = {"false_positive": 4.0, "false_negative": 25.0}
    best = best_threshold(cost_curve(*histograms(truth, probability), **prices))
    threshold = bayes_threshold(**prices)
    assert best.threshold == pytest.approx(threshold, abs=0.03)
    cost = expected_cost(confusion(truth, probability >= threshold), **prices)
    assert regret(cost, best) == pytest.approx(0, abs=0.01)


def test_without_rows_there_is_no_best_threshold():
    best = best_threshold(cost_curve(np.zeros(FINE), np.zeros(FINE), false_positive=1, false_negative=1))
    assert np.isnan(best.threshold)
    assert np.isnan(best.cost)


def test_units_over_and_under_have_their_own_price():
    over, under, rows = np.array(6.0), np.array(2.0), np.array(4.0)
    assert unit_cost(over=over, under=under, rows=rows, over_price=1.0, under_price=10.0) == pytest.approx(26 / 4)
