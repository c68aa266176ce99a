"""Tables and rows give every raw value the same meaning, and find the same rules broken."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kring.contracts.columns import Reading, reading, readings, settled, stage
from kring.contracts.odcs import read
from kring.contracts.row_rules import row_rules, text_markers
from kring.contracts.rows_guard import row_guard, row_reader
from kring.contracts.rules import polars_predicates, predicate
from kring.contracts.values import Unread, reader
from kring.data.check import typed
from kring.record.contract import Contract, Field

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# fmt: off
TEXTS = [
    "5", "-5", "+5", "007", "1.0", "2.5", "1e3", "1E-2", ".5", "5.", ".", "+", "1e", "--5", "1_000", "0x1", "1,5",
    "1f", "inf", "-Infinity", "NaN", "nan", "+inf", "abc", "true", "TRUE", "Yes", "no", "0", "1", "N/A", "NA",
    "1,5e2", "1.234,5", "1/2/2011", "31.1.2024", "1/2/2011 7:05", "1/13/2011 23:59", "१", "Ｋ", "1e400",
    "9223372036854775807", "9223372036854775808", "-9223372036854775808", "9007199254740993.0",
    "9007199254740992.0", "1e19", "-0", "-0.0", "2020-01-01", "2020-02-30", "2020-1-1", "20200101", "01.02.2013",
    "0000-01-01", "0001-01-01", "0001-01-02", "9999-12-30", "9999-12-31", "2020-01-01T00:00",
    "2020-01-01T00:00:00.000", "2020-01-01T12:34:56Z", "2020-01-01T12:34:56.1234567+01:00",
    "2020-01-01t12:34+0530", "2020-01-01T24:00", "2020-01-01T23:60", "2020-01-01T12:34:60Z",
    "2013-03-10T02:30:00", "2013-11-03T01:30:00", "2013-11-03T01:30:00-05:00", "2050-03-13T02:30:00",
    "2050-07-01T12:00", "9999-12-30T23:59:59Z", "0001-01-01T22:52-0330", "2020-01-01T12:34:56,5",
    "2020-01-01T12:34:56-08",
]
# fmt: on
TEXTS += ["", "  ", " 5 ", "\t7\n", "yes\u00a0", "2020-01-01 00:00:00", "2020-01-01 12:34:56 +01", "31.12.2013 23:59"]
TEXTS += ["0" * 30 + "5", "0" * 70 + "5", "1" * 70]

FIELDS = [
    Field(name="x", type="number"),
    Field(name="x", type="number", decimal=","),
    Field(name="x", type="integer"),
    Field(name="x", type="boolean"),
    Field(name="x", type="date"),
    Field(name="x", type="date", format="yyyyMMdd"),
    Field(name="x", type="date", format="d.M.yyyy"),
    Field(name="x", type="timestamp"),
    Field(name="x", type="timestamp", format="M/d/yyyy H:mm"),
    Field(name="x", type="timestamp", timezone="America/New_York"),
    Field(name="x", type="timestamp", timezone="Europe/Amsterdam", format="dd.MM.yyyy HH:mm"),
    Field(name="x", type="string"),
]


def as_row_value(value: object) -> object:
    if isinstance(value, datetime):
        return (value - EPOCH) // timedelta(microseconds=1)
    return (value - EPOCH.date()).days if isinstance(value, date) else value


def read_by_tables(field: Field, values: list[object], dtype: pl.DataType, markers: frozenset[str]) -> list[object]:
    made = reading(field, dtype, markers=markers)
    over = settled(field, made)
    never = pl.lit(False)
    flags = {
        Unread.NULL: over.null,
        Unread.MARKED: over.missing,
        Unread.INFINITE: over.infinite if over.infinite is not None else never,
        Unread.BROKEN: over.broken if over.broken is not None else never,
    }
    frame = pl.DataFrame({"x": pl.Series(values, dtype=dtype)}).lazy().select(stage(field, made))
    staged = frame.select(over.value.alias("x"), *(flag.alias(why.value) for why, flag in flags.items()))
    rows = staged.collect(engine="streaming").iter_rows()
    return [next((why for why, flag in zip(flags, row[1:], strict=True) if flag), as_row_value(row[0])) for row in rows]


def same(left: object, right: object) -> bool:
    return type(left) is type(right) and left == right


def check_agreement(field: Field, values: list[object], dtype: pl.DataType) -> None:
    markers = frozenset({"N/A"}) if field.type != "string" else frozenset()
    by_rows = [reader(field, markers=markers)(value) for value in values]
    by_tables = read_by_tables(field, values, dtype, markers)
    for value, row, table in zip(values, by_rows, by_tables, strict=True):
        assert same(row, table), f"{value!r} as {field.type} of {field.timezone}: rows {row!r}, tables {table!r}"


@pytest.mark.parametrize(
    "field", FIELDS, ids=lambda field: f"{field.type} {field.timezone} {field.format} {field.decimal}"
)
def test_known_texts(field: Field) -> None:
    check_agreement(field, [None, *TEXTS], pl.String())


NUMBERLIKE = st.text("0123456789+-.eE naifNI", max_size=14)
CLOCKLIKE = st.builds(
    "{:04d}-{:02d}-{:02d}{}{:02d}:{:02d}{}{}".format,
    st.sampled_from([1, 1582, 1900, 1999, 2013, 2024, 2037, 2038, 2050, 9999]),
    st.integers(0, 13),
    st.integers(0, 32),
    st.sampled_from(["T", " ", "t", "x"]),
    st.integers(0, 25),
    st.integers(0, 61),
    st.sampled_from(["", ":00", ":59.5", ":61", ":07,123456789"]),
    st.sampled_from(["", "Z", "z", "+02:00", "-0330", "+14", " +01:00", "+24:00"]),
)


@settings(deadline=None)
@given(field=st.sampled_from(FIELDS), texts=st.lists(NUMBERLIKE | CLOCKLIKE | st.text(max_size=6), max_size=30))
def test_any_text(field: Field, texts: list[object]) -> None:
    check_agreement(field, texts, pl.String())


FLOATS = st.floats() | st.integers(-(1 << 54), 1 << 54).map(float) | st.just(0.0) | st.just(1.0)
STAMPS = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1))
NATIVE = st.one_of(
    st.tuples(st.just(pl.Float64()), st.lists(FLOATS | st.none(), max_size=9)),
    st.tuples(st.just(pl.Int64()), st.lists(st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(0, 1) | st.none())),
    st.tuples(st.just(pl.UInt64()), st.lists(st.integers(0, (1 << 64) - 1) | st.none(), max_size=9)),
    st.tuples(st.just(pl.Boolean()), st.lists(st.booleans() | st.none(), max_size=9)),
    st.tuples(st.just(pl.Date()), st.lists(st.dates() | st.none(), max_size=9)),
    st.tuples(
        st.just(pl.Datetime("us")), st.lists(STAMPS | st.dates().map(lambda day: datetime(*day.timetuple()[:3])))
    ),
    st.tuples(st.just(pl.Datetime("us", "UTC")), st.lists(STAMPS.map(lambda at: at.replace(tzinfo=UTC)), max_size=9)),
)


@settings(deadline=None)
@given(field=st.sampled_from(FIELDS), column=NATIVE)
def test_any_native_column(field: Field, column: tuple[pl.DataType, list[object]]) -> None:
    check_agreement(field, column[1], column[0])


CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: agree
version: 1.0.0
status: active
schema:
  - name: rows
    quality:
      - {type: custom, engine: kring, name: order, implementation: {expression: "low <= high"}}
    properties:
      - {name: low, logicalType: number, required: true, logicalTypeOptions: {minimum: -2, exclusiveMaximum: 3}}
      - name: high
        logicalType: integer
        logicalTypeOptions: {exclusiveMinimum: -2.5, maximum: 3.5}
        quality:
          - {metric: missingValues, mustBe: 0, arguments: {missingValues: [-1, none]}}
          - {type: custom, engine: kring, implementation: {metric: zeroValues}}
      - name: word
        logicalType: string
        logicalTypeOptions: {pattern: "^[a-c]*$", minLength: 1, maxLength: 3}
        quality:
          - {metric: invalidValues, mustBe: 0, arguments: {validValues: [a, b, abc, é]}}
          - {metric: missingValues, mustBe: 0, arguments: {missingValues: [none]}}
          - {metric: nullValues, mustBeLessThan: 50, unit: percent}
      - name: day
        logicalType: date
        logicalTypeOptions: {minimum: "2020-01-01", maximum: "2020-12-31"}
        quality:
          - {metric: invalidValues, mustBeLessThan: 1, arguments: {validValues: ["2020-02-29", "2020-03-01"]}}
      - name: at
        logicalType: timestamp
        logicalTypeOptions: {exclusiveMinimum: "2020-01-01T00:00:00Z", defaultTimezone: Europe/Amsterdam}
      - name: ok
        logicalType: boolean
        quality:
          - {metric: invalidValues, mustBe: 0, arguments: {validValues: [true]}}
          - {metric: nullValues, mustBe: 0}
          - {metric: nullValues, mustBe: 0, severity: warning, name: only a warning}
"""

