"""The safe grammar: what it reads, and that everything else is refused and never runs."""

from __future__ import annotations

import builtins
import keyword
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kring.contracts.functions import FUNCTIONS, OPERATORS
from kring.contracts.grammar import MAX_CHARACTERS, MAX_DEPTH, MAX_NODES, fields_of, lookups_of, parse, quoted, type_of
from kring.errors import ExpressionError

TYPES = {"a": "number", "n": "integer", "s": "string", "t": "timestamp", "d": "date", "f": "boolean", "delay": "number"}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("1", "integer"),
        ("-1", "integer"),
        ("1.0", "number"),
        ("'x'", "string"),
        ("True", "boolean"),
        ("n", "integer"),
        ("n + 1", "number"),
        ("n // 2", "number"),
        ("round(a)", "integer"),
        ("round(a, 1)", "number"),
        ("hour(t)", "integer"),
        ("t == t", "boolean"),
        ("t", "timestamp"),
        ("where(f, n, 1)", "integer"),
        ("where(f, n, 1.5)", "number"),
        ("coalesce(null, s)", "string"),
        ("where(f, null, d)", "date"),
        ("lookup('x', key=[s, n])", "number"),
        ("-9223372036854775808", "integer"),
        ("  a\n  ", "number"),
        ("(a +\n 1)  # more", "number"),
        ("field('delay') > 0", "boolean"),
    ],
)
def test_types(text: str, kind: str) -> None:
    assert type_of(parse(text), TYPES) == kind


def test_fields_and_lookups() -> None:
    expression = parse(
        "lookup('x', key=['s', lower(q)]) + where(f, a, lookup('y', key=[n])) + lookup('x', key=[s, lower(q)])"
    )
    assert fields_of(expression) == {"s", "q", "f", "a", "n"}
    assert [call.name for call in lookups_of(expression)] == ["x", "y"]
    assert parse("a  + 1") == parse("a+1")
    assert parse("a + 1") != parse("a + 2")


