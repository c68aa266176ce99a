from __future__ import annotations

import numpy as np
import pytest

from kring.errors import CandidateError, ExpressionError
from kring.ports.runtime import Runtime
from kring.record.batch import Batch
from kring.record.prepare import ColumnKind
from kring.record.version import Link, Output
from kring.runtimes.rule import RuleRuntime, open_rule
from kring.testing.runtime import RuntimeConformance

KINDS: dict[str, ColumnKind] = {"hour": "number", "carrier": "category"}


def rule(expression: str, *, output: Output = "probability", default: float | None = None) -> RuleRuntime:
    return open_rule(Link(kind="rule", expression=expression), KINDS, output=output, default=default)


def batch(hours: list[float], carriers: list[str]) -> Batch:
    return Batch(len(hours), {"hour": np.array(hours, dtype=np.float32), "carrier": np.array(carriers, dtype=object)})


class TestRule(RuntimeConformance):
    output = "probability"

    def runtime(self) -> Runtime:
        return rule('where(hour >= 17 and carrier != "HA", 0.4, 0.1)')

    def batch(self) -> Batch:
        return batch([float(hour) for hour in range(12, 20)], ["HA", "UA"] * 4)


class TestValues(RuntimeConformance):
    output = "value"

    def runtime(self) -> Runtime:
        return rule('where(carrier == "UA", hour * 2, -hour)', output="value")

    def batch(self) -> Batch:
        return batch([float(hour) for hour in range(12, 20)], ["HA", "UA"] * 4)


def test_yes_and_no_are_one_and_zero() -> None:
    answers = rule("hour > 17").answer(batch([16, 18], ["UA", "UA"])).columns["probability"]
    assert list(answers) == [0.0, 1.0]


def test_a_rule_may_read_nothing() -> None:
    assert list(rule("0.25").answer(batch([1, 2, 3], ["a"] * 3)).columns["probability"]) == [0.25] * 3


def test_missing_inputs_are_missing_not_zero() -> None:
    hours = batch([float("nan"), 18], ["UA", "UA"])
    np.testing.assert_array_equal(np.asarray(rule("hour > 17").answer(hours).columns["probability"]), [np.nan, 1.0])
    assert list(rule("hour > 17", default=0.5).answer(hours).columns["probability"]) == [0.5, 1.0]
    assert list(rule("is_null(hour)").answer(hours).columns["probability"]) == [1.0, 0.0]


def test_what_is_no_probability_is_no_answer() -> None:
    answers = rule("hour / 10").answer(batch([5, 11], ["a", "a"])).columns["probability"]
    np.testing.assert_array_equal(np.asarray(answers), [0.5, np.nan])
    assert list(rule("hour / 10", output="value").answer(batch([5, 11], ["a", "a"])).columns["value"]) == [0.5, 1.1]


@pytest.mark.parametrize("expression", ["hour +", "", "__import__('os')", "lookup('t', key=[hour])"])
def test_a_rule_outside_the_grammar_is_refused(expression: str) -> None:
    with pytest.raises(ExpressionError):
        rule(expression)


def test_a_rule_over_unknown_columns_names_the_known() -> None:
    with pytest.raises(CandidateError, match="not prepared") as refused:
        rule("houre > 17")
    assert "hour" in refused.value.allowed


def test_a_rule_that_gives_a_text_is_refused_when_it_is_opened() -> None:
    with pytest.raises(CandidateError, match="gives no number"):
        rule("carrier")


LABELS = ("late", "on time", "early")


def labelled(expression: str) -> RuleRuntime:
    link = Link(kind="rule", expression=expression)
    return open_rule(link, KINDS, output="probabilities", labels=LABELS)


class TestLabels(RuntimeConformance):
    output = "probabilities"
    labels = len(LABELS)

    def runtime(self) -> Runtime:
        return labelled('where(hour >= 17 and carrier != "HA", "late", "on time")')

    def batch(self) -> Batch:
        return batch([float(hour) for hour in range(12, 20)], ["HA", "UA"] * 4)


def test_a_text_is_the_label_it_names_and_another_text_is_no_answer() -> None:
    answers = labelled("carrier").answer(batch([1, 2, 3], ["early", "(missing)", "late"])).columns["probabilities"]
    np.testing.assert_array_equal(np.asarray(answers), [[0, 0, 1], [np.nan] * 3, [1, 0, 0]])


@pytest.mark.parametrize(("expression", "output"), [("hour", "probabilities"), ("carrier", "probability")])
def test_a_rule_gives_a_label_where_labels_are_asked_for_and_only_there(expression: str, output: Output) -> None:
    with pytest.raises(CandidateError, match="gives no"):
        open_rule(Link(kind="rule", expression=expression), KINDS, output=output, labels=LABELS)
