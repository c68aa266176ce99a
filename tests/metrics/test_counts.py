from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kring.metrics import scores
from kring.metrics.calibration import calibration_error
from kring.metrics.counts import LAYOUT, bin_scores, count_rows, drawn_rows, window_auc, window_sums


def sample(seed: int, n: int = 300):
    rng = np.random.default_rng(seed)
    probability = np.round(rng.beta(2, 4, n), rng.integers(1, 6))
    return (rng.random(n) < probability).astype(float), probability


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_every_draw_has_the_scores_of_its_weighted_rows(seed, threshold):
    truth, probability = sample(seed)
    groups = np.arange(300) // 7
    [drawn] = drawn_rows(truth, [probability], groups=groups, threshold=threshold, draws=3, seed=seed)
    generator = np.random.default_rng(seed)
    weights = [np.ones(43), *(np.bincount(generator.integers(0, 43, size=43), minlength=43) for _ in range(3))]
    found = bin_scores(drawn.sums)
    for place, weight in enumerate(weight[groups].astype(float) for weight in weights):
        counts = scores.confusion(truth, probability >= threshold, weight=weight)
        expected = {
            "log_loss": scores.log_loss(truth, probability, weight=weight),
            "brier": scores.brier(truth, probability, weight=weight),
            "calibration_error": calibration_error(truth, probability, weight=weight),
            "accuracy": scores.accuracy(counts),
            "precision": scores.precision(counts),
            "recall": scores.recall(counts),
            "f1": scores.f1(counts),
            "positive_rate": scores.positive_rate(counts),
        }
        for name, value in expected.items():
            assert found[name][place] == pytest.approx(value, abs=1e-9, nan_ok=True), name
        auc = scores.roc_auc(truth, probability, weight=weight)
        assert drawn.roc_auc[place] == pytest.approx(auc, abs=1e-9)
        average = scores.average_precision(truth, probability, weight=weight)
        assert drawn.average_precision[place] == pytest.approx(average, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_auc_of_bins_errs_by_half_the_pairs_of_one_bin_at_most(seed):
    truth, probability = sample(seed)
    sums = window_sums([count_rows(truth, probability, threshold=0.5)], np.ones((1, 1)))
    tied = (sums.positive * sums.negative).sum() / (sums.positive.sum() * sums.negative.sum())
    assert abs(window_auc(sums)[0] - scores.roc_auc(truth, probability)) <= tied / 2 + 1e-12


def test_counts_are_plain_integers_of_fixed_lengths():
    truth, probability = np.array([0, 1, np.nan, 1.0]), np.array([0.0, 1.0, 0.3, np.nan])
    counts = count_rows(truth, probability, threshold=0.5)
    assert {name: len(vector) for name, vector in counts.items() if name in LAYOUT} == LAYOUT
    assert all(type(number) is int for vector in counts.values() for number in vector)
    assert (counts["n"], counts["missing"], counts["unanswered"]) == ((2,), (1,), (1,))
    assert counts["confusion"] == (1, 0, 1, 0)
    assert (counts["hist_pos"][199], counts["hist_neg"][0], counts["sum_p"][199]) == (1, 1, 1_000_000)


def test_no_rows_count_as_nothing():
    counts = count_rows(np.array([np.nan]), np.array([0.5]), threshold=0.5)
    assert counts["missing"] == (1,)
    assert not any(any(counts[name]) for name in ("n", *LAYOUT))
    assert window_sums([{}], np.ones((1, 1))).rows == 0
