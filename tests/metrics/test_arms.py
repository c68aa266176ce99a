"""Formulas of arms against what scipy says, and under their null hypotheses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from kring.metrics.arms import COHORT, coverage_log, split_log, split_p, welch


@given(st.integers(0, 10_000), st.integers(2, 60), st.integers(2, 60))
def test_welch_is_that_of_scipy(seed: int, n: int, m: int) -> None:
    chance = np.random.default_rng(seed)
    new, old = chance.normal(0.3, 1, n), chance.normal(0, 2, m)
    mine, theirs = welch(new, old, alpha=0.1), stats.ttest_ind(new, old, equal_var=False)
    ends = theirs.confidence_interval(0.9)
    assert np.allclose(mine, (ends.low, ends.high, theirs.pvalue), rtol=1e-9)


def test_welch_of_nearly_nothing() -> None:
    assert welch([1.0], [0.0, 1.0], alpha=0.05) == (-np.inf, np.inf, 1.0)
    assert welch([1, 1, 1], [1, 1], alpha=0.05) == (0, 0, 1)
    assert welch([2, 2, 2], [1, 1], alpha=0.05) == (1, 1, 0)


@pytest.mark.parametrize(("units", "shares"), [([44700, 45489], [0.5, 0.5]), ([10, 30, 60], [0.2, 0.2, 0.6])])
def test_the_split_is_that_of_scipy(units: list[int], shares: list[float]) -> None:
    expected = stats.chisquare(units, np.sum(units) * np.array(shares)).pvalue
    assert split_p(units, shares) == pytest.approx(expected)
    assert split_p([0] * len(units), shares) == 1
    assert split_log([0] * len(units), shares) == 0


def test_a_wrong_split_is_found_and_a_right_one_is_not() -> None:
    chance = np.random.default_rng(0)
    ever = 0
    for _ in range(200):
        counts = np.cumsum(chance.multinomial(50, [0.2, 0.3, 0.5], size=60), axis=0)
        ever += max(split_log(row, [0.2, 0.3, 0.5]) for row in counts) >= np.log(20)
    assert ever <= 20, "at most one in twenty, and this is far beyond its spread"
    assert split_log([5300, 4700], [0.5, 0.5]) > np.log(1000)


def test_coverage_counts_whole_cohorts_and_finds_what_is_missing() -> None:
    chance = np.random.default_rng(1)
    new = chance.random(4000) < 0.5
    assert coverage_log(new[: COHORT - 1], new[: COHORT - 1]) == 0
    assert coverage_log(new, np.ones(4000, dtype=np.bool_)) == pytest.approx(0)
    even = [coverage_log(new, chance.random(4000) < 0.8) for _ in range(40)]
    assert sum(one >= np.log(20) for one in even) <= 6
    assert coverage_log(new, chance.random(4000) < np.where(new, 0.85, 0.75)) > np.log(1000)