RAW = {
    "low": st.sampled_from(["", "-2", "-2.0001", "3", "2.9", "x", "inf", "nan"]) | st.floats(-4, 4).map(str),
    "high": st.sampled_from(["", "-1", "0", "-2", "-3", "3", "4", "3.0", "3.5", "none", "9999999999999999999"]),
    "word": st.sampled_from(["", "a", "abc", "none", "d", "abcd", "é", "a\n"]),
    "day": st.sampled_from(["", "2019-12-31", "2020-01-01", "2020-02-29", "2020-03-01", "2021-01-01", "no day"]),
    "at": st.sampled_from(
        ["", "2020-01-01T00:00:00Z", "2020-01-01 01:00", "2020-01-01 01:00:00.000001", "2019-06-01", "?"]
    ),
    "ok": st.sampled_from(["", "true", "no", "maybe", "1"]),
}
ROWS = st.lists(st.fixed_dictionaries({name: values | st.none() for name, values in RAW.items()}), max_size=12)


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    path: Path = tmp_path_factory.mktemp("agree") / "contract.yaml"
    path.write_text(CONTRACT)
    return read(path)


@settings(deadline=None)
@given(rows=ROWS)
def test_rules_over_raw_rows(contract: Contract, rows: list[dict[str, object]]) -> None:
    feed = pl.DataFrame(rows, schema=dict.fromkeys(RAW, pl.String()), orient="row").lazy()
    made = readings(contract.fields, feed.collect_schema(), text_markers(contract))
    over: dict[str, Reading] = {field.name: settled(field, made[field.name]) for field in contract.fields}
    stages = [column for field in contract.fields for column in stage(field, made[field.name])]
    strict = [rule for rule in row_rules(contract) if rule.strict]
    bad = [(rule.full_name, predicate(rule, contract, over)) for rule in strict]
    flags = [(name, expr.alias(name)) for name, expr in bad if expr is not None]
    found = feed.select(stages).select(expr for _, expr in flags).collect(engine="streaming")
    by_tables = [[name for name, flag in zip(found.columns, row, strict=True) if flag] for row in found.iter_rows()]
    guard = row_guard(contract, fields=list(RAW))
    assert [guard(row) for row in rows] == by_tables


