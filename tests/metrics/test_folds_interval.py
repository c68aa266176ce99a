from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kring.metrics.folds import folded

SCORES = arrays(np.float64, st.integers(2, 10), elements=st.floats(-100, 100))


@given(SCORES, st.floats(0.01, 2.0))
def test_the_mean_lies_in_the_middle_and_equal_scores_have_no_width(scores: np.ndarray, ratio: float) -> None:
    rows = np.full(len(scores), 100.0)
    value, low, high = folded(scores, answered=ratio * rows, learned=rows)
    assert value == pytest.approx(scores.mean(), abs=1e-9)
    assert low <= value <= high
    assert value - low == pytest.approx(high - value, abs=1e-9)
    flat = folded(np.full(len(scores), 0.75), answered=rows, learned=rows)
    assert flat == (0.75, 0.75, 0.75)


def test_it_is_the_formula_of_the_paper() -> None:
    """Ten folds of 90 to learn from and 10 to answer: t(9) = 2.262, variance s² (1/10 + 1/9)."""
    scores = np.array([0.71, 0.74, 0.69, 0.75, 0.73, 0.70, 0.72, 0.76, 0.68, 0.72])
    _, low, high = folded(scores, answered=np.full(10, 10.0), learned=np.full(10, 90.0))
    assert (high - low) / 2 == pytest.approx(2.262 * scores.std(ddof=1) * (1 / 10 + 1 / 9) ** 0.5, rel=1e-3)


def test_it_covers_where_the_plain_interval_does_not() -> None:
    """The mean of a normal sample, by ten folds over and over: folds that overlap are not independent, yet at
    least 95 of 100 intervals hold what a candidate fitted on 90 rows is worth."""
    chance, inside, plain = np.random.default_rng(4), 0, 0
    for _ in range(200):
        sample = chance.normal(0, 1, 100)
        parts = np.array_split(chance.permutation(100), 10)
        scores = np.array([np.mean((sample[part] - np.delete(sample, part).mean()) ** 2) for part in parts])
        _, low, high = folded(scores, answered=np.full(10, 10.0), learned=np.full(10, 90.0))
        half = (high - low) / 2 * ((1 / 10) / (1 / 10 + 1 / 9)) ** 0.5
        inside += low <= 1 + 1 / 90 <= high
        plain += abs(scores.mean() - 1 - 1 / 90) <= half
    assert inside >= 190
    assert plain < inside
