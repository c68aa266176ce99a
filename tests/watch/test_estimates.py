"""Quality before labels come, held against the labels that come later."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from kring.ports.task import Counts, Task
from kring.record.evidence import Measure
from kring.record.verdict import GateLine
from kring.record.version import Policy
from kring.tasks.answering import TASK as ANSWERS
from kring.tasks.classification import TASK as YES_NO
from kring.tasks.multiclass import TASK as LABELS
from kring.tasks.regression import TASK as VALUES
from kring.watch.estimates import Estimated, Past, effect_of, estimated, judge_estimate, merged, realised

Floats = NDArray[np.float64]
YES = Policy(
    output="probability", threshold=0.3, labels=("no", "yes"), cost={"false_positive": 1.0, "false_negative": 3.0},
    currency="EUR",
)  # fmt: skip
VALUE = Policy(output="value", cost={"over": 1.0, "under": 2.0}, currency="EUR")
THREE = Policy(output="probabilities", labels=("a", "b", "c"))
AHEAD = Policy(output="answer", threshold=0.5)


def yes_no(random: np.random.Generator, n: int, *, shift: float = 0.0, meaning: float = 1.0) -> tuple[Floats, Floats]:
    said = 1 / (1 + np.exp(-random.normal(shift, 1.2, n)))
    return (random.random(n) < said**meaning).astype(np.float64), said


def values(random: np.random.Generator, n: int, *, shift: float = 0.0, meaning: float = 1.0) -> tuple[Floats, Floats]:
    said = np.exp(random.normal(3 + shift, 0.7, n))
    return said * (1 + random.normal(0, 0.3 * meaning, n)), said


def labels(random: np.random.Generator, n: int, *, shift: float = 0.0, meaning: float = 1.0) -> tuple[Floats, Floats]:
    said = random.dirichlet([1, 1, 2 + 3 * shift], n)
    weight = said**meaning
    edges = np.cumsum(weight / weight.sum(axis=1, keepdims=True), axis=1)
    return (random.random((n, 1)) > edges).sum(axis=1).astype(np.float64), said


CASES = [(YES_NO, YES, yes_no), (VALUES, VALUE, values), (LABELS, THREE, labels)]


def past_of(task: Task, policy: Policy, draw, random: np.random.Generator, **how: float) -> list[Past]:
    windows = (draw(random, 400, **how) for _ in range(8))
    return [Past(task.foresee(said, policy), task.count(truth, said, policy)) for truth, said in windows]


@pytest.mark.parametrize(("task", "policy", "draw"), CASES)
def test_an_estimate_of_changed_inputs_holds_what_labels_say(task: Task, policy: Policy, draw) -> None:
    random, inside, tried = np.random.default_rng(3), 0, 0
    past = past_of(task, policy, draw, random)
    for _ in range(20):
        truth, said = draw(random, 1500, shift=0.4)
        found = estimated(task, policy, task.foresee(said, policy), past=past, seed=1)
        assert found.doubt == ""
        assert "tried on" in found.conditions
        real = realised(task, policy, task.count(truth, said, policy))
        assert found.measures
        inside += sum(each.low <= real[each.name] <= each.high for each in found.measures if each.name in real)
        tried += sum(each.name in real for each in found.measures)
    assert inside >= 0.9 * tried


@pytest.mark.parametrize(("task", "policy", "draw"), CASES)
def test_where_answers_mean_something_else_nothing_is_estimated(task: Task, policy: Policy, draw) -> None:
    random = np.random.default_rng(4)
    past = past_of(task, policy, draw, random)[:-3] + past_of(task, policy, draw, random, meaning=3.0)[-3:]
    found = estimated(task, policy, task.foresee(draw(random, 500)[1], policy), past=past, seed=1)
    assert found.measures == ()
    assert "newest" in found.doubt


def test_nothing_is_estimated_without_labels_rows_or_a_way() -> None:
    random = np.random.default_rng(5)
    _, said = yes_no(random, 300)
    seen = YES_NO.foresee(said, YES)
    assert "too few labels" in estimated(YES_NO, YES, seen, past=[], seed=0).doubt
    past = past_of(YES_NO, YES, yes_no, random)
    assert estimated(YES_NO, YES, {}, past=past, seed=0).measures == ()
    assert estimated(YES_NO, YES, YES_NO.foresee(np.full(9, np.nan), YES), past=past, seed=0).measures == ()
    assert estimated(ANSWERS, AHEAD, {}, past=[], seed=0).doubt
    assert VALUES.estimate(VALUES.foresee(np.array([1.0, 2.0]), VALUE), {}, policy=VALUE, draws=5, seed=0) == []


def test_one_class_and_extreme_probabilities_are_no_fault() -> None:
    random = np.random.default_rng(6)
    ones = [Past(YES_NO.foresee(p, YES), YES_NO.count(np.zeros(400), p, YES)) for p in random.random((6, 400)) * 0.01]
    found = estimated(YES_NO, YES, YES_NO.foresee(np.array([0.0, 1.0] * 50), YES), past=ones, seed=0)
    assert all(np.isfinite([each.value, each.low, each.high]).all() for each in found.measures)


@pytest.mark.parametrize(("task", "policy", "draw"), CASES)
def test_what_is_foreseen_adds_in_any_order(task: Task, policy: Policy, draw) -> None:
    _, said = draw(np.random.default_rng(7), 300)

    def seen(rows: slice) -> Counts:
        return task.foresee(said[rows], policy)

    parts = [seen(slice(0, 100)), seen(slice(100, 101)), seen(slice(101, 300))]
    assert merged(parts) == merged(parts[::-1]) == merged([seen(slice(0, 300))])


def measure(name: str, value: float, half: float = 0.0, unit: str = "") -> Measure:
    return Measure(
        name=name, value=value, low=value - half, high=value + half, rows=500, groups=5, better=1, method="", unit=unit
    )


def test_a_change_is_told_in_quality_and_money() -> None:
    now = Estimated((measure("roc_auc", 0.7, 0.05), measure("expected_cost", 1.5, unit="EUR")), "if")
    effect = effect_of(now, [measure("roc_auc", 0.8), measure("expected_cost", 1.0)])
    assert (effect.metric, effect.money, effect.currency, effect.conditions) == ("roc_auc", 0.5, "EUR", "if")
    assert effect.value == pytest.approx(-0.1)
    assert effect.low == pytest.approx(-0.15)
    assert effect_of(Estimated((), "if", "no labels"), []).conditions == "no labels"
    assert effect_of(now, []).value is None


def test_a_breach_lies_wholly_beyond_the_gate_and_says_its_conditions() -> None:
    lines = [GateLine(metric="roc_auc", op=">=", limit=0.75), GateLine(metric="brier", op="<=", limit=0.1)]
    found = Estimated((measure("roc_auc", 0.6, 0.05), measure("brier", 0.12, 0.05)), "while it rains")
    [breach] = judge_estimate(found, lines, min_rows=10, since=3)
    assert (breach.kind, breach.metric, breach.since) == ("estimated_quality", "roc_auc", 3)
    assert "while it rains" in breach.sure
    assert judge_estimate(found, lines, min_rows=1000, since=3) == []


def test_on_the_electricity_market_estimates_are_withheld_or_hold(shared: Path) -> None:
    """Prices that change their meaning every few weeks: a bad place for estimates, and they have to say so."""
    feed = pl.read_csv(shared / "data" / "elec2" / "elec.csv").to_numpy()
    inputs, truth = feed[:, :-1], feed[:, -1]
    model = LogisticRegression(max_iter=500).fit(inputs[:15000], truth[:15000])
    said, truth = model.predict_proba(inputs[15000:])[:, 1], truth[15000:]
    policy = Policy(output="probability", threshold=0.5, labels=("down", "up"))
    weeks = [slice(start, start + 336) for start in range(0, len(truth) - 335, 336)]
    past = [Past(YES_NO.foresee(said[week], policy), YES_NO.count(truth[week], said[week], policy)) for week in weeks]
    given, inside = 0, 0
    for place in range(12, len(weeks)):
        found = estimated(YES_NO, policy, past[place].seen, past=past[max(0, place - 30) : place - 1], seed=place)
        real = realised(YES_NO, policy, past[place].labels)
        for each in found.measures:
            if each.name == "accuracy":
                given += 1
                inside += each.low <= real["accuracy"] <= each.high
    assert 0 < given < len(weeks) / 2, "most weeks contradict the weeks before"
    assert inside >= 0.8 * given
