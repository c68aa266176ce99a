"""Agreement beyond chance: known values, chance, order of people and names of labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.metrics.agreement import FEWEST, cohen, fleiss, krippendorff


def labels(*counts: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (one says, other says, how often)."""
    one = np.concatenate([np.full(n, left) for left, _, n in counts])
    other = np.concatenate([np.full(n, right) for _, right, n in counts])
    return one, other


def test_cohen_of_a_table_by_hand() -> None:
    one, other = labels((0, 0, 20), (0, 1, 5), (1, 0, 10), (1, 1, 15))
    found = cohen(one, other)
    assert found is not None
    assert found.value == pytest.approx((0.7 - 0.5) / 0.5)
    assert found.low < 0.4 < found.high
    assert found.things == 50


def test_fleiss_of_the_published_example() -> None:
    table = [
        *([0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1]),
        *([7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7]),
    ]
    found = fleiss(np.array(table))
    assert found is not None
    assert found.value == pytest.approx(0.210, abs=5e-4)


def test_alpha_is_one_for_people_who_say_the_same_and_falls_with_noise() -> None:
    chance = np.random.default_rng(1)
    true = chance.normal(size=200)
    same = krippendorff(np.stack([true, true, true], axis=1))
    assert same is not None
    assert same.value == pytest.approx(1.0)
    noisy = krippendorff(np.stack([true, true + chance.normal(size=200)], axis=1))
    assert noisy is not None
    assert 0.3 < noisy.value < 0.7
    alone = np.stack([true, np.full(200, np.nan)], axis=1)
    assert krippendorff(alone) is None, "nobody looked twice"


def test_people_who_guess_agree_no_more_than_chance() -> None:
    chance = np.random.default_rng(2)
    held = 0
    for _ in range(200):
        found = cohen(chance.integers(0, 3, 60), chance.integers(0, 3, 60))
        assert found is not None
        held += found.low <= 0 <= found.high
    assert held >= 180


@pytest.mark.parametrize("n", [0, FEWEST - 1])
def test_too_few_things(n: int) -> None:
    assert cohen(np.zeros(n, dtype=int), np.ones(n, dtype=int)) is None
    assert fleiss(np.tile([1, 1], (n, 1))) is None
    assert krippendorff(np.ones((n, 2))) is None


def test_who_always_says_the_same_says_nothing() -> None:
    same = np.zeros(20, dtype=int)
    assert cohen(same, same) is None
    assert fleiss(np.tile([2, 0], (20, 1))) is None
    assert krippendorff(np.ones((20, 2))) is None


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=8, max_size=40), st.permutations([0, 1, 2]))
def test_names_and_order_do_not_matter(pairs: list[tuple[int, int]], names: list[int]) -> None:
    one, other = np.array([a for a, _ in pairs]), np.array([b for _, b in pairs])
    renamed = np.array(names)
    found = [cohen(one, other), cohen(other, one), cohen(renamed[one], renamed[other])]
    values = [None if each is None else round(each.value, 9) for each in found]
    assert len(set(values)) == 1
    for each in found:
        assert each is None or -1 <= each.low <= each.value <= each.high <= 1
