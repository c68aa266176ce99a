from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.errors import ConfigError
from kring.metrics.gates import OPERATORS, covers, judge_line, judge_measure, line_text, parse_line, worst
from kring.record.evidence import Measure
from kring.record.verdict import GateLine, Operator

HOLDS = {
    ">=": lambda value, limit: value >= limit,
    ">": lambda value, limit: value > limit,
    "<=": lambda value, limit: value <= limit,
    "<": lambda value, limit: value < limit,
}


def measure(low: float, high: float, *, name: str = "auc", value: float | None = None, rows: int = 500) -> Measure:
    middle = (low + high) / 2 if value is None else value
    return Measure(name=name, value=middle, low=low, high=high, rows=rows, groups=30, better=1, method="test")


@pytest.mark.parametrize(
    ("text", "op", "limit"),
    [
        (">= 0.60", ">=", 0.6),
        (">0", ">", 0.0),
        ("  <=   .05 ", "<=", 0.05),
        ("< -1e-3", "<", -0.001),
        (">= +2.", ">=", 2.0),
        ("<= 20", "<=", 20.0),
    ],
)
def test_a_line_is_an_operator_and_a_number(text: str, op: Operator, limit: float) -> None:
    assert parse_line("auc", text) == GateLine(metric="auc", op=op, limit=limit)


@pytest.mark.parametrize(
    "text",
    ["", "0.6", ">=", "== 0.6", "=> 0.6", ">= 0.6 %", ">= nan", ">= inf", ">= 1e999", ">= 0,6", ">= 1_000", ">= ٣",
     ">= 0.6\n<= 0.9", ">== 1", "!= 0", ">= 0x10", "≥ 0.6", ">= --1", ">= .", ">= 1e"],
)  # fmt: skip
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_line("auc", text)
    assert caught.value.key == "auc"
    assert caught.value.got == repr(text)
    assert "auc" in caught.value.next


@pytest.mark.parametrize("metric", ["", "*", ".*", "*.auc", "fair*", "a.*.b", "a.**", " auc", "fairness.* "])
def test_a_star_only_ends_a_prefix(metric: str) -> None:
    with pytest.raises(ConfigError):
        parse_line(metric, ">= 1")


@given(st.sampled_from(OPERATORS), st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_limit_is_read_as_written(op: Operator, limit: float) -> None:
    assert parse_line("auc", f"{op} {limit!r}").limit == limit


@given(st.text(max_size=12))
def test_no_text_breaks_the_parser(text: str) -> None:
    try:
        line = parse_line("auc", text)
    except ConfigError:
        return
    assert math.isfinite(line.limit)
    assert parse_line("auc", line_text(line).removeprefix("auc ")).op == line.op


@pytest.mark.parametrize(
    ("op", "low", "high", "result"),
    [
        (">=", 0.6, 0.7, "pass"),
        (">=", 0.5, 0.6, "investigate"),
        (">=", 0.5, 0.59, "fail"),
        (">", 0.61, 0.7, "pass"),
        (">", 0.6, 0.7, "investigate"),
        (">", 0.5, 0.6, "fail"),
        ("<=", 0.5, 0.6, "pass"),
        ("<=", 0.6, 0.7, "investigate"),
        ("<=", 0.61, 0.7, "fail"),
        ("<", 0.5, 0.59, "pass"),
        ("<", 0.5, 0.6, "investigate"),
        ("<", 0.6, 0.7, "fail"),
        (">=", 0.6, 0.6, "pass"),
        (">", 0.6, 0.6, "fail"),
        ("<=", 0.6, 0.6, "pass"),
        ("<", 0.6, 0.6, "fail"),
    ],
)
def test_a_limit_at_the_end_of_the_interval_goes_by_the_operator(
    op: Operator, low: float, high: float, result: str
) -> None:
    line = GateLine(metric="auc", op=op, limit=0.6)
    assert judge_measure(line, measure(low, high), min_rows=100).result == result


@given(st.sampled_from(OPERATORS), st.integers(-4, 4), st.integers(-4, 4), st.integers(0, 4))
def test_pass_means_every_value_holds_and_fail_means_none(op: Operator, limit: int, low: int, width: int) -> None:
    line = GateLine(metric="auc", op=op, limit=limit)
    inside = [low + step / 2 for step in range(2 * width + 1)]
    holds = [HOLDS[op](value, limit) for value in inside]
    expected = "pass" if all(holds) else "investigate" if any(holds) else "fail"
    assert judge_measure(line, measure(low, low + width), min_rows=1).result == expected


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (None, "not measured"),
        (measure(0.7, 0.8, value=math.nan), "not a finite number"),
        (measure(0.7, 0.8, value=math.inf), "not a finite number"),
        (measure(math.nan, 0.8, value=0.75), "interval"),
        (measure(0.7, math.nan, value=0.75), "interval"),
        (measure(0.8, 0.7), "interval"),
        (measure(0.7, 0.8, rows=99), "99 rows"),
        (measure(0.1, 0.2, rows=0), "0 rows"),
    ],
)
def test_what_is_not_known_is_investigated_and_says_why(found: Measure | None, words: str) -> None:
    judged = judge_measure(GateLine(metric="auc", op=">=", limit=0.6), found, min_rows=100)
    assert judged.result == "investigate"
    assert words in judged.reason
    assert b"NaN" not in msgspec.json.encode(judged)


@pytest.mark.parametrize("low", [0.7, 0.1])
def test_stale_evidence_neither_passes_nor_fails(low: float) -> None:
    line = GateLine(metric="auc", op=">=", limit=0.6)
    judged = judge_measure(line, measure(low, low + 0.1), min_rows=1, stale=["another snapshot", "another commit"])
    assert judged.result == "investigate"
    assert "another snapshot" in judged.reason
    assert "another commit" in judged.reason


def test_an_open_ended_interval_is_compared_at_the_end_it_has() -> None:
    wide = measure(0.7, math.inf, value=0.8)
    assert judge_measure(GateLine(metric="auc", op=">=", limit=0.6), wide, min_rows=1).result == "pass"
    assert judge_measure(GateLine(metric="auc", op="<=", limit=0.9), wide, min_rows=1).result == "investigate"
    assert judge_measure(GateLine(metric="auc", op="<=", limit=0.9), wide, min_rows=1).high is None


def test_a_wildcard_is_every_measure_with_the_prefix() -> None:
    line = parse_line("fairness.*", "<= 0.1")
    measures = [
        measure(0.0, 0.05, name="fairness.sex"),
        measure(0.2, 0.3, name="fairness.age.old"),
        measure(0.9, 0.9, name="fairness"),
        measure(0.9, 0.9, name="unfairness.sex"),
    ]
    judged = judge_line(line, measures, min_rows=1)
    assert [(one.metric, one.result) for one in judged] == [("fairness.sex", "pass"), ("fairness.age.old", "fail")]
    assert not covers(line, "fairness")


def test_a_wildcard_that_matches_nothing_is_investigated() -> None:
    (judged,) = judge_line(parse_line("fairness.*", "<= 0.1"), [measure(0.7, 0.8)], min_rows=1)
    assert judged.result == "investigate"
    assert "fairness." in judged.reason


def test_the_worst_result_wins() -> None:
    assert worst(["pass", "investigate", "fail"]) == "fail"
    assert worst(["pass", "investigate"]) == "investigate"
    assert worst(["pass", "pass"]) == "pass"
    assert worst([]) == "investigate"
