"""The two compiled forms of an expression agree on every row, bit by bit."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_expressions import (
    BY_TYPE,
    ROWS,
    TABLES,
    TYPES,
    ZONES,
    both,
    call,
    changes,
    exactly,
    expressions,
    frame_of,
)

from kring.contracts import to_polars, to_rows
from kring.contracts.functions import FUNCTIONS, OPERATORS
from kring.contracts.grammar import parse, type_of
from kring.contracts.to_polars import DTYPES, typed
from kring.contracts.zones import DAYS, local
from kring.errors import DataError, ExpressionError
from kring.record.prepare import LookupTable


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data(), rows=ROWS, kind=st.sampled_from(list(DTYPES)))
def test_random_expressions_over_random_rows(data: st.DataObject, rows: list[dict[str, object]], kind: str) -> None:
    text = data.draw(expressions(kind=kind))
    try:
        parse(text)
    except ExpressionError as error:
        assert "too large" in error.message, text  # noqa: PT017
        return
    table, single, row = both(text, rows)
    assert exactly(table) == exactly(row), text
    assert exactly(single) == exactly(row[:3]), text


@pytest.mark.parametrize("name", [*FUNCTIONS, *OPERATORS])
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data(), rows=ROWS)
def test_every_function_and_operator(name: str, data: st.DataObject, rows: list[dict[str, object]]) -> None:
    gives = {**FUNCTIONS, **OPERATORS}[name].gives
    text = data.draw(st.composite(lambda draw: call(draw, name, "number" if gives == "same" else gives, 2))())
    table, single, row = both(text, rows)
    assert exactly(table) == exactly(row), text
    assert exactly(single) == exactly(row[:3]), text


def edges() -> list[dict[str, object]]:
    """Every pair of edge values of each type."""
    tiny, huge = 5e-324, 1.7976931348623157e308
    floats = [None, 0.0, -0.0, math.nan, math.inf, -math.inf, tiny, huge, -huge, 1.0, -1.5, 2.5, 0.1, 0.3, 49.0, 2.675]
    floats += [-0.4, 745.2, 709.8, -3.0, 2.0**63, -(2.0**63), 1e16 + 2, 1 / 3]
    integers = [None, 0, 1, -1, 7, 24, (1 << 63) - 1, -(1 << 63), (1 << 53) + 1, 19_000]
    texts = [
        None,
        "",
        "ß",
        "İ",
        "ΑΣ",
        "ΑΣ ",
        "ﬀ",
        "ǅ",
        " a\xa0",
        "\x1ca\x1f",
        "\u200ba",
        "A",
        "a",
        "é",
        "e\u0301",
        "\uffff",
    ]
    texts += ["\U0001f6eb", "\0", "\u1c89", "\ua7cb", "\U00010d50", "\x85\u3000\ufeff"]
    hour = 3_600_000_000
    moments = [change + off for change in changes() for off in (-1, 0, 1)]
    moments += [local_change + off for local_change in found_changes() for off in (-1, 0, 1, hour)]
    days = [None, DAYS.start - 1, DAYS.start, DAYS.stop - 1, DAYS.stop, 0, -1, 19_000, -719_000, 11_016, 11_017]
    columns = {"number": floats, "integer": integers, "string": texts, "boolean": [None, True, False]}
    columns |= {"timestamp": [None, *moments], "date": days}
    rows = []
    for i in range(26 * 26):
        pairs = {
            kind: (values[i % len(values)], values[i // len(values) % len(values)]) for kind, values in columns.items()
        }
        rows.append({name: pairs[kind][BY_TYPE[kind].index(name)] for name, kind in TYPES.items()})
    return rows


def found_changes() -> list[int]:
    """The exact moments at which the clocks of ZONES changed in some years, found by Python's own rules."""
    moments = []
    for name in ZONES[1:]:
        zone = ZoneInfo(name)
        for year in (1918, 1972, 2013, 2038):
            hours = [datetime(year, 1, 1, tzinfo=UTC) + timedelta(hours=k) for k in range(8784)]
            shifts = [moment.astimezone(zone).utcoffset() for moment in hours]
            moments += [
                int((after - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))
                for after, old, new in zip(hours[1:], shifts, shifts[1:], strict=False)
                if old != new
            ]
    return moments


