"""Shapley values: what they promise, and what others get."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import shap
from hypothesis import given
from hypothesis import strategies as st

from kring.errors import Refused
from kring.explain.shap import shapley
from kring.record.batch import Batch

WORDS = np.array(["a", "b", "(missing)"], dtype=object)


def drawn(n: int, m: int, seed: int, *, words: int = 0) -> Batch:
    """m columns of numbers, some missing, then columns of texts."""
    chance = np.random.default_rng(seed)
    numbers = chance.normal(size=(n, m)).round(1)
    numbers[chance.random((n, m)) < 0.1] = np.nan
    columns = {f"x{place}": numbers[:, place].astype(np.float32) for place in range(m)}
    return Batch(n, {**columns, **{f"w{place}": chance.choice(WORDS, n) for place in range(words)}})


def answer(batch: Batch) -> np.ndarray:
    """A probability with interactions: products of neighbours, a text that turns the first number round."""
    total = np.zeros(batch.n)
    before = np.ones(batch.n)
    for place, column in enumerate(batch.columns.values()):
        values = np.asarray(column)
        numbers = np.where(values == "a", 1.0, -0.5) if values.dtype == object else np.nan_to_num(values, nan=2.0)
        numbers = numbers.astype(np.float64)
        total += numbers * (1 + place) / 4 + 0.5 * numbers * before
        before = numbers
    return 1 / (1 + np.exp(-total))


@given(m=st.integers(1, 14), words=st.integers(0, 2), n=st.integers(1, 12), seed=st.integers(0, 9))
def test_the_effects_add_up_to_the_answer(m: int, words: int, n: int, seed: int) -> None:
    row, background = drawn(1, m, seed, words=words), drawn(n, m, seed + 1, words=words)
    found = shapley(answer, row, background, seed=seed)
    assert found.value == pytest.approx(answer(row)[0])
    assert found.base == pytest.approx(answer(background).mean())
    assert found.effects.sum() == pytest.approx(found.value - found.base, abs=1e-12)
    assert found.names == tuple(row.columns)


@given(m=st.integers(1, 5), seed=st.integers(0, 20))
def test_exact_values_are_the_mean_over_all_orders(m: int, seed: int) -> None:
    row, background = drawn(1, m, seed), drawn(4, m, seed + 1)
    names = list(row.columns)

    def worth(taken: set[str]) -> float:
        columns = {
            name: np.repeat(row.columns[name], 4) if name in taken else background.columns[name] for name in names
        }
        return float(answer(Batch(4, {**columns})).mean())

    by_hand = dict.fromkeys(names, 0.0)
    for order in itertools.permutations(names):
        for place, name in enumerate(order):
            by_hand[name] += worth({*order[: place + 1]}) - worth({*order[:place]})
    found = shapley(answer, row, background, seed=0)
    assert found.exact
    assert found.errors.tolist() == [0.0] * m
    np.testing.assert_allclose(found.effects, [by_hand[name] / math.factorial(m) for name in names], atol=1e-12)


def test_exact_values_are_those_of_the_package() -> None:
    row, background = drawn(1, 6, 3), drawn(30, 6, 4)
    names = list(row.columns)

    def f(matrix: np.ndarray) -> np.ndarray:
        return answer(Batch(len(matrix), {name: matrix[:, place] for place, name in enumerate(names)}))

    matrix = np.stack([np.asarray(background.columns[name], dtype=np.float64) for name in names], axis=1)
    one = np.array([[float(row.columns[name][0]) for name in names]])
    theirs = shap.explainers.Exact(f, shap.maskers.Independent(matrix, max_samples=30))(one).values[0]
    np.testing.assert_allclose(shapley(answer, row, background, seed=0).effects, theirs, atol=1e-6)


def test_drawn_orders_come_near_the_exact_values_within_their_errors() -> None:
    row, background = drawn(1, 8, 5), drawn(60, 8, 6)
    exact = shapley(answer, row, background, seed=0)
    near = shapley(answer, row, background, seed=0, budget=1)
    assert exact.exact
    assert not near.exact
    assert near.asked <= 12_801
    assert np.all(np.abs(near.effects - exact.effects) <= 5 * near.errors + 1e-12)
    assert np.abs(near.effects - exact.effects).max() < 0.02


def test_the_same_seed_gives_the_same_values() -> None:
    row, background = drawn(1, 20, 7), drawn(30, 20, 8)
    first, again, other = (shapley(answer, row, background, seed=seed) for seed in (1, 1, 2))
    assert first.effects.tolist() == again.effects.tolist()
    assert first.effects.tolist() != other.effects.tolist()


@given(seed=st.integers(0, 30), m=st.sampled_from([4, 13]))
def test_what_the_answer_does_not_read_has_no_effect_and_twins_have_the_same(seed: int, m: int) -> None:
    row, background = drawn(1, m, seed), drawn(9, m, seed + 1)

    def of_two(batch: Batch) -> np.ndarray:
        left, right = (np.nan_to_num(np.asarray(batch.columns[name], dtype=np.float64)) for name in ("x0", "x1"))
        return np.tanh(left + right)

    twins = Batch(1, {**row.columns, "x1": row.columns["x0"]})
    both = Batch(9, {**background.columns, "x1": background.columns["x0"]})
    found = shapley(of_two, twins, both, seed=seed)
    effects = dict(zip(found.names, found.effects, strict=True))
    assert all(abs(effects[name]) < 1e-12 for name in effects if name not in ("x0", "x1"))
    assert effects["x0"] == pytest.approx(effects["x1"], abs=1e-12 if found.exact else 0.2)


def test_columns_that_the_background_lacks_stay_as_they_are() -> None:
    row, background = drawn(1, 3, 1), drawn(5, 2, 2)
    found = shapley(answer, row, background, seed=0)
    assert found.names == ("x0", "x1")
    held = Batch(5, {**background.columns, "x2": np.repeat(row.columns["x2"], 5)})
    assert found.base == pytest.approx(answer(held).mean())
    assert found.effects.sum() == pytest.approx(found.value - found.base)


def test_with_nothing_to_put_in_their_place_there_are_no_effects() -> None:
    row = drawn(1, 3, 1)
    for background in (Batch(0, {name: np.zeros(0) for name in row.columns}), Batch(5, {})):
        found = shapley(answer, row, background, seed=0)
        assert (found.names, found.value, found.base) == ((), found.value, found.value)


@pytest.mark.parametrize("m", [3, 14])
def test_rows_without_an_answer_are_left_out(m: int) -> None:
    row = Batch(1, {f"x{place}": np.ones(1) for place in range(m)})
    values = np.tile(np.linspace(0.1, 0.9, 8)[:, None], (1, m))
    values[:3, 1] = -1.0
    background = Batch(8, {f"x{place}": values[:, place] for place in range(m)})

    def half(batch: Batch) -> np.ndarray:
        return np.where(np.asarray(batch.columns["x1"]) < 0, np.nan, answer(batch))

    found = shapley(half, row, background, seed=0)
    assert found.background == 5
    assert found.effects.sum() == pytest.approx(found.value - found.base)
    with pytest.raises(Refused, match="no row beside it has an answer"):
        shapley(lambda batch: np.full(batch.n, np.nan), row, background, seed=0)
