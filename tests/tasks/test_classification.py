from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kring.errors import ConfigError, DataError
from kring.ports.task import Task
from kring.record.batch import Batch
from kring.record.system import Frame
from kring.tasks.classification import TASK
from kring.watch.windows import merge_counts

PRICED = Frame(decision="warn", cost={"false_positive": 4.0, "false_negative": 25.0}, currency="EUR")
FREE = Frame(decision="warn")
POLICY = TASK.policy(PRICED, [False, True])


def world(seed: int, n: int = 2000, days: int = 20):
    """Probabilities that are true, the truth drawn from them, and the day of each row."""
    rng = np.random.default_rng(seed)
    probability = rng.beta(2, 5, n)
    truth = (rng.random(n) < probability).astype(float)
    return rng, truth, probability, rng.integers(0, days, n)


def measures(truth, outputs, baseline, groups, *, policy=POLICY, draws=200, seed=1):
    found, _ = TASK.measure(truth, outputs, baseline, groups=groups, policy=policy, draws=draws, seed=seed)
    return {measure.name: measure for measure in found}


def test_it_fulfils_the_port():
    task: Task = TASK
    assert task.output == "probability"


@pytest.mark.parametrize(
    ("target", "positive", "labels"),
    [
        ([True, None, False], None, ("false", "true")),
        ([True, False], False, ("true", "false")),
        (np.array([True, False]), None, ("false", "true")),
        ([0, 1, 1], None, ("0", "1")),
        (np.array([1.0, np.nan, 0.0]), None, ("0", "1")),
        ([1, 2], 1, ("2", "1")),
        (["no", "yes", None], "yes", ("no", "yes")),
        (np.array(["late", "on time"], dtype=object), "late", ("on time", "late")),
    ],
)
def test_labels_are_no_and_yes(target, positive, labels):
    policy = TASK.policy(FREE, target, positive=positive)
    assert policy.labels == labels
    truth = TASK.truth(target, policy)
    assert set(truth[~np.isnan(truth)].tolist()) == {0.0, 1.0}
    plain = target.tolist() if isinstance(target, np.ndarray) else target
    missing = [value is None or str(value) == "nan" for value in plain]
    assert np.isnan(truth).tolist() == missing


@pytest.mark.parametrize(
    ("target", "positive", "says"),
    [
        ([True, True, None], None, "1 in 3 rows: true"),
        ([None, float("nan")], None, "all missing"),
        ([], None, "none in 0 rows"),
        (["a", "b", "c"], "a", "3 in 3 rows: a, b, c"),
        (list("abcdefg"), None, "a, b, c, d, e …"),
        (["no", "yes"], None, "'no' or 'yes'"),
        (["no", "yes"], "maybe", "positive = 'maybe'"),
        ([1, 2], None, "'1' or '2'"),
    ],
)
def test_other_targets_are_refused_in_words(target, positive, says):
    with pytest.raises(DataError) as error:
        TASK.policy(FREE, target, positive=positive)
    assert says in str(error.value)
    assert error.value.next


def test_truth_takes_both_spellings_and_nothing_else():
    values = [True, 1, 1.0, "true", np.bool_(True), False, 0, "false", None, "maybe", 2, float("nan")]
    expected = [1.0] * 5 + [0.0] * 3 + [np.nan] * 4
    np.testing.assert_array_equal(TASK.truth(values, POLICY), expected)


def test_the_threshold_follows_from_the_prices():
    assert POLICY.threshold == pytest.approx(4 / 29)
    assert TASK.policy(FREE, [False, True]).threshold == 0.5
    for cost in ({"false_positive": 1.0}, {"over": 1.0, "under": 1.0}, {"false_positive": 0.0, "false_negative": 0.0}):
        with pytest.raises(ConfigError, match="both prices"):
            TASK.policy(Frame(decision="x", cost=cost), [False, True])


def test_a_decision_is_a_label_and_none_where_nothing_answered():
    policy = TASK.policy(FREE, ["no", "yes"], positive="yes")
    outputs = Batch(4, {"probability": np.array([0.49, 0.5, 1.0, np.nan], dtype=np.float32)})
    decided = TASK.decide(outputs, policy)
    assert decided.columns["decision"] == ["no", "yes", "yes", None]
    assert list(decided.columns) == ["probability", "decision"]