EDGES = edges()
EXAMPLES = {
    **{
        name: [f"a {name} b", f"a {name} 49.3", f"7 {name} b", f"n {name} m", f"a {name} 0"]
        for name in ["+", "-", "*", "/", "//", "%"]
    },
    **{
        name: [
            f"a {name} b",
            f"n {name} m",
            f"n {name} a",
            f"s {name} u",
            f"t {name} v",
            f"'a' {name} s",
            f"1 {name} a",
        ]
        for name in ["==", "!=", "<", "<=", ">", ">="]
    },
    "negative": ["-a", "-n"],
    "and": ["f and g", "f and g and a > 0"],
    "or": ["f or g", "f or a > b or g"],
    "not": ["not f"],
    "in": ["a in (0, 1, 2.5, -1.5)", "n in [1, 24]", "s not in ('a', 'ß')", "f in [true]", "n in (0.5, 7)"],
    "hour": [f"hour(t, '{zone}')" for zone in ZONES],
    "minute": [f"minute(t, '{zone}')" for zone in ZONES],
    "day": [*(f"day(t, '{zone}')" for zone in ZONES), "day(d)"],
    "weekday": [*(f"weekday(t, '{zone}')" for zone in ZONES), "weekday(d)"],
    "month": [*(f"month(t, '{zone}')" for zone in ZONES), "month(d)"],
    "year": [*(f"year(t, '{zone}')" for zone in ZONES), "year(d)"],
    "hours_between": ["hours_between(t, v)", "hours_between(v, t) / 3"],
    "is_null": [f"is_null({name})" for name in TYPES],
    "coalesce": ["coalesce(a, n, 0)", "coalesce(s, u)", "coalesce(null, t, v)", "coalesce(1, a)"],
    "where": ["where(f, a, b)", "where(g, n, null)", "where(a > b, s, 'x')", "where(f, 1, n)", "where(true, d, null)"],
    "min": ["min(a, b)", "min(b, 0, a)", "min(n, a, m)"],
    "max": ["max(a, b)", "max(-0.0, a, b)", "max(n, a, m)"],
    "clip": ["clip(a, 0, b)", "clip(a, b, 1)", "clip(n, -1, 24)"],
    "abs": ["abs(a)", "abs(n)"],
    "log": ["log(a)", "log(n)"],
    "exp": ["exp(a)", "exp(-b)", "exp(a / 7)"],
    "sqrt": ["sqrt(a)"],
    "round": ["round(a)", "round(a, 2)", "round(a, 0)", "round(a / 3, 15)", "round(n)"],
    "floor": ["floor(a)", "floor(n)"],
    "ceil": ["ceil(a)", "ceil(b / 7)"],
    "lower": ["lower(s)", "lower(concat(s, u))"],
    "upper": ["upper(s)"],
    "strip": ["strip(s)"],
    "length": ["length(s)", "length(upper(s))"],
    "starts_with": ["starts_with(s, u)", "starts_with(s, '')", "starts_with('abc', s)"],
    "ends_with": ["ends_with(s, u)", "ends_with('cba', s)"],
    "contains": ["contains(s, u)", "contains(concat(s, 'a.b'), '.')", "contains('xyß', s)"],
    "concat": ["concat(s, u)", "concat('x', s, '-', u)"],
    "text": ["text(n)", "text(f)", "text(s)", "text(floor(a))"],
    "lookup": [
        "lookup('one', key=['s'])",
        "lookup('two', key=[n, f])",
        "lookup('day', key=[d])",
        "lookup('one', key=[lower(s)])",
    ],
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_edges(name: str) -> None:
    for text in EXAMPLES[name]:
        table, single, row = both(text, EDGES)
        different = [
            (EDGES[i], one, other)
            for i, (one, other) in enumerate(zip(exactly(table), exactly(row), strict=True))
            if one != other
        ]
        assert not different, (text, different[0])
        assert exactly(single) == exactly(row[:3]), text
        for equal in ([dict.fromkeys(TYPES)] * 3, [EDGES[40]] * 3):  # polars computes with equal rows in another way
            table, _, row = both(text, equal)
            assert exactly(table) == exactly(row), (text, equal)


def test_every_name_of_the_grammar_has_examples() -> None:
    assert set(EXAMPLES) == {*FUNCTIONS, *OPERATORS, "lookup"}


def expected(text: str, **row: object) -> object:
    expression = parse(text)
    return to_rows.compile(expression, types=TYPES, tables=TABLES)(row)


@pytest.mark.parametrize(
    ("text", "row", "value"),
    [
        ("a / b", {"a": 49.0, "b": 49.0}, 1.0),
        ("a / b", {"a": 1.0, "b": 0.0}, None),
        ("a * b", {"a": 1e300, "b": 1e300}, None),
        ("a + 1", {"a": math.nan}, None),
        ("-7 // 2", {}, -4.0),
        ("-7 % 2", {}, 1.0),
        ("7 % -2", {}, -1.0),
        ("a > 1 and f", {"a": None, "f": False}, False),
        ("a > 1 and f", {"a": None, "f": True}, None),
        ("a > 1 or f", {"a": None, "f": True}, True),
        ("not a > 1", {"a": None}, None),
        ("a < b < 5", {"a": 1.0, "b": 3.0}, True),
        ("a < b < 5", {"a": 1.0, "b": 7.0}, False),
        ("where(a > 1, 1, 2)", {"a": None}, 2),
        ("coalesce(a, 0)", {"a": None}, 0.0),
        ("min(a, b)", {"a": 1.0, "b": None}, None),
        ("round(2.5)", {}, 2),
        ("round(3.5)", {}, 4),
        ("round(a, 1)", {"a": 0.25}, 0.2),
        ("text(n)", {"n": (1 << 53) + 1}, "9007199254740993"),
        ("s < u", {"s": "Z", "u": "a"}, True),
        ("weekday(t)", {"t": 0}, 4),
        ("weekday(d)", {"d": 3}, 7),
        ("hour(t, 'America/New_York')", {"t": 1_364_083_200_000_000}, 20),
        ("hours_between(t, v)", {"t": 0, "v": 5_400_000_000}, 1.5),
        ("year(d)", {"d": -1}, 1969),
        ("lookup('two', key=[n, f])", {"n": None, "f": None}, 0.5),
        ("lookup('two', key=[n, f])", {"n": 77, "f": True}, None),
        ("lookup('one', key=[s])", {"s": "other"}, 0.1),
        ("length(s)", {"s": "e\u0301"}, 2),
        ("n + 1", {"n": 3.0}, 4.0),
        ("n + 1", {"n": 3.5}, None),
        ("n + 1", {"n": True}, None),
        ("a + 1", {"a": "3"}, None),
        ("s", {"s": "\ud800"}, None),
        ("a + 1", {"a": 10**400}, None),
        ("n", {"n": 10**30}, None),
        ("a", {}, None),
    ],
)
def test_what_expressions_mean(text: str, row: dict[str, object], value: object) -> None:
    assert exactly([expected(text, **row)]) == exactly([value])


@given(
    zone=st.sampled_from(["Europe/Amsterdam", "America/New_York", "Asia/Gaza", "America/Noronha", "Pacific/Apia"]),
    moment=st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29)).map(lambda moment: moment.replace(tzinfo=UTC)),
)
def test_local_time_is_that_of_the_zone(zone: str, moment: datetime) -> None:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    at = (moment - epoch) // timedelta(microseconds=1)
    wall = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=UTC)
    assert local(zone, at) == (wall - epoch) // timedelta(microseconds=1)


