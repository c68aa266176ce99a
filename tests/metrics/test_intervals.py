from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from kring.errors import DataError
from kring.metrics.intervals import (
    Z,
    cluster_bootstrap,
    enough_groups,
    outer,
    percentile,
    quantile_interval,
    resamples,
    student,
    wilson,
)
from kring.metrics.measured import interval


def test_draws_are_multinomial_and_follow_the_seed():
    first, *drawn = resamples(7, draws=200, seed=3)
    assert first.tolist() == [1] * 7
    assert all(draw.sum() == 7 for draw in drawn)
    assert np.mean(drawn) == pytest.approx(1)
    again = list(resamples(7, draws=200, seed=3))
    other = list(resamples(7, draws=200, seed=4))
    assert np.array_equal(again[1:], drawn)
    assert not np.array_equal(other[1:], drawn)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(5, 40))
def test_rows_of_a_group_are_drawn_together(seed, n):
    rng = np.random.default_rng(seed)
    groups = rng.integers(-3, 3, n)
    drawn = cluster_bootstrap(lambda weight: weight, groups, draws=5, seed=seed)
    assert drawn.shape == (6, n)
    for group in np.unique(groups):
        assert (np.ptp(drawn[:, groups == group], axis=1) == 0).all()


def test_the_same_seed_pairs_the_draws():
    rng = np.random.default_rng(0)
    values, groups = rng.normal(size=400), rng.integers(0, 30, 400)
    mine, theirs = (
        cluster_bootstrap(lambda weight, of=of: np.average(of, weights=weight), groups, draws=200, seed=1)
        for of in (values + 0.01, values)
    )
    assert mine - theirs == pytest.approx(np.full(201, 0.01))
    low, high = interval(mine - theirs, groups=30)
    assert low == pytest.approx(high) == pytest.approx(0.01)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 500), st.integers(0, 500))
def test_wilson_equals_scipy(yes, no):
    low, high = wilson(yes, yes + no)
    if yes + no:
        expected = stats.binomtest(yes, yes + no).proportion_ci(method="wilson")
        assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-9)
        assert low <= yes / (yes + no) <= high
    else:
        assert (low, high) == (0, 1)


@pytest.mark.parametrize("freedom", [4, 5, 9, 29, 99, 1000])
def test_student_is_close_to_scipy_and_never_too_narrow(freedom):
    exact = stats.t.ppf(0.975, freedom)
    assert exact - 1e-4 <= student(freedom) <= exact * 1.007


def test_few_groups_widen_the_interval():
    drawn = np.random.default_rng(0).normal(size=4000)
    few, many = (np.subtract(*percentile(drawn, groups=groups)[::-1]) for groups in (6, 10_000))
    assert many == pytest.approx(2 * Z, rel=0.05)
    assert few > 1.2 * many


def test_undefined_draws_count_against_both_ends():
    drawn = np.linspace(0, 1, 1001)
    low, high = percentile(np.where(np.arange(1001) % 200 == 0, np.nan, drawn), groups=1000)
    assert np.isfinite([low, high]).all()
    low, high = percentile(np.where(np.arange(1001) % 20 == 0, np.nan, drawn), groups=1000)
    assert (low, high) == (-np.inf, np.inf)
    assert interval(np.where(np.arange(1001) % 20 == 1, np.nan, drawn), groups=1000) is None
    assert interval(np.full(10, np.nan), groups=1000) is None


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-2, 2))
def test_the_outer_interval_holds_the_percentile_interval_and_its_mirror(seed, value):
    drawn = np.random.default_rng(seed).normal(size=200)
    low, high = outer(np.asarray(value), drawn, groups=50)
    inner = percentile(drawn, groups=50)
    for end in (*inner, 2 * value - inner[0], 2 * value - inner[1], value):
        assert low <= end <= high


def test_too_few_groups_are_refused_in_words():
    assert enough_groups(np.arange(5)) == 5
    with pytest.raises(DataError, match="too few groups"):
        enough_groups(np.array([1, 1, 2, 3, 4]))


@pytest.mark.parametrize("n", [6, 49, 50, 400])
def test_order_statistics_of_the_median_are_those_of_the_binomial(n):
    values = np.arange(1.0, n + 1)
    middle, low, high = quantile_interval(np.flip(values), quantile=0.5)
    assert middle == np.ceil(n / 2)
    # X_(low) to X_(high) holds the median with P(low ≤ B < high), B binomial(n, 1/2)
    outside_low, outside_high = stats.binom.cdf(low - 1, n, 0.5), 1 - stats.binom.cdf(high - 1, n, 0.5)
    assert outside_low <= 0.025 < stats.binom.cdf(low, n, 0.5)
    assert outside_high <= 0.025 < 1 - stats.binom.cdf(high - 2, n, 0.5)


def test_a_short_sample_cannot_bound_a_high_quantile():
    values = np.arange(1000.0)
    assert quantile_interval(values[:367], quantile=0.99)[2] == np.inf
    assert quantile_interval(values[:368], quantile=0.99)[2] == 367
    assert np.isnan(quantile_interval(np.empty(0), quantile=0.5)[0])
    assert quantile_interval(values[:3], quantile=0.5)[1:] == (-np.inf, np.inf)


@pytest.mark.long
@pytest.mark.parametrize("days", [8, 30])
def test_the_interval_covers_the_truth_as_often_as_it_says(days):
    """Days that differ from each other: 95 % intervals by day cover about 95 %, those by row do not."""
    rng = np.random.default_rng(11)
    hits = {"day": 0, "row": 0}
    runs = 300
    for run in range(runs):
        day = np.repeat(np.arange(days), 20)
        values = rng.normal(size=days)[day] + rng.normal(size=len(day))
        for name, groups in (("day", day), ("row", np.arange(len(day)))):
            drawn = cluster_bootstrap(
                lambda weight, of=values: np.average(of, weights=weight), groups, draws=300, seed=run
            )
            low, high = interval(drawn, groups=len(np.unique(groups)))
            hits[name] += low <= 0 <= high
    assert 0.91 <= hits["day"] / runs <= 0.985
    assert hits["row"] / runs < 0.75
