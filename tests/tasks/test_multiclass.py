from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from kring.errors import ConfigError, DataError
from kring.ports.task import Task
from kring.record.batch import Batch
from kring.record.system import Frame
from kring.tasks.multiclass import TASK
from kring.watch.windows import merge_counts

NAMES = ("apple", "pear", "quince.*", "é\n'\"")
TARGET = [name for name in NAMES for _ in range(10)]
FREE = Frame(decision="sort")
PRICED = Frame(decision="sort", cost=dict(zip(NAMES, (1.0, 8.0, 2.0, 3.0), strict=True)), currency="EUR")
PLAIN, POLICY = TASK.policy(FREE, TARGET), TASK.policy(PRICED, TARGET)
K = len(NAMES)


def world(seed: int, n: int = 2000, days: int = 20):
    """Distributions that are true, the truth drawn from them, and the day of each row."""
    rng = np.random.default_rng(seed)
    weights = rng.gamma(0.6, 1.0, (n, K)) + 1e-4
    given = weights / weights.sum(axis=1, keepdims=True)
    truth = (given.cumsum(axis=1)[:, :-1] < rng.random((n, 1))).sum(axis=1).astype(float)
    return rng, truth, given, rng.integers(0, days, n)


def usual(truth):
    """What the shares of the labels answer, whatever the row."""
    return np.tile(np.bincount(truth.astype(int), minlength=K) / len(truth), (len(truth), 1))


def measures(truth, outputs, baseline, groups, *, policy=POLICY, draws=100, seed=1):
    found, _ = TASK.measure(truth, outputs, baseline, groups=groups, policy=policy, draws=draws, seed=seed)
    return {measure.name: measure for measure in found}


def test_it_fulfils_the_port():
    task: Task = TASK
    assert task.output == "probabilities"


def test_labels_and_prices_are_pinned_in_order():
    assert POLICY.labels == tuple(sorted(NAMES))
    assert tuple(POLICY.cost) == POLICY.labels
    assert (POLICY.threshold, POLICY.currency) == (None, "EUR")
    assert PLAIN.cost == {}
    numbers = TASK.policy(FREE, [10, 9, 2.0, None] * 10)
    assert numbers.labels == ("2", "9", "10")
    np.testing.assert_array_equal(TASK.truth(["10", 9, 2.0, None, 3, "nine"], numbers), [2, 1, 0] + [np.nan] * 3)


@pytest.mark.parametrize(
    ("target", "says", "next"),
    [
        ([], "three different values", "data.target"),
        ([None, float("nan")], "none, all are missing", "data.target"),
        (["a"] * 20, "1 in 20 rows: a", "data.target"),
        ([True, False] * 20, "2 in 40 rows: false, true", 'task = "classification"'),
        (list(np.linspace(0, 1, 30)) * 10, "measured number", 'task = "regression"'),
        (list(range(101)) * 10, "measured number", 'task = "regression"'),
        ([f"id{n}" for n in range(101)] * 10, "too many different values", "join rare labels"),
        (["a", "b"] * 20 + ["c"] * 9, "c: 9", "join rare labels"),
    ],
)
def test_targets_that_are_no_labels_are_refused_in_words(target, says, next):
    with pytest.raises(DataError) as error:
        TASK.policy(FREE, target)
    assert says in str(error.value)
    assert next in error.value.next


def test_whole_numbers_and_few_measured_ones_are_labels():
    assert len(TASK.policy(FREE, list(range(100)) * 10).labels) == 100
    assert TASK.policy(FREE, [0.5, 1.5, 2.5] * 10).labels == ("0.5", "1.5", "2.5")


@pytest.mark.parametrize(
    "cost",
    [
        {"apple": 1.0},
        {"false_positive": 1.0, "false_negative": 2.0},
        dict.fromkeys(NAMES, 0.0),
        dict.fromkeys(NAMES, -1.0),
        dict.fromkeys(NAMES, float("inf")),
        dict.fromkeys(NAMES, float("nan")),
        {**dict.fromkeys(NAMES, 1.0), "plum": 1.0},
    ],
)
def test_prices_are_one_for_each_label_or_none(cost):
    with pytest.raises(ConfigError, match="a price for missing each label") as error:
        TASK.policy(Frame(decision="x", cost=cost), TARGET)
    assert error.value.key == "frame.cost"