def test_an_empty_frame_gives_an_empty_column() -> None:
    frame = frame_of([])
    for texts in EXAMPLES.values():
        for text in texts:
            expression = parse(text)
            column = frame.with_columns(x=to_polars.compile(expression, types=TYPES, tables=TABLES))["x"]
            assert (len(column), column.dtype) == (0, DTYPES[type_of(expression, TYPES)]), text


def test_a_lookup_can_be_read_from_a_column() -> None:
    expression = parse("lookup('one', key=[s]) * 2")
    frame = pl.DataFrame({"s": ["a", "b", None], "known": [0.5, None, math.inf]})
    tables = {"one": "known"}
    by_polars = frame.select(x=to_polars.compile(expression, types=TYPES, tables=tables))["x"].to_list()
    by_row = to_rows.compile(expression, types=TYPES, tables=tables)
    assert by_polars == [by_row(row) for row in frame.to_dicts()] == [1.0, None, None]


def test_tables_that_do_not_fit_are_refused() -> None:
    fitting = TABLES["two"]
    wrong = [
        LookupTable(name="two", key=("n",), keys=((1,),), values=(1.0,), default=None, cutoff=0, rows=1),
        LookupTable(name="two", key=("n", "f"), keys=(("1", True),), values=(1.0,), default=None, cutoff=0, rows=1),
        LookupTable(name="two", key=("n", "f"), keys=((1, 1),), values=(1.0,), default=None, cutoff=0, rows=1),
        LookupTable(
            name="two", key=("n", "f"), keys=((1, True),) * 2, values=(1.0, 2.0), default=None, cutoff=0, rows=1
        ),
        LookupTable(name="two", key=("n", "f"), keys=((1, True),), values=(), default=None, cutoff=0, rows=1),
    ]
    expression = parse("lookup('two', key=[n, f])")
    for compiler in (to_polars, to_rows):
        compiler.compile(expression, types=TYPES, tables={"two": fitting})
        for table in wrong:
            with pytest.raises(DataError, match="does not fit the expression"):
                compiler.compile(expression, types=TYPES, tables={"two": table})
        with pytest.raises(ExpressionError, match="did you mean 'two1'"):
            compiler.compile(expression, types=TYPES, tables={"two1": fitting})
        with pytest.raises(ExpressionError, match="no lookup 'two'"):
            compiler.compile(expression, types=TYPES, tables={})


