from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from kring.metrics import labels as formulas
from kring.metrics import scores
from kring.metrics.cost import bayes_threshold, expected_cost
from kring.metrics.targets import codes_of, label_of, rows_of_labels

SEEDS = st.integers(0, 2**32 - 1)


def world(seed: int, *, n: int = 200, k: int = 4, digits: int = 6):
    """Distributions over `k` labels, rounded so that some tie, and truth drawn from them."""
    rng = np.random.default_rng(seed)
    weights = np.round(rng.gamma(0.6, 1.0, (n, k)), digits) + 1e-3
    probabilities = weights / weights.sum(axis=1, keepdims=True)
    truth = (probabilities.cumsum(axis=1)[:, :-1] < rng.random((n, 1))).sum(axis=1)
    return rng, truth, probabilities


def test_a_table_by_hand():
    truth, said = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 0, 0])
    table = formulas.label_table(truth, said, labels=3)
    np.testing.assert_array_equal(table, [[2, 1, 0], [1, 1, 0], [1, 0, 0]])
    assert formulas.label_accuracy(table) == pytest.approx(3 / 6)
    np.testing.assert_allclose(formulas.recalls(table), [2 / 3, 1 / 2, 0])
    np.testing.assert_allclose(formulas.precisions(table), [2 / 4, 1 / 2, np.nan])
    np.testing.assert_allclose(formulas.f1s(table), [4 / 7, 1 / 2, 0])
    assert formulas.balanced_accuracy(table) == pytest.approx((2 / 3 + 1 / 2) / 3)
    assert formulas.macro(formulas.precisions(table), table) == pytest.approx(1 / 3)
    assert formulas.missing_cost(table, np.array([1.0, 10.0, 100.0])) == pytest.approx((1 + 10 + 100) / 6)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(3, 6))
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true:UserWarning")
def test_tables_score_as_scikit_learn_does(seed, k):
    rng, truth, _ = world(seed, n=30, k=k)
    said = rng.integers(0, k, 30)
    table = formulas.label_table(truth, said, labels=k)
    assert formulas.label_accuracy(table) == pytest.approx(sk.accuracy_score(truth, said))
    assert formulas.balanced_accuracy(table) == pytest.approx(sk.balanced_accuracy_score(truth, said))
    for name, shares, score in (
        ("f1", formulas.f1s, sk.f1_score),
        ("precision", formulas.precisions, sk.precision_score),
        ("recall", formulas.recalls, sk.recall_score),
    ):
        mine = formulas.macro(shares(table), table)
        assert mine == pytest.approx(score(truth, said, average="macro", zero_division=0)), name


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(3, 6))
def test_losses_are_scikit_learns(seed, k):
    _, truth, probabilities = world(seed, k=k)
    every = list(range(k))
    assert formulas.label_log_losses(truth, probabilities).mean() == pytest.approx(
        sk.log_loss(truth, probabilities, labels=every)
    )
    assert formulas.label_briers(truth, probabilities).mean() == pytest.approx(
        sk.brier_score_loss(truth, probabilities, labels=every, scale_by_half=False)
    )
    assert formulas.among_first(truth, probabilities, first=2).mean() == pytest.approx(
        sk.top_k_accuracy_score(truth, probabilities, k=2, labels=every)
    )


def test_of_equals_the_first_labels_count():
    even = np.full((3, 3), 1 / 3)
    truth = np.array([0, 1, 2])
    assert formulas.among_first(truth, even, first=2).tolist() == [True, True, False]
    assert formulas.least_cost(even, np.ones(3)).tolist() == [0, 0, 0]
    assert formulas.least_cost(even, np.array([1.0, 2.0, 2.0])).tolist() == [1, 1, 1]


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.lists(st.floats(0, 100), min_size=4, max_size=4).filter(any))
def test_the_decision_is_the_one_that_is_expected_to_cost_least(seed, prices):
    _, _, probabilities = world(seed)
    prices = np.array(prices)
    costs = (probabilities * prices).sum(axis=1)[:, None] - probabilities * prices
    said = formulas.least_cost(probabilities, prices)
    np.testing.assert_allclose(costs[np.arange(len(said)), said], costs.min(axis=1), atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.lists(st.floats(0.01, 100), min_size=4, max_size=4))
