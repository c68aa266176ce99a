from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from kring.metrics import labels as formulas
from kring.metrics.calibration import calibration_error
from kring.metrics.counts import bin_scores, drawn_rows
from kring.metrics.label_counts import (
    ODDS_BINS,
    count_labels,
    drawn_labels,
    label_costs,
    label_scores,
    window_labels,
)

SEEDS = st.integers(0, 2**32 - 1)
K = 4
PRICES = np.array([1.0, 5.0, 2.0, 3.0])


def sample(seed: int, n: int = 300, k: int = K):
    rng = np.random.default_rng(seed)
    weights = np.round(rng.gamma(0.6, 1.0, (n, k)), int(rng.integers(1, 6))) + 1e-3
    probabilities = weights / weights.sum(axis=1, keepdims=True)
    return rng, (probabilities.cumsum(axis=1)[:, :-1] < rng.random((n, 1))).sum(axis=1), probabilities


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_every_draw_has_the_scores_of_its_weighted_rows(seed):
    _, truth, probabilities = sample(seed)
    groups = np.arange(300) // 7
    [drawn] = drawn_labels(truth, [probabilities], groups=groups, prices=PRICES, draws=3, seed=seed)
    generator = np.random.default_rng(seed)
    weights = [np.ones(43), *(np.bincount(generator.integers(0, 43, size=43), minlength=43) for _ in range(3))]
    found = label_scores(drawn.sums) | label_costs(drawn.sums, PRICES)
    top = probabilities.argmax(axis=1)
    sure, said = probabilities.max(axis=1), formulas.least_cost(probabilities, PRICES)
    for place, weight in enumerate(weight[groups].astype(float) for weight in weights):
        table = formulas.label_table(truth, said, labels=K, weight=weight)
        expected = {
            "accuracy": formulas.label_accuracy(table),
            "balanced_accuracy": formulas.balanced_accuracy(table),
            "macro_f1": formulas.macro(formulas.f1s(table), table),
            "macro_precision": formulas.macro(formulas.precisions(table), table),
            "macro_recall": formulas.macro(formulas.recalls(table), table),
            "log_loss": np.average(formulas.label_log_losses(truth, probabilities), weights=weight),
            "brier": np.average(formulas.label_briers(truth, probabilities), weights=weight),
            "top_2_accuracy": np.average(formulas.among_first(truth, probabilities, first=2), weights=weight),
            "calibration_error": calibration_error((top == truth) * 1.0, sure, weight=weight),
            "expected_cost": formulas.missing_cost(table, PRICES),
        }
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert found[name][place] == pytest.approx(float(value), abs=1e-9), name
        auc = sk.roc_auc_score(truth, probabilities, multi_class="ovr", sample_weight=weight)
        assert drawn.roc_auc[place] == pytest.approx(auc, abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.integers(0, 300))
def test_counting_two_windows_is_counting_both_together(seed, cut):
    rng, truth, probabilities = sample(seed)
    truth = np.where(rng.random(300) < 0.1, np.nan, truth)
    probabilities[rng.random(300) < 0.1, 2] = np.nan
    whole = count_labels(truth, probabilities, prices=PRICES)
    first, second = (count_labels(truth[p], probabilities[p], prices=PRICES) for p in (slice(cut), slice(cut, None)))
    assert whole == {name: tuple(a + b for a, b in zip(first[name], second[name], strict=True)) for name in whole}
    assert all(type(number) is int for vector in whole.values() for number in vector)
    assert whole["n"][0] + whole["missing"][0] + whole["unanswered"][0] == 300
    together = window_labels([first, second], np.ones((1, 2)), labels=K)
    alone = window_labels([whole], np.ones((1, 1)), labels=K)
    np.testing.assert_allclose(together.roc_auc, alone.roc_auc)
    for name, values in label_scores(together.sums).items():
        np.testing.assert_allclose(values, label_scores(alone.sums)[name], err_msg=name)


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_windows_give_the_scores_of_their_rows(seed):
    _, truth, probabilities = sample(seed)
    counts = count_labels(truth * 1.0, probabilities, prices=PRICES)
    counted = window_labels([counts], np.ones((1, 1)), labels=K)
    [drawn] = drawn_labels(truth, [probabilities], groups=np.arange(300), prices=PRICES, draws=1, seed=0)
    for name, values in label_scores(drawn.sums).items():
        assert label_scores(counted.sums)[name][0] == pytest.approx(values[0], abs=2e-6), name
    assert counted.roc_auc[0] == pytest.approx(drawn.roc_auc[0], abs=_tied(counts) / 2)


