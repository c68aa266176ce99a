"""Aggregates inside expressions: the same numbers as polars gives, and nothing outside the grammar."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.contracts.aggregates import AGGREGATES, aggregated
from kring.errors import ExpressionError
from kring.record.contract import LogicalType
from kring.record.decision import Value

TYPES: dict[str, LogicalType] = {"a": "number", "n": "integer", "ok": "boolean", "s": "string", "at": "timestamp"}


def value(text: str, frame: pl.DataFrame) -> Value:
    made = aggregated(text, types=TYPES)
    row = frame.lazy().select(**made.parts).collect(engine="streaming").row(0, named=True)
    return made.value(row)


numbers = st.one_of(st.none(), st.floats(-1e6, 1e6))


@given(rows=st.lists(st.tuples(numbers, st.one_of(st.none(), st.booleans())), min_size=1, max_size=30))
def test_each_is_what_python_gives(rows: list[tuple[float | None, bool | None]]) -> None:
    frame = pl.DataFrame(
        {"a": [a for a, _ in rows], "ok": [ok for _, ok in rows]}, schema={"a": pl.Float64, "ok": pl.Boolean}
    )
    there = [a for a, _ in rows if a is not None]
    truths = [ok for _, ok in rows if ok is not None]
    assert value("sum(a)", frame) == pytest.approx(sum(there), abs=1e-6)
    assert value("count(ok)", frame) == sum(truths)
    assert value("distinct(a)", frame) == len(set(there))
    assert value("mean(a)", frame) == (pytest.approx(sum(there) / len(there), abs=1e-6) if there else None)
    assert value("max(a)", frame) == (max(there) if there else None)
    assert value("share(ok)", frame) == (pytest.approx(sum(truths) / len(truths)) if truths else None)


FRAME = pl.DataFrame(
    {"a": [1.0, 2.0, 6.0, None], "n": [1, 2, 3, 4], "ok": [True, False, True, None], "s": list("xxyé")}
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mean(a)", 3.0),
        ("mean(a) / max(a)", 0.5),
        ("mean(a * n)", 23 / 3),
        ("max(a) - min(a) > 4 and distinct(s) == 3", True),
        ("min(min(a, n))", 1.0),
        ("min(sum(a), 5)", 5.0),
        ("median(n)", 2.5),
        ("deviation(n) > 1", True),
        ("share(is_null(a))", 0.25),
        ("count(s == 'é') == 1", True),
        ("share(s == 'é') + mean(n)", 2.75),
        ("(mean(n)\n  + mean(n))", 5.0),
    ],
)
def test_what_stands_around_them_is_an_expression(text: str, expected: Value) -> None:
    assert value(text, FRAME) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a > 3", "no aggregate"),
        ("mean(a) > n", "outside of an aggregate"),
        ("mean(s)", "takes no string"),
        ("share(a)", "takes no number"),
        ("mean(mean(a))", "mean"),
        ("mean(b)", "b"),
        ("mean(lookup('t', key=[s]))", "takes no|lookup"),
        ("mean(a", "not an expression"),
        ("", "expression"),
        ("__import__('os').system('x')", "expression|grammar|function"),
        ("mean(a).real", "grammar"),
        ("mean(a) + " * 300 + "mean(a)", "3,007 characters"),
        ("mean(a)\x00", "expression"),
        ("distinct(s == '\\d') > 1", "expression"),
        ("(" * 500 + "mean(a)" + ")" * 500, "expression"),
    ],
)
def test_nothing_else_is_taken(text: str, words: str) -> None:
    with pytest.raises(ExpressionError, match=words):
        aggregated(text, types=TYPES)


def test_every_aggregate_takes_a_column() -> None:
    assert {name for name in AGGREGATES if AGGREGATES[name][0]} == set(AGGREGATES)
    of = {"mean": "a", "sum": "n", "median": "a", "deviation": "n", "min": "at", "max": "at", "share": "ok"}
    for name in AGGREGATES:
        column = of.get(name, "ok")
        assert aggregated(f"{name}({column})", types=TYPES).columns == {column}
