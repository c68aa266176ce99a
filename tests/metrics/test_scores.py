"""Scores agree with scikit-learn, weighted or not, with ties or without."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as theirs

from kring.metrics import scores as ours


@st.composite
def rows(draw, *, levels=(3, 1000)):
    """Truth with both classes, scores with few or many levels, whole weights of which some are 0."""
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    n = draw(st.integers(2, 60))
    truth = rng.integers(0, 2, n).astype(float)
    truth[:2] = 0, 1
    score = rng.integers(0, draw(st.sampled_from(levels)), n) / 1000
    weight = rng.integers(0, 4, n).astype(float)
    weight[:2] = 1
    return truth, score, weight


@settings(max_examples=80, deadline=None)
@given(rows())
def test_order_scores_equal_scikit_learn(case):
    truth, score, weight = case
    assert ours.roc_auc(truth, score) == pytest.approx(theirs.roc_auc_score(truth, score), abs=1e-12)
    expected = theirs.roc_auc_score(truth, score, sample_weight=weight)
    assert ours.roc_auc(truth, score, weight=weight) == pytest.approx(expected, abs=1e-12)
    expected = theirs.average_precision_score(truth, score, sample_weight=weight)
    assert ours.average_precision(truth, score, weight=weight) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(rows())
def test_whole_weights_are_repeated_rows(case):
    truth, score, weight = case
    times = weight.astype(int)
    repeated = np.repeat(truth, times), np.repeat(score, times)
    for score_of in (ours.roc_auc, ours.average_precision, ours.log_loss, ours.brier, ours.mae, ours.rmse, ours.bias):
        assert score_of(truth, score, weight=weight) == pytest.approx(score_of(*repeated), abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(rows())
def test_roc_auc_knows_only_the_order(case):
    truth, score, weight = case
    auc = ours.roc_auc(truth, score, weight=weight)
    assert ours.roc_auc(truth, score**3 * 7 - 2, weight=weight) == pytest.approx(auc, abs=1e-12)
    assert ours.roc_auc(truth, -score, weight=weight) == pytest.approx(1 - auc, abs=1e-12)
    assert ours.roc_auc(1 - truth, score, weight=weight) == pytest.approx(1 - auc, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(rows())
def test_probability_scores_equal_scikit_learn(case):
    truth, score, weight = case
    expected = theirs.log_loss(truth, score, sample_weight=weight, labels=[0, 1])
    assert ours.log_loss(truth, score, weight=weight) == pytest.approx(expected, abs=1e-9)
    expected = theirs.brier_score_loss(truth, score, sample_weight=weight)
    assert ours.brier(truth, score, weight=weight) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(rows(), st.floats(0, 1))
def test_decision_scores_equal_scikit_learn(case, threshold):
    truth, score, weight = case
    yes = (score >= threshold).astype(float)
    counts = ours.confusion(truth, yes, weight=weight)
    assert counts.rows == pytest.approx(weight.sum())
    expected = theirs.accuracy_score(truth, yes, sample_weight=weight)
    assert ours.accuracy(counts) == pytest.approx(expected)
    assert ours.recall(counts) == pytest.approx(theirs.recall_score(truth, yes, sample_weight=weight))
    assert ours.f1(counts) == pytest.approx(theirs.f1_score(truth, yes, sample_weight=weight))
    assert ours.positive_rate(counts) == pytest.approx((yes * weight).sum() / weight.sum())
    if (yes * weight).any():
        expected = theirs.precision_score(truth, yes, sample_weight=weight)
        assert ours.precision(counts) == pytest.approx(expected)
    else:
        assert np.isnan(ours.precision(counts))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 60))
def test_value_scores_equal_scikit_learn(seed, n):
    rng = np.random.default_rng(seed)
    truth, value, weight = rng.normal(5, 3, n), rng.normal(5, 3, n), rng.random(n) + 0.1
    expected = theirs.mean_absolute_error(truth, value, sample_weight=weight)
    assert ours.mae(truth, value, weight=weight) == pytest.approx(expected)
    expected = theirs.root_mean_squared_error(truth, value, sample_weight=weight)
    assert ours.rmse(truth, value, weight=weight) == pytest.approx(expected)
    assert ours.r2(truth, value, weight=weight) == pytest.approx(theirs.r2_score(truth, value, sample_weight=weight))
    assert ours.bias(truth, value, weight=weight) == pytest.approx(np.average(value - truth, weights=weight))


def test_what_is_not_defined_is_nan():
    ones, score = np.ones(3), np.array([0.1, 0.2, 0.3])
    assert np.isnan(ours.roc_auc(ones, score))
    assert np.isnan(ours.roc_auc(np.zeros(3), score))
    assert np.isnan(ours.average_precision(np.zeros(3), score))
    assert np.isnan(ours.r2(ones, score))
    for score_of in (ours.roc_auc, ours.average_precision, ours.log_loss, ours.brier, ours.mae):
        assert np.isnan(score_of(np.empty(0), np.empty(0)))


def test_a_certain_mistake_costs_a_lot_and_not_infinity():
    loss = ours.log_loss(np.array([1.0]), np.array([0.0]))
    assert loss == pytest.approx(36.04, abs=0.01)