def test_every_metric_that_is_promised_is_measured():
    _, truth, probability, days = world(1)
    found, curves = TASK.measure(truth, probability, probability[::-1], groups=days, policy=POLICY, draws=100, seed=1)
    assert {measure.name: measure.better for measure in found} == TASK.metrics
    for measure in found:
        assert np.isfinite([measure.value, measure.low, measure.high]).all()
        assert measure.low <= measure.value <= measure.high, measure.name
        assert (measure.rows, measure.groups) == (2000, 20)
        assert measure.unit == ("EUR" if "cost" in measure.name else "")
    assert [curve.name for curve in curves] == ["roc", "calibration", "cost", "scores_no", "scores_yes"]
    for curve in curves:
        assert len(curve.x) == len(curve.y) > 1
        assert np.isfinite([*curve.x, *curve.y, *curve.low, *curve.high]).all()
    assert sum(curves[1].weight) == 2000
    assert sum(curves[3].weight) + sum(curves[4].weight) == 2000


def test_without_prices_there_is_no_cost():
    _, truth, probability, days = world(2)
    found = measures(truth, probability, probability, days, policy=TASK.policy(FREE, [False, True]))
    assert not [name for name in found if "cost" in name or "threshold" in name]


def test_equal_seeds_give_equal_evidence():
    _, truth, probability, days = world(3)
    assert measures(truth, probability, truth, days) == measures(truth, probability, truth, days)
    assert measures(truth, probability, truth, days) != measures(truth, probability, truth, days, seed=2)


def test_squeezed_probabilities_are_found_and_true_ones_are_not():
    _, truth, probability, days = world(4, n=20_000, days=60)
    found = measures(truth, probability, probability, days)["calibration_error"]
    assert found.low < 0.01
    assert found.high < 0.03
    squeezed = measures(truth, probability / 2, probability, days)
    assert squeezed["calibration_error"].low > 0.1
    assert squeezed["lift_over_baseline.calibration_error"].high < 0
    assert squeezed["roc_auc"] == measures(truth, probability, probability, days)["roc_auc"]


def test_random_scores_are_worth_nothing_over_a_random_baseline():
    rng, truth, probability, days = world(5)
    found = measures(truth, rng.permutation(probability), rng.permutation(probability), days)
    for name in ("roc_auc", "brier", "log_loss", "expected_cost", "accuracy"):
        lift = found[f"lift_over_baseline.{name}"]
        assert lift.low < 0 < lift.high, name
    assert found["roc_auc"].low < 0.5 < found["roc_auc"].high


def test_a_better_model_is_found_by_every_proper_score():
    rng, truth, probability, days = world(6, n=10_000)
    noisy = np.clip(probability + rng.normal(0, 0.15, 10_000), 0, 1)
    found = measures(truth, probability, noisy, days)
    for name in ("roc_auc", "average_precision", "brier", "log_loss", "expected_cost", "calibration_error"):
        assert found[f"lift_over_baseline.{name}"].low > 0, name


def test_a_candidate_has_no_lift_over_itself():
    _, truth, probability, days = world(7)
    found = measures(truth, probability, probability, days)
    assert all((m.value, m.low, m.high) == (0, 0, 0) for name, m in found.items() if name.startswith("lift"))


def test_what_the_rows_do_not_define_is_left_out():
    _, _, probability, days = world(8)
    nobody = measures(np.zeros(2000), probability, probability, days)
    assert not {"roc_auc", "average_precision", "recall", "lift_over_baseline.recall"} & nobody.keys()
    assert {"brier", "calibration_error", "expected_cost"} <= nobody.keys()
    silent = measures((probability > 0.3).astype(float), np.zeros(2000), probability, days)
    assert "precision" not in silent
    assert silent["recall"].value == 0


