"""Planted rows are found; clean, noisy and drifting ones are not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kring.learn.poisoning import (
    FEWEST_NEW,
    FEWEST_OLD,
    burst,
    contradicted,
    flips,
    more_by_chance,
    trusted,
)
from kring.metrics.neighbours import Points, against, largest_cells, scaled

OLD, NEW = 2400, 900


def rows(n: int, *, seed: int, sign: float = 1.0) -> Points:
    """Two numbers and a category; the label follows from them, with noise."""
    chance = np.random.default_rng(seed)
    numbers, codes = chance.normal(size=(n, 2)), chance.integers(0, 3, size=(n, 1))
    score = sign * (2.5 * numbers[:, 0] - 1.5 * numbers[:, 1]) + 0.5 * codes[:, 0]
    return Points(numbers, codes, (chance.random(n) < 1 / (1 + np.exp(-score))).astype(np.float64))


def flipped(points: Points, share: float, *, seed: int) -> Points:
    wrong = np.random.default_rng(seed).random(points.n) < share
    return points._replace(truth=np.where(wrong, 1 - points.truth, points.truth))


@pytest.mark.parametrize("seed", range(6))
def test_flipped_labels_are_found_and_clean_ones_are_not(seed: int) -> None:
    old, new = rows(OLD, seed=seed), rows(NEW, seed=100 + seed)
    assert not [one.words for one in flips(old, new, labelled=True, seed=0) if one.is_more]
    found = [one for one in flips(old, flipped(new, 0.2, seed=seed), labelled=True, seed=0) if one.is_more]
    assert found
    assert "contradict the rows most like them" in found[0].words


def test_what_has_really_changed_is_no_poison() -> None:
    old, new = rows(OLD, seed=1), rows(NEW, seed=2, sign=-1.0)
    assert not [one.words for one in flips(old, new, labelled=True, seed=0) if one.is_more]


@pytest.mark.parametrize("seed", range(3))
def test_noisy_labels_that_become_more_frequent_are_no_poison(seed: int) -> None:
    """Storms: whatever is like a late flight, three times as many are late. Flipped beside that they are found."""

    def stormy(n: int, late: float, *, seed: int) -> Points:
        points = rows(n, seed=seed)
        odds = np.exp(1.5 * points.numbers[:, 0]) * late / (1 - late)
        return points._replace(
            truth=(np.random.default_rng(1000 + seed).random(n) < odds / (1 + odds)).astype(np.float64)
        )

    old, new = stormy(4 * OLD, 0.08, seed=seed), stormy(3 * NEW, 0.25, seed=100 + seed)
    assert not [one.words for one in flips(old, new, labelled=True, seed=0) if one.is_more]
    wrong = flipped(new, 0.2, seed=seed)
    assert [one for one in flips(old, wrong, labelled=True, seed=0) if one.is_more]


def test_chance_by_hand() -> None:
    """Of two labels as frequent as each other ten others contradict by seven or more in 176 of 1,024 cases."""
    even, one_in_four = np.array([0.0, 1.0]), np.array([0.0, 0.0, 0.0, 1.0])
    assert contradicted(even, far=0.7) == pytest.approx(176 / 1024)
    assert contradicted(one_in_four, far=0.7) == pytest.approx(0.1965, abs=5e-4)
    assert contradicted(np.zeros(5), far=0.7) == 0.0
    assert more_by_chance(one_in_four, even, far=0.7) == pytest.approx(0.1965 * 1024 / 176, abs=5e-3)
    assert more_by_chance(even, one_in_four, far=0.7) == 1.0, "what is rarer is no excuse"
    assert more_by_chance(even, np.zeros(5), far=0.7) == 1.0


def test_numbers_far_from_those_of_rows_like_them() -> None:
    def priced(n: int, seed: int) -> Points:
        points = rows(n, seed=seed)
        noise = np.random.default_rng(seed).normal(0, 0.3, n)
        return points._replace(truth=3 * points.numbers[:, 0] + noise)

    old, new = priced(OLD, 1), priced(NEW, 2)
    assert not [one for one in flips(old, new, labelled=False, seed=0) if one.is_more]
    wrong = np.arange(NEW) % 12 == 0
    assert [
        one for one in flips(old, new._replace(truth=new.truth + 40 * wrong), labelled=False, seed=0) if one.is_more
    ]


def test_a_burst_of_almost_equal_rows() -> None:
    old, new = rows(OLD, seed=1), rows(NEW, seed=2)
    quiet = burst(old, new)
    assert quiet is not None
    assert not quiet.is_one
    copies = np.repeat(new.numbers[:1], 40, axis=0) + np.random.default_rng(3).normal(0, 0.005, (40, 2))
    crowd = Points(np.vstack([new.numbers, copies]), np.vstack([new.codes, np.repeat(new.codes[:1], 40, axis=0)]),
                   np.concatenate([new.truth, np.ones(40)]))  # fmt: skip
    found = burst(old, crowd)
    assert found is not None
    assert found.is_one
    assert found.rows >= 40
    assert "almost copies" in found.words


def test_what_always_comes_in_crowds_is_no_burst() -> None:
    def few(n: int, seed: int) -> Points:
        codes = np.random.default_rng(seed).integers(0, 5, size=(n, 1))
        return Points(np.zeros((n, 0)), codes, np.zeros(n))

    found = burst(few(OLD, 1), few(NEW, 2))
    assert found is not None
    assert not found.is_one


def test_too_few_rows_say_nothing() -> None:
    enough, few = rows(FEWEST_OLD, seed=1), rows(FEWEST_NEW - 1, seed=2)
    assert flips(enough, few, labelled=True, seed=0) == []
    assert burst(enough, few) is None
    assert flips(rows(FEWEST_OLD - 1, seed=1), rows(FEWEST_NEW, seed=2), labelled=True, seed=0) == []
    assert trusted(np.ones(10), np.ones(10)) is None


def test_trusted_rows_that_are_answered_worse() -> None:
    chance = np.random.default_rng(1)
    without = chance.exponential(0.4, 500)
    same = trusted(without, without + chance.normal(0, 0.02, 500))
    assert same is not None
    assert not same.is_worse
    worse = trusted(without, without + 0.03 + chance.normal(0, 0.02, 500))
    assert worse is not None
    assert worse.is_worse
    assert "500 trusted rows worse" in worse.words


@settings(max_examples=30)
@given(st.integers(20, 60), st.integers(0, 2**31))
def test_neighbours_by_hand(n: int, seed: int) -> None:
    points = rows(n, seed=seed)
    found = against(points, points, labelled=True, alike=True)
    apart = ((points.numbers[:, None] - points.numbers[None]) ** 2).sum(axis=2)
    apart += points.codes[:, None, 0] != points.codes[None, :, 0]
    np.fill_diagonal(apart, np.inf)
    near = np.argsort(apart, axis=1)[:, :10]
    np.testing.assert_allclose(found, (points.truth[near] != points.truth[:, None]).mean(axis=1))


def test_scales_and_cells() -> None:
    numbers = np.array([[0.0, 5.0, np.nan], [1.0, 5.0, 2.0], [2.0, 5.0, 4.0], [np.inf, 5.0, 6.0]])
    placed = scaled(numbers, like=numbers[:3])
    assert np.isfinite(placed).all()
    assert (placed[:, 1] == 0).all(), "a column that does not vary"
    assert placed[0, 2] == placed[3, 0] == 3.0, "a missing value"
    near = Points(np.array([[0.099], [0.101], [5.0]]), np.zeros((3, 0), dtype=np.int64), np.zeros(3))
    assert largest_cells(near).tolist() == [2, 2, 1]


def test_a_column_of_which_nothing_is_known_lies_nowhere() -> None:
    nan = np.nan
    like = np.array([[nan, 1.0], [nan, 2.0], [nan, 4.0]])
    found = scaled(np.array([[5.0, 2.0], [nan, nan]]), like=like)
    assert found.tolist() == [[0.0, 0.0], [0.0, 3.0]]
    assert scaled(like[:, :1], like=like[:, :1]).tolist() == [[0.0]] * 3