def _tied(counts) -> float:
    """The largest share of pairs, of a label and of others, that lie in one bin of its probability."""
    own, whole = (np.array(counts[name]).reshape(K, ODDS_BINS) for name in ("own", "all"))
    others = whole - own
    return float(((own * others).sum(axis=1) / (own.sum(axis=1) * others.sum(axis=1))).max()) + 1e-12


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_two_labels_score_as_yes_and_no(seed):
    _, truth, both = sample(seed, k=2)
    groups = np.arange(300) // 7
    [drawn] = drawn_labels(truth, [both], groups=groups, prices=np.ones(2), draws=5, seed=3)
    [binary] = drawn_rows(truth * 1.0, [both[:, 1]], groups=groups, threshold=0.5, draws=5, seed=3)
    mine, theirs = label_scores(drawn.sums), bin_scores(binary.sums)
    clear = bool((both[:, 1] != 0.5).all())
    np.testing.assert_allclose(mine["log_loss"], theirs["log_loss"])
    np.testing.assert_allclose(mine["brier"], 2 * theirs["brier"])
    if clear:  # a tie is a yes there, and the first label here
        np.testing.assert_allclose(mine["accuracy"], theirs["accuracy"])
    np.testing.assert_allclose(drawn.roc_auc, binary.roc_auc, atol=1e-3)  # rounding may tie 1 - p where p differs


def test_draws_over_many_scores_err_by_little_and_the_value_by_nothing():
    _, truth, probabilities = sample(5, n=20_000)
    groups = np.arange(20_000) // 100
    [drawn] = drawn_labels(truth, [probabilities], groups=groups, prices=np.ones(K), draws=20, seed=3)
    exact = [
        drawn_rows((truth == label) * 1.0, [given], groups=groups, threshold=0.5, draws=20, seed=3)[0].roc_auc
        for label, given in enumerate(probabilities.T)
    ]
    assert drawn.roc_auc[0] == pytest.approx(np.mean(exact, axis=0)[0])
    np.testing.assert_allclose(drawn.roc_auc, np.mean(exact, axis=0), atol=2e-5)


def test_a_label_that_no_row_has_is_left_out_of_the_averages():
    _, truth, probabilities = sample(1)
    kept = truth != 2
    [drawn] = drawn_labels(
        truth[kept], [probabilities[kept]], groups=np.arange(kept.sum()), prices=np.ones(K), draws=5, seed=0
    )
    areas = [sk.roc_auc_score(truth[kept] == label, probabilities[kept, label]) for label in (0, 1, 3)]
    assert drawn.roc_auc[0] == pytest.approx(np.mean(areas))
    assert np.isfinite(drawn.roc_auc).all()
    assert formulas.recalls(drawn.sums.table)[0, 2] != formulas.recalls(drawn.sums.table)[0, 2]


def test_no_rows_and_no_counts_say_nothing():
    counts = count_labels(np.array([np.nan]), np.full((1, K), 0.25), prices=np.ones(K))
    assert counts["missing"] == (1,)
    for window in (counts, {}):
        nothing = window_labels([window], np.ones((1, 1)), labels=K)
        assert nothing.sums.rows == 0
        assert np.isnan(nothing.roc_auc).all()
        assert all(np.isnan(values).all() for values in label_scores(nothing.sums).values())