def test_several_labels_have_no_yes():
    with pytest.raises(ConfigError, match="no yes"):
        TASK.policy(FREE, TARGET, positive="apple")


def test_the_dearest_mistake_is_avoided_and_a_missing_answer_decides_nothing():
    given = np.array([[0.5, 0.2, 0.2, 0.1], [0.25, 0.25, 0.25, 0.25], [np.nan] * 4])
    batch = Batch(3, {"probabilities": given, "other": [1, 2, 3]})
    free, priced = TASK.decide(batch, PLAIN), TASK.decide(batch, POLICY)
    assert list(free.columns) == ["other", "decision", *(f"probability.{label}" for label in PLAIN.labels)]
    assert free.columns["decision"].tolist() == ["apple", "apple", None]
    assert priced.columns["decision"].tolist() == ["pear", "pear", None]
    assert all(np.ndim(column) == 1 for column in free.columns.values())


def test_outputs_are_read_from_a_chain_and_from_what_was_decided():
    _, _, given, _ = world(1, n=7)
    given[3] = np.nan
    chain = Batch(7, {"probabilities": given})
    decided = TASK.decide(chain, POLICY)
    told = Batch(7, {name: list(np.asarray(column)) for name, column in decided.columns.items()})
    for batch in (chain, decided, told, TASK.decide(decided, POLICY)):
        np.testing.assert_array_equal(TASK.outputs(batch, POLICY), given)
    assert TASK.answered(TASK.outputs(decided, POLICY)).tolist() == [True] * 3 + [False] + [True] * 3
    assert not TASK.answered(TASK.outputs(Batch(2, {}), POLICY)).any()
    gaps = Batch(1, {f"probability.{label}": [None] for label in POLICY.labels})
    assert np.isnan(TASK.outputs(gaps, POLICY)).all()


def test_every_metric_that_is_promised_is_measured():
    _, truth, given, days = world(1)
    found, curves = TASK.measure(truth, given, given[::-1], groups=days, policy=POLICY, draws=100, seed=1)
    named = {f"{name}.{label}": 1 for name in ("recall", "precision") for label in POLICY.labels}
    fixed = {name: better for name, better in TASK.metrics.items() if not name.endswith(".*")}
    assert {measure.name: measure.better for measure in found} == {**fixed, **named}
    assert {"recall.*": 1, "precision.*": 1}.items() <= TASK.metrics.items()
    assert found[0].name == "accuracy"
    for measure in found:
        assert measure.low <= measure.value <= measure.high, measure.name
        assert (measure.rows, measure.groups) == (2000, 20)
        assert measure.unit == ("EUR" if "cost" in measure.name else "")
    names = [f"{kind}.{label}" for kind in ("confusion", "calibration") for label in POLICY.labels]
    assert [curve.name for curve in curves] == ["confidence", *names]
    assert sum(sum(curve.weight) for curve in curves if curve.name.startswith("confusion")) == 2000
    assert all(sum(curve.y) == pytest.approx(1) for curve in curves if curve.name.startswith("confusion"))
    assert all(sum(curve.weight) == 2000 for curve in curves if not curve.name.startswith("confusion"))


def test_values_are_those_of_scikit_learn():
    _, truth, given, days = world(2)
    found = measures(truth, given, usual(truth), days, policy=PLAIN)
    said, codes = given.argmax(axis=1), truth.astype(int)
    expected = {
        "accuracy": sk.accuracy_score(codes, said),
        "balanced_accuracy": sk.balanced_accuracy_score(codes, said),
        "macro_f1": sk.f1_score(codes, said, average="macro"),
        "macro_precision": sk.precision_score(codes, said, average="macro"),
        "macro_recall": sk.recall_score(codes, said, average="macro"),
        "roc_auc": sk.roc_auc_score(codes, given, multi_class="ovr"),
        "log_loss": sk.log_loss(codes, given),
        "brier": sk.brier_score_loss(codes, given),
        "top_2_accuracy": sk.top_k_accuracy_score(codes, given, k=2),
        "recall.apple": sk.recall_score(codes, said, average=None)[0],
        "precision.pear": sk.precision_score(codes, said, average=None)[1],
    }
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value), name
    assert not [name for name in found if "cost" in name]


