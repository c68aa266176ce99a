"""Conditions over contexts that nobody declared: true, false, or not said."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.contracts.context import condition
from kring.errors import ExpressionError

MOMENT = "2026-01-01T10:00:00+02:00"


@pytest.mark.parametrize(
    ("text", "context", "said"),
    [
        ('plan == "pro"', {"plan": "pro"}, True),
        ('plan == "pro"', {"plan": "free"}, False),
        ('plan == "pro"', {"plan": 5}, None),
        ('plan == "pro"', {"plan": ["pro"]}, None),
        ('plan == "pro"', {}, None),
        ('plan == "pro"', {"plan": None}, None),
        ("age >= 18", {"age": 18}, True),
        ("age >= 18", {"age": 17.5}, False),
        ("age >= 18", {"age": "18"}, None),
        ("age >= 18", {"age": True}, None),
        ("age >= 18", {"age": 10**400}, None),
        ("18 <= age < 30", {"age": 30}, False),
        ("beta", {"beta": True}, True),
        ("not beta", {"beta": True}, False),
        ("not beta", {}, None),
        ('country in ("NL", "BE")', {"country": "BE"}, True),
        ('country not in ("NL", "BE")', {"country": "BE"}, False),
        ("is_null(x)", {}, True),
        ("is_null(x)", {"x": 5}, False),
        ("is_null(x)", {"x": "5"}, False),
        ("is_null(x)", {"x": False}, False),
        ('field("user.plan") == "pro"', {"user.plan": "pro"}, True),
        ("hour(at) == 8", {"at": MOMENT}, True),
        ("hour(at) == 8", {"at": "2026-01-01T08:00:00"}, None),
        ("hour(at) == 8", {"at": "yesterday"}, None),
        ("at > since", {"at": MOMENT, "since": "2025-01-01T00:00:00Z"}, True),
        ("a == b", {"a": 1, "b": 1.0}, True),
        ("a == b", {"a": "1", "b": 1}, None),
        ("a == 1 or b == 1", {"a": 1}, True),
        ("a == 1 or b == 1", {"a": 2}, None),
        ("a == 1 and b == 1", {"a": 2}, False),
        ("a == 1 and b == 1", {"a": 1}, None),
        ('a == 1 and b == "x"', {"a": 1, "b": "x"}, True),
        ('targetingKey == "me"', {"targetingKey": "me"}, True),
        ("true", {}, True),
    ],
)
def test_what_is_said(text: str, context: dict[str, Any], said: bool | None) -> None:
    assert condition(text)(context) is said


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("5", "neither true nor false"),
        ("plan + 1", "wrong type"),
        ("concat(a, b)", "neither true nor false|wrong type"),
        ('lookup("x", key=["a"]) > 1', "no tables"),
        ('concat(a, b, c, d, e) == "x"', "too many keys"),
        ('age > "x" + 1', "wrong type"),
        ('__import__("os")', "no function"),
        ("a.b == 1", "not part of the grammar"),
        ("a ==", "not an expression"),
        ("a == 1 and", "not an expression"),
        ("x" * 2001, "characters"),
    ],
)
def test_what_is_no_condition(text: str, why: str) -> None:
    with pytest.raises(ExpressionError, match=why):
        condition(text)


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(["a", "b", "c", "at"]), json))
def test_no_context_breaks_a_condition(context: dict[str, Any]) -> None:
    text = 'a == "x" and (b > 3 or not c) or hour(at) < 5 or is_null(a) and b / c > 1'
    assert condition(text)(context) in (True, False, None)
    parts = [condition(part)(context) for part in ('a == "x"', 'not a == "x"')]
    assert parts in ([None, None], [True, False], [False, True])