@settings(deadline=None)
@given(rows=ROWS)
def test_rules_over_typed_rows(contract: Contract, rows: list[dict[str, object]]) -> None:
    feed = pl.DataFrame(rows, schema=dict.fromkeys(RAW, pl.String()), orient="row").lazy()
    frame = typed(feed, contract).collect()
    found = frame.select(expr.alias(name) for name, _, expr in polars_predicates(contract))
    by_tables = [[name for name, flag in zip(found.columns, row, strict=True) if flag] for row in found.iter_rows()]
    plain = frame.with_columns(pl.col("at").to_physical(), pl.col("day").to_physical())
    guard = row_guard(contract, fields=list(RAW), typed=True)
    assert [guard(row) for row in plain.iter_rows(named=True)] == by_tables
    look = row_reader(contract, fields=list(RAW))
    assert [look(row)[0] for row in rows] == plain.rows(named=True)


def test_only_rules_over_known_fields(contract: Contract) -> None:
    guard = row_guard(contract, fields=["low", "word"])
    assert guard({"low": 5.0, "high": 1, "word": "a"}) == ["low.range"]
    assert guard({}) == ["low.required", "word.missingValues"]


def test_tolerant_rules_and_warnings_are_not_asked_of_rows(contract: Contract) -> None:
    names = [name for name, _, _ in polars_predicates(contract)]
    assert "ok.nullValues" in names
    assert "ok.only a warning" not in names
    assert "word.nullValues" not in names
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("value", [math.inf, -math.inf, 1e400])
def test_infinite_numbers(contract: Contract, value: float) -> None:
    assert row_guard(contract, fields=["low"])({"low": value}) == ["low.finite"]


@pytest.mark.parametrize("value", [[1], {"a": 1}, b"1", object(), True, 10**400])
def test_values_of_no_type(contract: Contract, value: object) -> None:
    expected = "low.finite" if isinstance(value, int) and not isinstance(value, bool) else "low.type"
    assert row_guard(contract, fields=["low"])({"low": value}) == [expected]


def test_long_texts_take_no_time(contract: Contract) -> None:
    guard = row_guard(contract, fields=list(RAW))
    huge = "9" * 1_000_000
    assert guard(dict.fromkeys(RAW, huge)) == [
        "low.type",
        "high.type",
        "word.pattern",
        "word.length",
        "day.type",
        "at.type",
        "ok.type",
        "word.invalidValues",
    ]
