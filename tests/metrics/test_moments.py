from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kring.metrics import scores
from kring.metrics.moments import count_values, drawn_values, value_scores, window_moments

NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=40))
def test_sums_give_the_scores_of_the_rows(pairs):
    truth, value = np.array(pairs).T
    [drawn] = drawn_values(truth, [value], groups=np.arange(len(truth)), draws=2, seed=0)
    counted = window_moments([count_values(truth, value)], np.ones((1, 1)))
    for sums in (drawn, counted):
        found = value_scores(sums)
        assert found["mae"][0] == pytest.approx(scores.mae(truth, value), rel=1e-9, abs=1e-6)
        assert found["rmse"][0] == pytest.approx(scores.rmse(truth, value), rel=1e-9, abs=1e-6)
        assert found["bias"][0] == pytest.approx(scores.bias(truth, value), rel=1e-9, abs=1e-6)
        if np.ptp(truth) > max(1e-2, 1e-2 * np.abs(truth).max()):
            assert found["r2"][0] == pytest.approx(scores.r2(truth, value), rel=1e-6, abs=1e-6)


def test_huge_numbers_do_not_overflow():
    truth, value = np.array([1e15, -1e15]), np.array([-1e15, 1e15])
    counts = count_values(truth, value)
    assert counts["squared"][0] == pytest.approx(2 * (2 * 10**24) ** 2, rel=1e-12)
    assert value_scores(window_moments([counts], np.ones((1, 1))))["rmse"][0] == pytest.approx(2e15)


def test_missing_truth_and_missing_answers_are_counted_and_not_scored():
    counts = count_values(np.array([1.0, np.nan, 3.0]), np.array([2.0, 5.0, np.nan]))
    assert (counts["n"], counts["missing"], counts["unanswered"]) == ((1,), (1,), (1,))
    assert counts["error"] == (10**9,)


def test_a_truth_that_is_all_but_constant_has_no_r2():
    truth = np.array([0.0, 2.8615024387279513e-158])
    [sums] = drawn_values(truth, [truth + 1], groups=np.arange(2), draws=2, seed=0)
    assert np.isnan(value_scores(sums)["r2"][0])


def test_a_constant_truth_has_no_r2():
    truth = np.full(9, 0.1)
    for sums in (
        drawn_values(truth, [truth + 1], groups=np.arange(9), draws=3, seed=0)[0],
        window_moments([count_values(truth, truth + 1)], np.ones((1, 1))),
    ):
        assert np.isnan(value_scores(sums)["r2"]).all()
