"""Counts in frozen bins agree with counting one by one; no bet gains on what stays within its tolerance."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kring.metrics.drift import (
    BETS,
    FEW,
    advanced,
    bets_of,
    carried,
    cells,
    cuts_of,
    design_effect,
    errors_of,
    log_mean,
    shares,
)

VALUES = hnp.arrays(np.float64, st.integers(0, 60), elements=st.floats(allow_nan=True, allow_infinity=True))
FEW_VALUES = hnp.arrays(np.float64, st.integers(0, 60), elements=st.sampled_from([-1.0, 0.0, 0.5, 3.0, math.nan]))


def one_by_one(values: np.ndarray, cuts: np.ndarray) -> list[int]:
    counts = [0] * (len(cuts) + 2)
    for value in values.tolist():
        counts[len(cuts) + 1 if math.isnan(value) else sum(value >= cut for cut in cuts)] += 1
    return counts


@given(VALUES | FEW_VALUES, VALUES)
def test_cells_are_what_counting_one_by_one_gives(values: np.ndarray, learned: np.ndarray) -> None:
    cuts = cuts_of(learned)
    assert cells(values, cuts).tolist() == one_by_one(values, cuts)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.int8, np.bool_])
def test_many_values_are_counted_as_few_are(dtype: type) -> None:
    random = np.random.default_rng(3)
    values = random.normal(0, 20, 5 * FEW + 7).astype(dtype)
    cuts = cuts_of(random.normal(0, 20, 1000))
    parts = sum(cells(values[first : first + 100], cuts) for first in range(0, len(values), 100))
    assert cells(values, cuts).tolist() == np.asarray(parts).tolist()
    assert cells(values, cuts).sum() == len(values)


def test_many_missing_and_infinite_values_are_told_apart() -> None:
    values = np.tile([math.nan, -math.inf, math.inf, 0.5], FEW)
    assert cells(values, cuts_of(np.array([0.0, 1.0]))).tolist() == [FEW, 0, FEW, 0, FEW, FEW]


@given(VALUES | FEW_VALUES)
def test_cuts_rise_and_hold_what_was_learned_from(values: np.ndarray) -> None:
    cuts = cuts_of(values)
    assert np.isfinite(cuts).all()
    assert (np.diff(cuts) > 0).all()
    counts = cells(values[np.isfinite(values)], cuts)
    finite = np.abs(values) < np.finfo(np.float64).max
    assert counts[0] == 0
    assert counts[-2] == 0 or not finite[np.isfinite(values)].all() or not len(cuts)


def test_the_largest_number_there_is_may_be_learned_from() -> None:
    most = np.finfo(np.float64).max
    assert cuts_of(np.array([most, -most])).tolist() == [-most, np.nextafter(-most, 0), most]


def test_ten_bins_hold_a_tenth_each() -> None:
    values = np.random.default_rng(0).normal(size=10_000)
    assert cells(values, cuts_of(values)).tolist()[1:-2] == pytest.approx([1000] * 10, abs=1)


def test_a_value_that_most_rows_share_has_a_bin_of_its_own() -> None:
    random = np.random.default_rng(1)
    values = np.where(random.random(10_000) < 0.95, 0.0, random.gamma(2.0, size=10_000))
    cuts = cuts_of(values)
    counts = cells(values, cuts)
    assert counts.max() == (values == 0).sum()
    assert cells(np.full(5, 0.0), cuts)[np.argmax(counts)] == 5


def binomial(n: int, p: float) -> np.ndarray:
    k = np.arange(n + 1)
    logs = [math.lgamma(n + 1) - math.lgamma(each + 1) - math.lgamma(n - each + 1) for each in k.tolist()]
    return np.exp(np.array(logs) + k * math.log(p) + (n - k) * math.log1p(-p))


@given(
    expected=st.floats(0.0, 1.0),
    tolerance=st.floats(0.001, 0.3),
    within=st.floats(-1.0, 1.0),
    rows=st.integers(0, 40),
)
def test_no_bet_gains_within_the_tolerance(expected: float, tolerance: float, within: float, rows: int) -> None:
    bets = bets_of(np.array([expected]), np.array([tolerance]), np.ones(1))
    share = min(max(expected + within * tolerance, 1e-9), 1 - 1e-9)
    hits = np.arange(rows + 1.0)
    gains = [
        np.exp(advanced(np.zeros((1, 2, len(BETS))), np.array([each]), np.array([rows]), bets))[0] for each in hits
    ]
    mean = np.einsum("h,hsb->sb", binomial(rows, share), np.array(gains))
    assert (mean <= 1 + 1e-9).all()


def test_a_bet_gains_beyond_the_tolerance() -> None:
    bets = bets_of(np.array([0.5]), np.array([0.02]), np.ones(1))
    gains = advanced(np.zeros((1, 2, len(BETS))), np.array([290.0]), np.array([500.0]), bets)[0]
    assert (gains[0, :2] > 2).all(), "58 of 100, where 50 to 52 were allowed"
    assert (gains[1] < -3).all()


def test_an_impossible_side_is_closed() -> None:
    bets = bets_of(np.array([0.0, 1.0, 0.5]), np.array([0.02, 0.02, 0.6]), np.ones(3))
    assert bets.open.tolist() == [[True, False], [False, True], [False, False]]
    assert not bets.hit[~bets.open].any()
    assert np.isfinite(bets.hit).all()
    assert np.isfinite(bets.miss).all()


def test_winnings_are_held_where_they_are_more_than_enough() -> None:
    assert carried(np.array([1e6, -1e6, 0.0]), most=20.0).tolist() == pytest.approx([20.0, 0.0, math.log(2)])


def test_the_mean_of_logs_needs_no_large_numbers() -> None:
    assert log_mean(np.array([1e4, -1e5, 1e4]), np.ones(3)) == pytest.approx(1e4 + math.log(2 / 3))
    assert log_mean(np.array([7.0, 1.0]), np.array([0.0, 1.0])) == pytest.approx(1.0)
    assert log_mean(np.array([-np.inf]), np.ones(1)) == -math.inf
    assert log_mean(np.zeros(0), np.zeros(0)) == -math.inf


def test_rows_that_belong_together_widen_the_error() -> None:
    random = np.random.default_rng(5)
    hits = np.repeat(random.random(400) < 0.5, 25).astype(np.float64)
    together = np.bincount(np.repeat(np.arange(400), 25), weights=hits - hits.mean())
    apart = hits - hits.mean()
    variance = len(hits) * hits.mean() * (1 - hits.mean())
    assert design_effect(together, variance) == pytest.approx(25, rel=0.1)
    assert design_effect(apart, variance) == pytest.approx(1, abs=0.01)
    assert design_effect(together[:1], variance) == 1.0
    assert design_effect(together, 0.0) == 1.0


def test_errors_and_shares_without_rows() -> None:
    nothing = np.zeros(2)
    assert shares(nothing, nothing).tolist() == [0.0, 0.0]
    assert np.isinf(errors_of(nothing, nothing, np.ones(2))).all()
    known = errors_of(np.array([50.0, 0.0]), np.array([100.0, 100.0]), np.ones(2))
    assert known[0] == pytest.approx(0.05, rel=0.01)
    assert 0 < known[1] < 0.01