def test_what_is_no_probability_is_refused_in_words():
    _, truth, probability, days = world(9, n=50)
    for bad in (np.nan, np.inf, 1.2, -0.1):
        outputs = np.where(np.arange(50) == 7, bad, probability)
        with pytest.raises(DataError, match="in row 7, 1 of 50"):
            measures(truth, outputs, probability, days)
    almost = np.where(np.arange(50) == 7, 1 + 1e-7, probability)
    assert measures(truth, almost, probability, days)
    with pytest.raises(DataError, match="too few groups"):
        measures(truth, probability, probability, days % 4)
    with pytest.raises(DataError, match="too few groups"):
        measures(*[np.empty(0)] * 3, np.empty(0, dtype=np.int64))


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_counts_measure_what_the_rows_measure(seed):
    rng, truth, probability, days = world(seed, n=2000, days=12)
    noisy = np.clip(probability + rng.normal(0, 0.1, 2000), 0, 1)
    by_rows = measures(truth, probability, noisy, days, seed=3)
    windows, baseline = (
        [TASK.count(truth[days == day], outputs[days == day], POLICY) for day in range(12)]
        for outputs in (probability, noisy)
    )
    by_counts = {m.name: m for m in TASK.measure_counts(windows, baseline, policy=POLICY, draws=200, seed=3)}
    left_out = {"average_precision", "lift_over_baseline.average_precision"}
    assert by_rows.keys() - by_counts.keys() == left_out
    for name, counted in by_counts.items():
        slack = 0.005 if "roc_auc" in name else 1e-6 if "loss" in name or "brier" in name or "error" in name else 1e-12
        exact = by_rows[name]
        assert counted.value == pytest.approx(exact.value, abs=slack), name
        assert (counted.low, counted.high) == pytest.approx((exact.low, exact.high), abs=2 * slack), name
        assert (counted.rows, counted.groups, counted.unit) == (exact.rows, exact.groups, exact.unit)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 200), max_size=4))
def test_counting_parts_in_any_order_is_counting_all(seed, cuts):
    rng, truth, probability, _ = world(seed, n=200)
    truth = np.where(rng.random(200) < 0.1, np.nan, truth)
    order = rng.permutation(200)
    merged = {}
    for part in np.split(order, sorted(cuts)):
        merged = merge_counts(TASK.count(truth[part], probability[part], POLICY), merged)
    assert merged == TASK.count(truth, probability, POLICY)


def test_windows_without_outcomes_say_nothing():
    _, truth, probability, days = world(10)
    full = [TASK.count(truth[days == day], probability[days == day], POLICY) for day in range(6)]
    none = TASK.count(np.full(3, np.nan), np.full(3, 0.5), POLICY)
    with_none = TASK.measure_counts([*full, none, {}], [*full, none, {}], policy=POLICY, draws=50, seed=0)
    assert with_none == TASK.measure_counts(full, full, policy=POLICY, draws=50, seed=0)
    assert TASK.measure_counts(full[:4], full[:4], policy=POLICY, draws=50, seed=0) == []
    assert TASK.measure_counts([], [], policy=POLICY, draws=50, seed=0) == []


def test_agreement_names_the_share_of_equal_decisions():
    left, right = np.array([0.1, 0.6, 0.9, 0.4]), np.array([0.2, 0.4, 0.9, 0.4])
    policy = TASK.policy(FREE, [False, True])
    found = {measure.name: measure for measure in TASK.agreement(left, right, policy)}
    assert found["agreement"].value == 0.75
    assert found["mean_difference"].value == pytest.approx(0.075)
    assert found["largest_difference"].value == pytest.approx(0.2)
    assert (found["positive_rate.left"].value, found["positive_rate.right"].value) == (0.5, 0.25)
    assert all(measure.low <= measure.value <= measure.high for measure in found.values())
    assert TASK.agreement(left[:0], right[:0], policy) == []


@pytest.mark.long
@pytest.mark.parametrize(("days", "apart"), [(60, 0.0), (30, 0.6)])
@pytest.mark.parametrize("squeeze", [1.0, 0.6])
def test_the_interval_of_calibration_covers_it(days, apart, squeeze):
    """Calibrated or squeezed by a known amount; with and without days that are better or worse than said."""
    rng = np.random.default_rng(7)
    hits = 0
    for run in range(80):
        day = np.repeat(np.arange(days), 20)
        said = rng.random(len(day))
        shift = apart * rng.choice([-1, 1], days)[day] * said * (1 - said)
        truth = (rng.random(len(day)) < 0.5 + squeeze * (said - 0.5) + shift).astype(float)
        found = measures(truth, said, said, day, seed=run, draws=150)["calibration_error"]
        hits += found.low <= (1 - squeeze) * 0.25 <= found.high
    assert hits >= 73