def test_squeezed_probabilities_are_found_and_true_ones_are_not():
    _, truth, given, days = world(4, n=20_000, days=60)
    found = measures(truth, given, given, days)["calibration_error"]
    assert found.low < 0.01
    assert found.high < 0.03
    squeezed = measures(truth, 0.5 * given + 0.5 / K, given, days, policy=PLAIN)
    assert squeezed["calibration_error"].low > 0.1
    assert squeezed["lift_over_baseline.calibration_error"].high < 0
    assert squeezed["accuracy"] == measures(truth, given, given, days, policy=PLAIN)["accuracy"]


def test_a_better_model_is_found_and_a_shuffled_one_is_worth_nothing():
    rng, truth, given, days = world(6, n=6000)
    found = measures(truth, given, usual(truth), days)
    proper = ("accuracy", "macro_f1", "roc_auc", "log_loss", "brier", "top_2_accuracy", "expected_cost")
    for name in proper:
        assert found[f"lift_over_baseline.{name}"].low > 0, name
    shuffled = measures(truth, rng.permutation(given), rng.permutation(given), days)
    for name in proper:
        lift = shuffled[f"lift_over_baseline.{name}"]
        assert lift.low < 0 < lift.high, name


def test_equal_seeds_give_equal_evidence_and_a_candidate_no_lift_over_itself():
    _, truth, given, days = world(3)
    found = measures(truth, given, given, days)
    assert found == measures(truth, given, given, days)
    assert found != measures(truth, given, given, days, seed=2)
    assert all((m.value, m.low, m.high) == (0, 0, 0) for name, m in found.items() if name.startswith("lift"))


def test_what_the_rows_do_not_define_is_left_out():
    _, truth, given, days = world(8)
    kept = truth != 2
    found = measures(truth[kept], given[kept], given[kept], days[kept])
    assert f"recall.{POLICY.labels[2]}" not in found
    assert f"recall.{POLICY.labels[1]}" in found
    never = np.delete(usual(truth), 3, axis=1) / (1 - usual(truth)[0, 3])
    silent = measures(truth, np.insert(never, 3, 0.0, axis=1), given, days)
    assert f"precision.{POLICY.labels[3]}" not in silent
    assert silent[f"recall.{POLICY.labels[3]}"].value == 0


@pytest.mark.parametrize("row", [(np.nan,) * 4, (np.inf, 0, 0, 0), (1.2, -0.2, 0, 0), (0.3, 0.3, 0.3, 0.05)])
def test_what_is_no_distribution_is_refused_in_words(row):
    _, truth, given, days = world(9, n=50)
    bad = given.copy()
    bad[7] = row
    with pytest.raises(DataError, match="in row 7, 1 of 50"):
        measures(truth, bad, given, days)
    with pytest.raises(DataError, match="too few groups"):
        measures(truth, given, given, days % 4)


def test_losses_and_rates_of_rows():
    _, truth, given, _ = world(10, n=500)
    assert TASK.losses(truth, given, POLICY).mean() == pytest.approx(sk.log_loss(truth, given, labels=range(K)))
    said = (given * np.array(list(POLICY.cost.values()))).argmax(axis=1)
    found = {name: values.sum() / weights.sum() for name, (values, weights) in TASK.rates(truth, given, POLICY).items()}
    assert found == {
        "accuracy": pytest.approx((said == truth).mean()),
        "selection_rate": pytest.approx((said == 1).mean()),
        "true_positive_rate": pytest.approx((said == 1)[truth == 1].mean()),
        "false_positive_rate": pytest.approx((said == 1)[truth != 1].mean()),
    }
    assert list(TASK.rates(truth, given, PLAIN)) == ["accuracy"]


