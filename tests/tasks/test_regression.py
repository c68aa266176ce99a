from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kring.errors import ConfigError, DataError
from kring.metrics import scores
from kring.ports.task import Task
from kring.record.batch import Batch
from kring.record.system import Frame
from kring.tasks.regression import TASK
from kring.watch.windows import merge_counts

PRICED = Frame(decision="stock", cost={"over": 1.0, "under": 3.0}, currency="EUR")
POLICY = TASK.policy(PRICED, [1.0, 2.0])


def world(seed: int, n: int = 2000, days: int = 20):
    rng = np.random.default_rng(seed)
    truth = rng.normal(50, 10, n)
    return rng, truth, truth + rng.normal(0, 4, n), rng.integers(0, days, n)


def measures(truth, outputs, baseline, groups, *, policy=POLICY, seed=1):
    found, _ = TASK.measure(truth, outputs, baseline, groups=groups, policy=policy, draws=200, seed=seed)
    return {measure.name: measure for measure in found}


def test_it_fulfils_the_port():
    task: Task = TASK
    assert task.output == "value"


def test_the_policy_is_the_prices():
    assert POLICY.threshold is None
    assert POLICY.cost == {"over": 1.0, "under": 3.0}
    with pytest.raises(ConfigError, match="both prices"):
        TASK.policy(Frame(decision="x", cost={"over": 1.0}), [1.0, 2.0])
    with pytest.raises(ConfigError, match="no yes"):
        TASK.policy(PRICED, [1.0, 2.0], positive=1)


@pytest.mark.parametrize(
    ("target", "says"),
    [
        (["a", "b"], "no number in 2 rows"),
        ([True, False], "no number in 2 rows"),
        ([None, None], "no number in 2 rows"),
        ([], "no number in 0 rows"),
        ([3, 3.0, None], "always 3"),
        (np.array([np.inf, np.nan, 1.0]), "always 1"),
    ],
)
def test_other_targets_are_refused_in_words(target, says):
    with pytest.raises(DataError) as error:
        TASK.policy(PRICED, target)
    assert says in str(error.value)
    assert error.value.next


def test_truth_is_every_finite_number():
    found = TASK.truth([1, 2.5, None, "3", True, np.inf, np.float32(4), np.int64(5)], POLICY)
    np.testing.assert_array_equal(found, [1, 2.5, np.nan, np.nan, np.nan, np.nan, 4, 5])
    np.testing.assert_array_equal(TASK.truth(np.array([1, 2]), POLICY), [1.0, 2.0])


def test_the_decision_is_the_value():
    decided = TASK.decide(Batch(2, {"value": np.array([1.5, np.nan], dtype=np.float32)}), POLICY)
    np.testing.assert_array_equal(decided.columns["decision"], [1.5, np.nan])


def test_every_metric_that_is_promised_is_measured():
    _, truth, value, days = world(1)
    found, curves = TASK.measure(truth, value, np.full(2000, 50.0), groups=days, policy=POLICY, draws=100, seed=1)
    assert {measure.name: measure.better for measure in found} == TASK.metrics
    by_name = {measure.name: measure for measure in found}
    for name, of in {"mae": scores.mae, "rmse": scores.rmse, "r2": scores.r2, "bias": scores.bias}.items():
        assert by_name[name].value == pytest.approx(of(truth, value))
        assert by_name[name].low <= by_name[name].value <= by_name[name].high
    error = value - truth
    cost = np.where(error > 0, error, -3 * error).mean()
    assert by_name["expected_cost"].value == pytest.approx(cost)
    assert by_name["expected_cost"].unit == "EUR"
    assert [curve.name for curve in curves] == ["calibration", "errors"]
    assert all(sum(curve.weight) == 2000 for curve in curves)


def test_planted_defects_are_found_and_clean_data_are_silent():
    rng, truth, value, days = world(2, n=8000)
    clean = measures(truth, value, value + rng.normal(0, 3, 8000), days)
    assert clean["bias"].low < 0 < clean["bias"].high
    assert all(clean[f"lift_over_baseline.{name}"].low > 0 for name in ("mae", "rmse", "r2", "expected_cost"))
    assert measures(truth, value + 2, value, days)["bias"].low > 1.5
    shuffled = measures(truth, rng.permutation(value), rng.permutation(value), days)
    for name in ("mae", "rmse", "r2"):
        lift = shuffled[f"lift_over_baseline.{name}"]
        assert lift.low < 0 < lift.high


def test_what_is_no_number_is_refused_in_words():
    _, truth, value, days = world(3, n=50)
    for bad in (np.nan, np.inf):
        with pytest.raises(DataError, match="in row 7, 1 of 50"):
            measures(truth, np.where(np.arange(50) == 7, bad, value), value, days)
    with pytest.raises(DataError, match="too few groups"):
        measures(truth, value, value, days % 4)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_counts_measure_what_the_rows_measure(seed):
    rng, truth, value, days = world(seed, n=1000, days=12)
    other = value + rng.normal(0, 3, 1000)
    by_rows = measures(truth, value, other, days, seed=3)
    windows, baseline = (
        [TASK.count(truth[days == day], outputs[days == day], POLICY) for day in range(12)]
        for outputs in (value, other)
    )
    by_counts = {m.name: m for m in TASK.measure_counts(windows, baseline, policy=POLICY, draws=200, seed=3)}
    assert by_counts.keys() == by_rows.keys()
    for name, counted in by_counts.items():
        exact = by_rows[name]
        mine, expected = (counted.value, counted.low, counted.high), (exact.value, exact.low, exact.high)
        assert mine == pytest.approx(expected, abs=1e-6), name


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 100), max_size=4))
def test_counting_parts_in_any_order_is_counting_all(seed, cuts):
    rng, truth, value, _ = world(seed, n=100)
    truth = np.where(rng.random(100) < 0.1, np.nan, truth)
    value = np.where(rng.random(100) < 0.1, np.nan, value)
    merged = {}
    for part in np.split(rng.permutation(100), sorted(cuts)):
        merged = merge_counts(TASK.count(truth[part], value[part], POLICY), merged)
    assert merged == TASK.count(truth, value, POLICY)


def test_too_few_windows_say_nothing():
    _, truth, value, _ = world(4, n=10)
    one = TASK.count(truth, value, POLICY)
    assert TASK.measure_counts([one] * 4, [one] * 4, policy=POLICY, draws=50, seed=0) == []
    assert TASK.measure_counts([one] * 5 + [{}], [one] * 5 + [{}], policy=POLICY, draws=50, seed=0)


def test_agreement_is_exact_equality():
    found = {m.name: m for m in TASK.agreement(np.array([1.0, 2.0]), np.array([1.0, 4.0]), POLICY)}
    assert (found["agreement"].value, found["mean_difference"].value) == (0.5, 1.0)
    assert found["largest_difference"].high == 2.0