def test_frames_are_cast_to_their_types() -> None:
    frame = pl.DataFrame(
        {
            "n": [1.0, 2.5, math.nan],
            "a": [1, None, 3],
            "s": pl.Series(["x", None, "y"], dtype=pl.Categorical),
            "t": pl.Series([0, 1_500, None]).cast(pl.Datetime("ns")),
            "v": pl.Series([0, 1, None]).cast(pl.Datetime("ms", "Europe/Amsterdam")),
            "d": [0, 1, None],
            "f": [None, None, None],
        }
    )
    cast = typed(frame, TYPES, fields=frame.columns)
    assert cast.schema == {name: DTYPES[TYPES[name]] for name in frame.columns}
    assert cast["n"].to_list() == [1, None, None]
    assert cast["t"].to_physical().to_list() == [0, 1, None]
    assert cast["v"].to_physical().to_list() == [0, 1000, None]
    with pytest.raises(DataError, match="there is no column 'b'"):
        typed(frame, TYPES, fields=["b"])
    for kind in ("number", "boolean", "timestamp", "date", "integer"):
        with pytest.raises(DataError, match="is of type String"):
            typed(pl.DataFrame({"x": ["1"]}), {"x": kind}, fields=["x"])


def test_the_deepest_expressions_compile() -> None:
    nested = "a"
    for _ in range(12):
        nested = f"where({nested} > 1, b, a)"
    for text in ("+".join(["a"] * 40), "-(" * 39 + "a" + ")" * 39, nested, " and ".join(["f"] * 190)):
        table, _, row = both(text, EDGES[:50])
        assert exactly(table) == exactly(row)