def test_less_than_the_leeway_changes_no_decision_and_more_can(seed, prices):
    rng, _, probabilities = world(seed)
    prices = np.array(prices)
    said, room = formulas.least_cost(probabilities, prices), formulas.leeway(probabilities, prices)
    moved = probabilities + rng.uniform(-1, 1, probabilities.shape) * 0.999 * room[:, None]
    np.testing.assert_array_equal(formulas.least_cost(moved, prices), said)
    rows, worth = np.arange(len(said)), probabilities * prices
    gaps = (worth[rows, said][:, None] - worth) / (prices[said][:, None] + prices)
    gaps[rows, said] = np.inf
    other, beyond = gaps.argmin(axis=1), room + 1e-6
    pushed = probabilities.copy()
    pushed[rows, said] -= beyond
    pushed[rows, other] += beyond
    assert (formulas.least_cost(pushed, prices) != said).all()


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.floats(0.01, 50), st.floats(0.01, 50))
def test_of_two_labels_everything_is_as_of_yes_and_no(seed, dear, cheap):
    _, truth, both = world(seed, k=2)
    yes, prices = both[:, 1], np.array([cheap, dear])
    threshold = bayes_threshold(false_positive=cheap, false_negative=dear)
    np.testing.assert_allclose(formulas.leeway(both, prices), np.abs(yes - threshold), atol=1e-9)
    clear = np.abs(yes - threshold) > 1e-9
    said = formulas.least_cost(both, prices)
    np.testing.assert_array_equal(said[clear], (yes >= threshold)[clear])
    table, cells = formulas.label_table(truth, said, labels=2), scores.confusion(truth * 1.0, said * 1.0)
    assert formulas.label_accuracy(table) == pytest.approx(scores.accuracy(cells))
    np.testing.assert_allclose(formulas.recalls(table)[1], scores.recall(cells))
    np.testing.assert_allclose(formulas.precisions(table)[1], scores.precision(cells))
    np.testing.assert_allclose(formulas.f1s(table)[1], scores.f1(cells))
    cost = expected_cost(cells, false_positive=cheap, false_negative=dear)
    np.testing.assert_allclose(formulas.missing_cost(table, prices), cost)
    np.testing.assert_allclose(formulas.label_log_losses(truth, both), scores.log_losses(truth * 1.0, yes), rtol=1e-9)
    np.testing.assert_allclose(formulas.label_briers(truth, both), 2 * (yes - truth) ** 2, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.permutations(range(4)))
def test_the_order_of_labels_means_nothing(seed, order):
    _, truth, probabilities = world(seed)
    prices, place = np.array([1.0, 2.0, 3.0, 4.0]), np.argsort(order)
    turned = probabilities[:, order]
    np.testing.assert_allclose(
        formulas.label_log_losses(place[truth], turned), formulas.label_log_losses(truth, probabilities)
    )
    table = formulas.label_table(truth, formulas.least_cost(probabilities, prices), labels=4)
    other = formulas.label_table(place[truth], formulas.least_cost(turned, prices[order]), labels=4)
    np.testing.assert_array_equal(other, table[np.ix_(order, order)])


def test_missing_probabilities_decide_nothing():
    gaps = np.array([[0.2, np.nan, 0.8], [0.2, 0.3, 0.5]])
    assert formulas.least_cost(gaps, np.ones(3)).tolist() == [formulas.NOBODY, 2]
    np.testing.assert_allclose(formulas.leeway(gaps, np.ones(3)), [np.nan, 0.1])


@pytest.mark.parametrize(
    ("target", "labels"),
    [
        (["b", None, "a", "b", "10", "9"], ["10", "9", "a", "b"]),
        ([10, 9.0, 2, None, float("nan")], ["2", "9", "10"]),
        (["10", "9", "2"], ["2", "9", "10"]),
        (np.array([True, False]), ["false", "true"]),
        (["nan", "inf", "1"], ["1", "inf", "nan"]),
        ([], []),
    ],
)
def test_labels_are_ordered_as_numbers_if_all_are_and_else_as_texts(target, labels):
    assert list(rows_of_labels(target)) == labels
    known = [value for value in target if not (value is None or str(value) == "nan")] if "nan" not in labels else target
    assert codes_of(known, labels).tolist() == [labels.index(label_of(value)) for value in known]


def test_rows_of_labels_are_counted():
    assert rows_of_labels(["x", "y", "x", None]) == {"x": 2, "y": 1}
    assert np.isnan(codes_of([None, "z", float("nan"), 3], ["x", "y"])).all()