def test_answers_differ_away_from_a_tie_only():
    left = np.array([[0.50004, 0.49996, 0, 0], [0.6, 0.4, 0, 0], [0.6, 0.4, 0, 0], [0.6, 0.4, 0, 0]])
    right = np.array([[0.49996, 0.50004, 0, 0], [0.4, 0.6, 0, 0], [0.6, 0.39, 0.01, 0], [np.nan] * 4])
    distance, differs = TASK.apart(left, right, PLAIN)
    np.testing.assert_allclose(distance, [8e-5, 0.2, 0.01, np.inf])
    assert differs.tolist() == [False, True, False, True]
    found = {measure.name: measure.value for measure in TASK.agreement(left[:3], right[:3], PLAIN)}
    assert found["agreement"] == pytest.approx(1 / 3)
    assert found["largest_difference"] == pytest.approx(0.2)
    assert TASK.agreement(left[:0], right[:0], PLAIN) == []


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_counts_measure_what_the_rows_measure(seed):
    rng, truth, given, days = world(seed, n=1500, days=12)
    noisy = 0.7 * given + 0.3 * rng.permutation(given)
    by_rows = measures(truth, given, noisy, days, seed=3)
    windows, baseline = (
        [TASK.count(truth[days == day], outputs[days == day], POLICY) for day in range(12)]
        for outputs in (given, noisy)
    )
    by_counts = {m.name: m for m in TASK.measure_counts(windows, baseline, policy=POLICY, draws=100, seed=3)}
    assert by_rows.keys() == by_counts.keys()
    for name, counted in by_counts.items():
        slack = 0.006 if "roc_auc" in name else 3e-6
        exact = by_rows[name]
        assert counted.value == pytest.approx(exact.value, abs=slack), name
        assert (counted.low, counted.high) == pytest.approx((exact.low, exact.high), abs=2 * slack), name
        assert (counted.rows, counted.groups, counted.unit) == (exact.rows, exact.groups, exact.unit)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 200), max_size=4))
def test_counting_parts_in_any_order_is_counting_all(seed, cuts):
    rng, truth, given, _ = world(seed, n=200)
    truth = np.where(rng.random(200) < 0.1, np.nan, truth)
    given[rng.random(200) < 0.1] = np.nan
    order = rng.permutation(200)
    merged = {}
    for part in np.split(order, sorted(cuts)):
        merged = merge_counts(TASK.count(truth[part], given[part], POLICY), merged)
    assert merged == TASK.count(truth, given, POLICY)


def test_few_windows_say_nothing():
    _, truth, given, days = world(10)
    full = [TASK.count(truth[days == day], given[days == day], POLICY) for day in range(6)]
    none = TASK.count(np.full(3, np.nan), np.full((3, K), 0.25), POLICY)
    with_none = TASK.measure_counts([*full, none, {}], [*full, none, {}], policy=POLICY, draws=50, seed=0)
    assert with_none == TASK.measure_counts(full, full, policy=POLICY, draws=50, seed=0)
    assert TASK.measure_counts(full[:4], full[:4], policy=POLICY, draws=50, seed=0) == []


@settings(max_examples=6, deadline=None)
@given(st.permutations(range(K)))
def test_the_order_of_labels_changes_no_figure(order):
    _, truth, given, days = world(11, n=400)
    place = np.argsort(order)
    names = [f"{place[code]}" for code in range(K)]
    turned = TASK.policy(Frame(decision="x", cost=dict(zip(names, POLICY.cost.values(), strict=True))), names * 10)
    mine = measures(truth, given, usual(truth), days)
    other = measures(
        place[truth.astype(int)].astype(float), given[:, order], usual(truth)[:, order], days, policy=turned
    )
    for name in TASK.metrics:
        if not name.endswith(".*"):
            assert other[name].value == pytest.approx(mine[name].value, abs=1e-12), name


@pytest.mark.long
@pytest.mark.parametrize("squeeze", [1.0, 0.6])
def test_the_interval_of_calibration_covers_it(squeeze):
    """The most probable of three labels, said with a known excess of confidence."""
    rng = np.random.default_rng(7)
    policy = TASK.policy(FREE, ["a", "b", "c"] * 10)
    hits = 0
    for run in range(80):
        sure = rng.uniform(0.4, 1.0, 1200)
        given = np.stack([sure, (1 - sure) / 2, (1 - sure) / 2], axis=1)
        truth = np.where(rng.random(1200) < 0.4 + squeeze * (sure - 0.4), 0.0, rng.integers(1, 3, 1200))
        day = np.repeat(np.arange(60), 20)
        found = measures(truth, given, given, day, policy=policy, seed=run, draws=150)["calibration_error"]
        hits += found.low <= (1 - squeeze) * 0.3 <= found.high
    assert hits >= 73