@given(name=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_any_name_can_be_quoted(name: str) -> None:
    assert fields_of(parse(quoted(name))) == {name}


def test_plain_names_stay_plain() -> None:
    assert [quoted(name) for name in ("a", "hour", "été")] == ["a", "hour", "été"]
    for name in ("true", "null", "None", "class", "odd name", "a.b", "ﬁ", "9", "'"):
        assert quoted(name).startswith("field(")


FORBIDDEN = {
    "attribute": "a.real",
    "dunder access": "a.__class__.__bases__",
    "dunder name called": "__import__('os')",
    "method": "s.upper()",
    "method of a literal": "'{0.__class__}'.format(a)",
    "subscript": "s[0]",
    "slice": "s[1:2]",
    "lambda": "lambda: a",
    "called lambda": "(lambda: a)()",
    "list comprehension": "[x for x in s]",
    "set comprehension": "{x for x in s}",
    "dict comprehension": "{x: x for x in s}",
    "generator": "(x for x in s)",
    "conditional": "a if f else n",
    "walrus": "(a := 1)",
    "f-string": "f'{a}'",
    "bytes": "b'a'",
    "complex": "1j",
    "ellipsis": "...",
    "power": "2 ** 3",
    "shift": "1 << 100",
    "bit and": "f & f",
    "bit or": "f | f",
    "xor": "n ^ n",
    "invert": "~n",
    "plus": "+a",
    "matrix product": "a @ a",
    "is": "a is null",
    "is not": "a is not null",
    "set": "{1, 2}",
    "dict": "{'a': 1}",
    "tuple": "(1, 2)",
    "list": "[1, 2]",
    "await": "await a",
    "yield": "(yield a)",
    "star": "max(*a)",
    "double star": "max(**a)",
    "named argument": "round(a, digits=2)",
    "eval": "eval('1')",
    "exec": "exec('1')",
    "open": "open('/etc/passwd')",
    "print": "print(a)",
    "unknown function": "hous(t)",
    "call of a call": "hour(t)()",
    "call of a literal": "'a'()",
    "statement": "import os",
    "assignment": "a = 1",
    "two statements": "a; n",
    "two lines": "a\nn",
    "return": "return a",
    "empty": "",
    "blank": " \n ",
    "comment": "# a",
    "unfinished": "a +",
    "bracket": "(a",
    "brackets": "a)",
    "quote": "'a",
    "bad escape": r"'\d'",
    "bad unicode escape": r"'\N{no such}'",
    "lone surrogate": r"'\ud800'",
    "null byte": "a\0",
    "other sign": "a § n",
    "javascript": "a && n",
    "giant integer": "9" * 30,
    "giant hexadecimal": "0x" + "f" * 40,
    "giant integer to parse": "9" * 1_999,
    "one too many": "9223372036854775808",
    "one too few": "-9223372036854775809",
    "infinite": "1e999",
    "huge text": "a" + " + a" * 600,
    "huge name": "a" * (MAX_CHARACTERS + 1),
    "many nodes": "+".join("a" * (MAX_NODES // 2 + 1)),
    "many members": f"n in ({', '.join('1' * MAX_NODES)})",
    "deep brackets": "(" * 300 + "a" + ")" * 300,
    "deep minus": "-" * 1_500 + "a",
    "deep not": "not " * 450 + "f",
    "deep calls": "abs(" * (MAX_DEPTH + 1) + "a" + ")" * (MAX_DEPTH + 1),
    "deep attributes": "a" + ".b" * 900,
    "deep lists": "[" * 150 + "]" * 150,
    "doubling comparisons": "f" + "".join(f" == (f == x{k}" for k in range(30)) + ")" * 30,
    "doubling chains": "".join("(f == " for _ in range(18)) + "f" + " == f)" * 18,
    "no argument": "hour()",
    "too many arguments": "abs(a, a)",
    "too few arguments": "where(f, a)",
    "one to min": "min(a)",
    "in nothing": "n in ()",
    "in a field": "n in a",
    "in a text": "s in 'abc'",
    "in one bracket": "s in ('a')",
    "in fields": "n in (n, 1)",
    "in null": "n in (1, null)",
    "lookup without key": "lookup('x')",
    "lookup with a plain key": "lookup('x', key=s)",
    "lookup with no key": "lookup('x', key=[])",
    "lookup without name": "lookup(key=[s])",
    "lookup with a computed name": "lookup(s, key=[s])",
    "lookup with more": "lookup('x', 'y', key=[s])",
    "lookup with another name": "lookup('x', keys=[s])",
    "lookup in a key": "lookup('x', key=[floor(lookup('y', key=[s]))])",
    "field of a field": "field(s)",
    "field of nothing": "field('')",
    "field of two": "field('a', 'n')",
}
WRONG_TYPES = {
    "unknown field": "delya > 1",
    "text plus": "s + s",
    "text and number": "s + 1",
    "time minus time": "t - t",
    "time plus": "t + 1",
    "text compared with a number": "s == 1",
    "boolean compared with a number": "f == 1",
    "date compared with a time": "d < t",
    "boolean ordered": "f < true",
    "number as a condition": "a and f",
    "not of a number": "not n",
    "where with a number": "where(n, 1, 2)",
    "where with two types": "where(f, 1, 's')",
    "coalesce of two types": "coalesce(a, s)",
    "null alone": "null",
    "nulls alone": "coalesce(null, null)",
    "null compared": "a == null",
    "null ordered": "a < null",
    "null added": "a + null",
    "null tested": "is_null(null)",
    "hour of a text": "hour(s)",
    "hour of a date": "hour(d)",
    "unknown zone": "hour(t, 'Europe/Amsterdm')",
    "machine's zone": "hour(t, 'localtime')",
    "right zone": "hour(t, 'right/Europe/Amsterdam')",
    "zone as a path": "hour(t, '../../etc/passwd')",
    "zone as a folder": "hour(t, 'Europe')",
    "zone from a field": "hour(t, s)",
    "zone of a number": "hour(t, 1)",
    "digits from a field": "round(a, n)",
    "many digits": "round(a, 16)",
    "negative digits": "round(a, -1)",
    "boolean digits": "round(a, true)",
    "text of a number": "text(a)",
    "text of a time": "text(t)",
    "log of a text": "log(s)",
    "boolean in arithmetic": "f * 2",
    "concat of a number": "concat(s, n)",
    "length of a number": "length(n)",
    "members of two types": "n in (1, 'a')",
    "members of another type": "s in (1, 2)",
    "key of a number": "lookup('x', key=[a])",
    "key of a time": "lookup('x', key=[t])",
    "key of a literal": "lookup('x', key=[1])",
    "key of null": "lookup('x', key=[null])",
}


def refusal(text: str) -> ExpressionError:
    try:
        parse(text, file="kring.toml", line=3, key="prepare.x")
    except ExpressionError as error:
        return error
    raise AssertionError(f"{text[:60]!r} was read")


@pytest.mark.parametrize("text", FORBIDDEN.values(), ids=FORBIDDEN.keys())
def test_what_is_not_in_the_grammar_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> object:
        raise AssertionError("something was executed")

    with monkeypatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("eval", "exec", "open", "print", "__import__"):
            patch.setattr(builtins, name, never)
        error = refusal(text)
    assert error.where == "kring.toml:3 prepare.x"
    assert "column" in error.message
    assert error.allowed or error.next
    assert len(error.got) <= 61


@pytest.mark.parametrize("text", WRONG_TYPES.values(), ids=WRONG_TYPES.keys())
def test_what_does_not_fit_is_refused(text: str) -> None:
    expression = parse(text, file="kring.toml", line=3, key="prepare.x")
    with pytest.raises(ExpressionError) as caught:
        type_of(expression, TYPES)
    assert caught.value.where == "kring.toml:3 prepare.x"
    assert "column" in caught.value.message
    assert caught.value.allowed or caught.value.next


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("hous(t)", ("no function 'hous', at column 1", "did you mean 'hour'?")),
        ("1 + delya", ("no field 'delya', at column 5", "did you mean 'delay'?")),
        ("a ** 2", ("Pow", "x * x")),
        ("a if f else n", ("IfExp", "where(condition, a, b)")),
        ("a is null", ("is_null(x)",)),
        ("s + 'x'", ("concat(a, b)",)),
        ("t - t", ("hours_between",)),
        ("text(a)", ("text(round(x))",)),
        ("where(f, 1)", ("where got 2 arguments", "3 arguments")),
        ("(a +\n été * s)", ("line 2, column 2",)),
        ("'éé' + delya", ("column 1",)),
        ("f == 1", ("'==' needs values of one type", "boolean and integer")),
        ("hour(t, 'Mars/Base')", ("'Mars/Base'", "IANA")),
        ("s in ('a')", ("write x in",)),
        ("lookup(1)", ('lookup("name", key = ["field", ...])',)),
    ],
)
def test_errors_say_what_to_do(text: str, parts: tuple[str, ...]) -> None:
    with pytest.raises(ExpressionError) as caught:
        type_of(parse(text), TYPES)
    for part in parts:
        assert part in str(caught.value)


@settings(max_examples=300, deadline=None)
@given(
    text=st.one_of(
        st.text(max_size=60),
        st.lists(
            st.sampled_from(
                [
                    *FUNCTIONS,
                    *OPERATORS,
                    *keyword.kwlist,
                    *TYPES,
                    *"()[]{},.:;=\"'\\#@",
                    "1",
                    "1e5",
                    "lookup",
                    "key=",
                    " ",
                ]
            ),
            max_size=25,
        ).map(" ".join),
    )
)
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        type_of(parse(text), TYPES)
    except ExpressionError as error:
        assert error.message  # noqa: PT017
