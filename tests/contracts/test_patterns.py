"""Patterns mean the same for rows, for tables and for Python, and no pattern is slow."""

from __future__ import annotations

import re
import time

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kring.contracts.patterns import complement, pattern
from kring.errors import ExpressionError

ATOMS = st.sampled_from(
    ["a", "b", "c", ".", r"\d", "[a-c]", "[^a]", r"\w", "1", r"\.", r"\W", r"[\d.]", "é", r"\s", "[b-]"]
)
TIMES = st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{0,2}", "{2,}", "*?", "+?"])
PATTERNS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
        st.tuples(inner, TIMES).map(lambda pair: f"({pair[0]}){pair[1]}"),
        inner.map(lambda text: f"^{text}"),
        inner.map(lambda text: f"{text}$"),
    ),
    max_leaves=8,
)
TEXTS = st.lists(st.text("abc1.é-\n ", max_size=10), max_size=20)


@settings(max_examples=300, deadline=None)
@given(source=PATTERNS, texts=TEXTS)
def test_rows_tables_and_python_agree(source: str, texts: list[str]) -> None:
    made = pattern(source)
    texts = ["", "\n", *texts]
    by_rows = [made.matches(text) for text in texts]
    assert by_rows == pl.Series(texts).str.contains(made.text).to_list()
    python = re.compile(source.replace("$", r"\Z"), re.ASCII)
    assert by_rows == [python.search(text) is not None for text in texts]


@pytest.mark.parametrize("source", ["^(a+)+$", "^(a|a)*$", "(a*)*b", "(.*a){12}", "^(a?){30}a{30}$"])
def test_no_pattern_is_slow(source: str) -> None:
    made = pattern(source)
    started = time.perf_counter()
    made.matches("a" * 50_000 + "!")
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("(?=a)b", "plain groups"),
        ("(?i)a", "plain groups"),
        ("a**", "repetition of a repetition"),
        ("[", "too early"),
        ("[]", "empty class"),
        ("(a", "not closed"),
        ("a)", "without ("),
        ("a]", "without ["),
        ("a{3,1}", "too large or ends"),
        ("a{x}", "begins a repetition"),
        ("a{99999}", "too large"),
        (r"\bx", "not known here"),
        (r"\p{L}", "not known here"),
        (r"\1", "not known here"),
        (r"\uD800", "hexadecimal"),
        ("[[:alpha:]]", "several meanings"),
        ("[a&&b]", "several meanings"),
        ("[z-a]", "ends before it begins"),
        (r"[\d-z]", "ends before it begins"),
        ("*a", "nothing to repeat"),
        ("^*", "can't be repeated"),
        ("\\", "too early"),
        ("a" * 1_001, "too long"),
        ("(a{1000}){1000}", "too large"),
        ("((?:){9999}){9999}", "too large"),
        ("(" * 50 + "a" + ")" * 50, "too deeply"),
    ],
)
def test_what_is_outside_the_syntax(source: str, words: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        pattern(source)
    assert words in str(caught.value)


@given(st.text(max_size=30))
def test_any_text_compiles_everywhere_or_is_refused(source: str) -> None:
    try:
        made = pattern(source)
    except ExpressionError:
        return
    assert pl.Series(["", "abc"]).str.contains(made.text).to_list() == [made.matches(""), made.matches("abc")]


def test_the_complement_of_the_complement() -> None:
    ranges = ((48, 57), (65, 90))
    assert complement(complement(ranges)) == ranges
    assert complement(()) == ((0, 0x10FFFF),)
