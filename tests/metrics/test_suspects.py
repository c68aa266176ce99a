"""Planted errors are found far above their base rate; clean outcomes are left alone."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import cross_val_predict

from kring.metrics.suspects import doubted_labels, doubted_numbers

FLIPPED = 0.05


def labelled(seed: int, *, labels: int, flipped: float, sharp: float = 4.0) -> tuple[np.ndarray, ...]:
    """Labels, out-of-fold probabilities, and which labels were flipped."""
    chance = np.random.default_rng(seed)
    columns = chance.normal(size=(2000, 5))
    score = columns @ chance.normal(size=(5, labels)) * sharp
    given = (score + chance.gumbel(size=score.shape)).argmax(axis=1)
    wrong = chance.random(len(given)) < flipped
    given = np.where(wrong, (given + chance.integers(1, labels, len(given))) % labels, given)
    model = LogisticRegression(max_iter=300)
    return given, cross_val_predict(model, columns, given, cv=4, method="predict_proba"), wrong


@pytest.mark.parametrize("labels", [2, 4])
@pytest.mark.parametrize("seed", range(3))
def test_flipped_labels_are_found(seed: int, labels: int) -> None:
    given, probability, wrong = labelled(seed, labels=labels, flipped=FLIPPED)
    found = doubted_labels(given, probability)
    assert len(found.rows) > 0.2 * wrong.sum()
    assert wrong[found.rows].mean() > 0.8
    assert found.false_share < 0.5
    assert (found.instead != given[found.rows]).all()
    own = probability[found.rows, given[found.rows]]
    assert (np.diff(own) >= 0).all()


@pytest.mark.parametrize("labels", [2, 4])
@pytest.mark.parametrize("seed", range(3))
def test_clean_labels_are_left_alone(seed: int, labels: int) -> None:
    given, probability, _ = labelled(seed, labels=labels, flipped=0.0)
    assert len(doubted_labels(given, probability).rows) <= 0.01 * len(given)


def test_a_label_that_the_model_hardly_knows_is_not_doubted() -> None:
    """One row in twenty is positive, and nothing tells which: a sure no says nothing about them."""
    chance = np.random.default_rng(0)
    given = (chance.random(3000) < 0.05).astype(int)
    yes = np.clip(0.05 + 0.01 * chance.normal(size=3000), 0.01, 0.5)
    assert not len(doubted_labels(given, np.stack([1 - yes, yes], axis=1)).rows)


def numbers(seed: int, noise: str, *, planted: float) -> tuple[np.ndarray, ...]:
    chance = np.random.default_rng(seed)
    columns = chance.normal(size=(1500, 4))
    spread = {"normal": chance.normal(size=1500), "laplace": chance.laplace(size=1500)}[noise]
    given = 3 * columns[:, 0] + columns[:, 1] ** 2 + spread
    wrong = chance.random(1500) < planted
    given = np.where(wrong, given + chance.choice([-1, 1], 1500) * chance.uniform(10, 25, 1500), given)
    known = np.hstack([columns, columns**2])
    return given, cross_val_predict(Ridge(), known, given, cv=4), wrong


@pytest.mark.parametrize("noise", ["normal", "laplace"])
def test_numbers_far_off_are_found_and_clean_ones_left_alone(noise: str) -> None:
    given, said, wrong = numbers(1, noise, planted=FLIPPED)
    found = doubted_numbers(given, said)
    assert wrong[found.rows].mean() > 0.85
    assert len(found.rows) > 0.7 * wrong.sum()
    assert found.false_share <= 0.1
    given, said, _ = numbers(1, noise, planted=0.0)
    assert len(doubted_numbers(given, said).rows) <= 0.005 * len(given)


def test_a_perfect_model_and_few_rows_doubt_nothing() -> None:
    values = np.arange(1000.0)
    assert not len(doubted_numbers(values, values).rows)
    assert not len(doubted_numbers(values[:100], values[:100] + 1).rows)
    assert not len(doubted_labels(np.zeros(0, dtype=int), np.zeros((0, 2))).rows)
