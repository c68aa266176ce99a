"""The task of answers in words: reading, deciding, measuring, counting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.errors import ConfigError, DataError
from kring.metrics.measured import LIFT
from kring.record.batch import Batch
from kring.record.system import Frame
from kring.record.version import Policy
from kring.tasks.answering import FORMULAS, NO_ANSWER, TASK, number_of

FRAME = Frame(decision="show it", cost={"wrong_answer": 2.0, "wrong_refusal": 5.0}, currency="minutes")
POLICY = TASK.policy(FRAME, ["a.md#x b.md", "none"])


def batch(*rows: tuple[str, str, float | None]) -> Batch:
    """Rows of answer, citations, support."""
    answers, citations, support = zip(*rows, strict=True)
    return Batch(len(rows), {"answer": list(answers), "citations": list(citations), "support": list(support)})


def outputs(*rows: tuple[str, float]) -> np.ndarray:
    return TASK.outputs(batch(*(("text", cited, support) for cited, support in rows)), POLICY)


def test_the_policy_holds_the_prices_and_one_half():
    assert Policy(output="answer", threshold=0.5, cost=FRAME.cost, currency="minutes") == POLICY
    assert TASK.policy(Frame(decision="x"), ["a.md"]).cost == {}


@pytest.mark.parametrize(
    "cost", [{"wrong_answer": 1.0}, {"false_positive": 1.0}, {"wrong_answer": -1.0, "wrong_refusal": 1}]
)
def test_other_prices_are_refused(cost: dict[str, float]):
    with pytest.raises(ConfigError, match="both prices"):
        TASK.prices(Frame(decision="x", cost=cost))


def test_targets_that_can_not_be_are_refused():
    for target in ([], [None, ""], ["none"], [0, 1]):
        with pytest.raises(DataError, match="nothing that ought to be cited"):
            TASK.policy(FRAME, target)
    with pytest.raises(DataError, match="too many"):
        TASK.policy(FRAME, [" ".join(f"a.md#{number}" for number in range(17))])
    with pytest.raises(ConfigError, match="no yes"):
        TASK.policy(FRAME, ["a.md"], positive="a.md")


def test_truth_tells_unanswerable_from_unknown():
    truth = TASK.truth(["a.md#x b.md", "none", None, " ", "a.md a.md#x"], POLICY)
    assert truth.shape == (5, 16)
    assert TASK.known(truth).tolist() == [True, True, False, False, True]
    assert truth[0, :2].tolist() == [number_of("a.md#x"), number_of("b.md")]
    assert truth[1, 0] == 0
    assert np.isnan(truth[4, 1]), "the page stands for its headings"


def test_decisions_are_the_answer_or_that_there_is_none():
    rows = batch(("yes", "a.md", 0.5), ("no", "a.md", 0.49), ("", "", 0.9), ("x", "", None), ("x", "", 1.5))
    assert list(TASK.decide(rows, POLICY).columns["decision"]) == ["yes", NO_ANSWER, NO_ANSWER, None, None]
    assert TASK.answered(TASK.outputs(rows, POLICY)).tolist() == [True, True, True, False, True]


def test_missing_columns_are_no_answers():
    read = TASK.outputs(Batch(2, {"decision": ["default", "default"]}), POLICY)
    assert not TASK.answered(read).any()


def test_distances_and_decisions_between_two_answers():
    left = outputs(("a.md b.md", 0.9), ("a.md b.md", 0.9), ("a.md", 0.50001), ("a.md", 0.9), ("a.md", 0.2))
    right = outputs(("a.md b.md", 0.7), ("a.md c.md", 0.9), ("a.md", 0.49999), ("b.md", 0.9), ("b.md", 0.2))
    distance, differs = TASK.apart(left, right, POLICY)
    np.testing.assert_allclose(distance, [0.2, 1.0, 0.00002, 1.0, 1.0], atol=1e-12)
    assert differs.tolist() == [False, False, False, True, False]
    assert [measure.name for measure in TASK.agreement(left, right, POLICY)][:1] == ["agreement"]
    assert TASK.agreement(left, right, POLICY)[0].value == pytest.approx(3 / 5)


PAGES = ["a.md", "b.md#x", "b.md#y", "c.md"]
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a.md", "b.md", "b.md#x c.md", "none"]),
        st.lists(st.sampled_from(PAGES), max_size=4, unique=True),
        st.floats(0, 1).map(lambda share: round(share, 2)),
    ),
    min_size=10,
    max_size=30,
)


@given(ROWS)
def test_windows_say_what_rows_say(rows: list[tuple[str, list[str], float]]):
    truth = TASK.truth([target for target, _, _ in rows], POLICY)
    said = outputs(*((" ".join(cited), support) for _, cited, support in rows))
    other = outputs(*((" ".join(cited[::-1]), 1 - support) for _, cited, support in rows))
    groups = np.arange(len(rows))
    whole, _ = TASK.measure(truth, said, other, groups=groups, policy=POLICY, draws=20, seed=1)
    cuts = np.array_split(groups, 5)
    mine, theirs = ([TASK.count(truth[cut], each[cut], POLICY) for cut in cuts] for each in (said, other))
    counted = TASK.measure_counts(mine, theirs, policy=POLICY, draws=20, seed=1)
    values = {measure.name: measure.value for measure in whole}
    assert {measure.name for measure in whole} <= set(TASK.metrics)
    for measure in counted:
        if measure.name in values:
            assert measure.value == pytest.approx(values[measure.name], abs=1e-5), measure.name
    costs = TASK.losses(truth, said, POLICY).mean()
    assert values["expected_cost"] == pytest.approx(costs)


def test_lifts_are_paired_and_every_formula_is_measured():
    truth = TASK.truth(["a.md", "b.md", "none", "c.md"] * 5, POLICY)
    good = outputs(*[("a.md", 0.9), ("b.md", 0.8), ("c.md", 0.1), ("a.md", 0.2)] * 5)
    poor = outputs(*[("b.md", 0.9), ("b.md", 0.4), ("c.md", 0.9), ("a.md", 0.2)] * 5)
    measures, curves = TASK.measure(truth, good, poor, groups=np.arange(20), policy=POLICY, draws=200, seed=0)
    found = {measure.name: measure for measure in measures}
    assert set(FORMULAS) <= set(found)
    assert found[LIFT + "recall_at_1"].value == found["recall_at_1"].value - 1 / 3
    assert found[LIFT + "expected_cost"].value > 0
    assert found["refusal_recall"].value == 1
    assert all(measure.low <= measure.value <= measure.high for measure in measures)
    assert [curve.name for curve in curves] == ["refusals"]


def test_counts_keep_what_is_missing_apart():
    truth = TASK.truth(["a.md", None, "none"], POLICY)
    said = outputs(("a.md", 0.9), ("a.md", 0.9), ("a.md", float("nan")))
    counts = TASK.count(truth, said, POLICY)
    assert (counts["n"], counts["missing"], counts["unanswered"]) == ((1,), (1,), (1,))
    assert counts["recall_at_1"] == (1_000_000, 1_000_000)


def test_rates_are_those_of_answers():
    truth, said = TASK.truth(["a.md", "none"], POLICY), outputs(("a.md", 0.9), ("a.md", 0.9))
    values, weights = TASK.rates(truth, said, POLICY)["answer_accuracy"]
    assert values.sum() / weights.sum() == 0.5
