"""Prepared columns: declared safely, and equal for tables and for rows."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kring.contracts.to_polars import typed
from kring.decide.lookups import as_of, build
from kring.decide.prepare import declare, frame_preparer, prepare_frame
from kring.decide.prepare_rows import row_preparer
from kring.errors import DataError, ExpressionError
from kring.metrics.numbers import numbers_of, side_by_side
from kring.record.batch import Batch
from kring.record.contract import Contract, Field, LogicalType
from kring.record.prepare import LookupSpec, LookupTable, Prepared, PreparedColumn

TYPES = {
    "departs_at": "timestamp",
    "booked_at": "timestamp",
    "day": "date",
    "origin": "string",
    "dest": "string",
    "distance": "number",
    "seats": "integer",
    "full": "boolean",
    "odd name": "number",
    "late": "boolean",
    "landed_at": "timestamp",
}
CONTRACT = Contract(
    id="c",
    name="flights",
    version="1.0.0",
    table="flights",
    fields=tuple(Field(name=name, type=kind) for name, kind in TYPES.items()),
    target="late",
    outcome_time="landed_at",
)
ROUTE = LookupSpec(name="route_late", key=("origin", "dest"), value="late", prior=10)
HOUR = LookupSpec(name="hour_late", key=('hour(departs_at, "America/New_York")',), value="late")
PREPARE = {
    "hour": 'hour(departs_at, "America/New_York")',
    "weekday": "weekday(departs_at)",
    "ahead": "hours_between(booked_at, departs_at)",
    "month": "month(day)",
    "per_seat": "distance / seats",
    "log_distance": "log(distance)",
    "huge": "distance * 1e30",
    "seats": "seats",
    "busy": "full and seats > 100",
    "route": 'concat(origin, "-", dest)',
    "from": "lower(strip(origin))",
    "hub": 'where(origin in ("JFK", "EWR"), "hub", null)',
    "route_late": 'lookup("route_late", key = ["origin", "dest"])',
    "hour_late": 'lookup("hour_late", key = [hour(departs_at, "America/New_York")])',
    "constant": "1 / 3",
}
TABLES = (
    LookupTable(
        name="route_late",
        key=ROUTE.key,
        keys=((None, None), ("JFK", None), ("JFK", "AMS")),
        values=(0.1, 1 / 3, 0.7),
        default=0.22,
        cutoff=0,
        rows=9,
    ),
    LookupTable(name="hour_late", key=HOUR.key, keys=((7,), (19,)), values=(0.1, 0.4), default=None, cutoff=0, rows=9),
)

FLOATS = st.one_of(st.none(), st.floats(), st.floats(-5000, 5000))
TIMES = st.one_of(
    st.none(), st.integers(-(1 << 62), 1 << 62), st.integers(1_362_000_000_000_000, 1_366_000_000_000_000)
)
TEXTS = st.one_of(
    st.sampled_from([None, "JFK", "AMS", "EWR", " ß\xa0", ""]), st.text(st.characters(exclude_categories=["Cs"]))
)
VALUES = {
    "timestamp": TIMES,
    "date": st.one_of(st.none(), st.integers(-800_000, 4_000_000)),
    "string": TEXTS,
    "number": FLOATS,
    "integer": st.one_of(st.none(), st.integers(-(1 << 63), (1 << 63) - 1), st.integers(0, 300)),
    "boolean": st.sampled_from([None, True, False]),
}
ROWS = st.lists(st.fixed_dictionaries({name: VALUES[kind] for name, kind in TYPES.items()}), max_size=12)


def prepared() -> Prepared:
    return Prepared(columns=declare(PREPARE, CONTRACT, (ROUTE, HOUR), use=("odd name", "dest")), tables=TABLES)


def frame_of(rows: list[dict[str, object]]) -> pl.DataFrame:
    dtypes = {"string": pl.String, "number": pl.Float64, "boolean": pl.Boolean}
    frame = pl.DataFrame(rows, schema={name: dtypes.get(kind, pl.Int64) for name, kind in TYPES.items()}, orient="row")
    return typed(frame, TYPES, fields=list(TYPES))


def raw_batch(rows: list[dict[str, object]]) -> Batch:
    return Batch(len(rows), {name: [row[name] for row in rows] for name in TYPES})


def same(left: Batch, right: Batch) -> None:
    """Equal names, types and bits."""
    assert left.n == right.n
    assert list(left.columns) == list(right.columns)
    for name, column in left.columns.items():
        other = right.columns[name]
        assert isinstance(column, np.ndarray)
        assert isinstance(other, np.ndarray)
        assert (column.dtype, column.shape) == (other.dtype, other.shape), name
        if column.dtype == object:
            assert all(type(value) is str for value in other)
            assert column.tolist() == other.tolist(), name
        else:
            assert column.dtype == np.float32
            assert column.tobytes() == other.tobytes(), (name, column, other)


@settings(max_examples=150, deadline=None)
@given(rows=ROWS)
def test_a_frame_and_rows_give_the_same_batch(rows: list[dict[str, object]]) -> None:
    one = prepared()
    prepare = row_preparer(one, types=TYPES)
    whole = frame_preparer(one, types=TYPES, few=0)(frame_of(rows))
    assert list(whole.columns) == [*PREPARE, "odd name", "dest"]
    same(whole, prepare(raw_batch(rows)))
    same(whole, prepare_frame(one, frame_of(rows), types=TYPES))
    for i, row in enumerate(rows):
        single = prepare(raw_batch([row]))
        same(single, Batch(1, {name: column[i : i + 1] for name, column in whole.columns.items()}))


def test_values_are_what_was_meant() -> None:
    rows = [
        dict.fromkeys(TYPES)
        | {"departs_at": 1_364_083_200_000_000, "booked_at": 1_364_079_600_000_000, "distance": 100.0, "seats": 200}
        | {"full": True, "origin": " JFK", "dest": "AMS", "odd name": 1.0},
        dict.fromkeys(TYPES),
    ]
    columns = frame_preparer(prepared(), types=TYPES, few=0)(frame_of(rows)).columns
    assert [columns[name][0] for name in ("hour", "weekday", "ahead", "per_seat")] == [20, 7, 1, 0.5]
    assert [columns[name][0] for name in ("route", "from", "hub", "dest")] == [" JFK-AMS", "jfk", "(missing)", "AMS"]
    assert columns["huge"][0] == np.float32(1e32)
    assert columns["busy"][0] == 1.0
    assert math.isnan(columns["hour"][1])
    assert columns["route"][1] == "(missing)"
    assert columns["route_late"][1] == np.float32(0.1)


def test_what_float32_can_not_hold_is_missing() -> None:
    one = Prepared(columns=(PreparedColumn(name="x", expression="x * 1e30", kind="number"),))
    types = {"x": "number"}
    for value in (1e9, -1e9, 1e300):
        batch = frame_preparer(one, types=types, few=0)(pl.DataFrame({"x": [value]}))
        same(batch, row_preparer(one, types=types)(Batch(1, {"x": [value]})))
        assert np.isnan(batch.columns["x"][0])


@settings(deadline=None)
@given(rows=st.lists(st.tuples(*[st.none() | st.floats(allow_nan=False)] * 3), min_size=1, max_size=5))
@example(rows=[(1e39, 0.0, 3.4028235677973366e38), (-3.4028235677973366e38, 1.0, 3.4028235677973362e38)])
@example(rows=[(0.0, 1.0, float("inf")), (float("-inf"), 1.0, 2.0)])
def test_numbers_side_by_side_give_the_same_batch(rows: list[tuple[float | None, ...]]) -> None:
    types: dict[str, LogicalType] = dict.fromkeys(("x", "y", "z"), "number")
    names = {"of_z": "z", "of_x": "x"}
    one = Prepared(
        columns=tuple(PreparedColumn(name=name, expression=text, kind="number") for name, text in names.items())
    )
    raw = dict(zip(types, map(list, zip(*rows, strict=True)), strict=True))
    prepare = row_preparer(one, types=types)
    side = prepare(Batch(len(rows), {**raw}, numbers_of(raw, tuple(types))))
    same(side, prepare(Batch(len(rows), {**raw})))
    found = side_by_side(side, tuple(names))
    assert found is not None
    assert [list(map(repr, row)) for row in found] == [list(map(repr, side.columns[name])) for name in names]


def test_rows_may_lack_fields_and_hold_odd_values() -> None:
    prepare = row_preparer(prepared(), types=TYPES)
    nothing = prepare(raw_batch([dict.fromkeys(TYPES)]))
    same(prepare(Batch(1, {})), nothing)
    same(prepare(Batch(1, {name: [[]] for name in TYPES})), nothing)
    wrong = {name: [7 if kind in ("string", "boolean") else "x"] for name, kind in TYPES.items()}
    same(prepare(Batch(1, dict(wrong))), nothing)
    arrays = {"distance": np.array([5.0, np.nan]), "seats": np.array([2, 3]), "full": np.array([True, False])}
    lists = {name: column.tolist() for name, column in arrays.items()}
    same(prepare(Batch(2, dict(arrays))), prepare(Batch(2, dict(lists))))


def test_lookups_as_of_come_from_the_frame() -> None:
    rows = [
        dict.fromkeys(TYPES) | {"origin": "JFK", "dest": "AMS", "departs_at": i, "landed_at": i + 2, "late": i % 2 == 0}
        for i in range(6)
    ]
    frame = frame_of(rows)
    history = as_of(ROUTE, frame, known_at="landed_at", time="departs_at").alias("known")
    one = Prepared(columns=declare({"late_here": PREPARE["route_late"]}, CONTRACT, (ROUTE,)))
    batch = prepare_frame(one, frame.with_columns(history), types=TYPES, as_of={"route_late": "known"})
    assert batch.columns["late_here"].tolist()[2:] == [np.float32(x) for x in history.to_list()[2:]]
    assert np.isnan(batch.columns["late_here"][:2]).all()
    for i in range(2, 6):
        table = build(ROUTE, frame, known_at="landed_at", cutoff=i)
        pinned = Prepared(columns=one.columns, tables=(table,))
        same(
            frame_preparer(pinned, types=TYPES, few=0)(frame[i : i + 1]),
            Batch(1, {"late_here": batch.columns["late_here"][i : i + 1]}),
        )
    with pytest.raises(DataError, match="values of lookup 'route_late' are missing"):
        prepare_frame(one, frame, types=TYPES, as_of={"route_late": "known"})
    with pytest.raises(DataError, match="no column 'origin'"):
        prepare_frame(prepared(), frame.drop("origin"), types=TYPES)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from(["JFK", "EWR", None]), st.integers(0, 9), st.integers(0, 9), st.booleans()),
        max_size=20,
    ),
    moment=st.integers(0, 9),
    chance=st.randoms(use_true_random=False),
)
def test_permuting_the_future_changes_no_prepared_column(
    rows: list[tuple[str | None, int, int, bool]], moment: int, chance: object
) -> None:
    """Outcomes that become known after `moment` are shuffled among themselves: rows decided until then stay equal."""
    future = [late for _, _, landed, late in rows if landed > moment]
    chance.shuffle(future)
    shuffled = iter(future)
    other = [(*row[:3], next(shuffled) if row[2] > moment else row[3]) for row in rows]
    batches = []
    for version in (rows, other):
        frame = frame_of(
            [
                dict.fromkeys(TYPES) | {"origin": origin, "departs_at": at, "landed_at": landed, "late": late}
                for origin, at, landed, late in version
            ]
        )
        history = as_of(ROUTE, frame, known_at="landed_at", time="departs_at").alias("known")
        frame = frame.with_columns(history).filter(pl.col("departs_at").to_physical() <= moment)
        batches.append(prepare_frame(prepared(), frame, types=TYPES, as_of={"route_late": "known"}))
    same(*batches)


def test_kinds() -> None:
    kinds = {column.name: column.kind for column in prepared().columns}
    assert {name for name, kind in kinds.items() if kind == "category"} == {"route", "from", "hub", "dest"}
    assert prepared().columns[-2].expression == "field('odd name')"
    assert declare({"seats": "seats"}, CONTRACT, (), use=("seats",)) == declare({}, CONTRACT, (), use=("seats",))


@pytest.mark.parametrize(
    ("prepare", "lookups", "options", "message"),
    [
        ({"x": "late"}, (), {}, "'late' is known only later"),
        ({"x": "hour(landed_at)"}, (), {}, "'landed_at' is known only later"),
        ({"x": "distance + seats"}, (), {"forbidden": ("seats",)}, "'seats' is known only later"),
        ({"x": "where(is_null(late), 1, 0)"}, (), {}, "known only later"),
        ({}, (), {"use": ("late",)}, "known only later"),
        ({}, (), {"use": ("orign",)}, "did you mean 'origin'"),
        ({"x": "departs_at"}, (), {}, "a timestamp can't be a prepared column"),
        ({"x": "day"}, (), {}, "a date can't be a prepared column"),
        ({"x": "orign"}, (), {}, "did you mean 'origin'"),
        ({"x": "distance +"}, (), {}, "prepare.x: this is not an expression"),
        ({"x": "lookup('route_lat', key=[origin, dest])"}, (ROUTE,), {}, "did you mean 'route_late'"),
        ({"x": "lookup('route_late', key=[origin, dest])"}, (), {}, "no lookup 'route_late'"),
        ({"x": "lookup('route_late', key=[dest, origin])"}, (ROUTE,), {}, "not the key of lookup 'route_late'"),
        ({"x": "lookup('route_late', key=[origin])"}, (ROUTE,), {}, "not the key of lookup"),
        ({}, (LookupSpec(name="l", key=("late",), value="late"),), {}, "'late' is known only later"),
        ({}, (LookupSpec(name="l", key=("landed_at",), value="late"),), {}, "known only later"),
        ({}, (LookupSpec(name="l", key=("distance",), value="late"),), {}, "wrong type"),
        ({}, (LookupSpec(name="l", key=(), value="late"),), {}, "a lookup needs a key"),
        ({}, (LookupSpec(name="l", key=("origin",), value="dest"),), {}, "must be a field with a mean"),
        ({}, (LookupSpec(name="l", key=("origin",), value="lat"),), {}, "did you mean 'late'"),
        ({}, (LookupSpec(name="l", key=("origin",), value="late", prior=-1),), {}, "prior is a number of rows"),
        ({}, (LookupSpec(name="l", key=("origin",), value="late", prior=math.inf),), {}, "prior is a number of rows"),
        ({"seats": "seats + 1"}, (), {"use": ("seats",)}, "both a field used as it is and a prepared column"),
    ],
)
def test_what_can_not_be_declared_is_refused(
    prepare: dict[str, str], lookups: tuple[LookupSpec, ...], options: dict[str, tuple[str, ...]], message: str
) -> None:
    with pytest.raises(ExpressionError) as caught:
        declare(prepare, CONTRACT, lookups, **options)
    assert message in str(caught.value)
    assert caught.value.key


def test_errors_name_file_and_line() -> None:
    with pytest.raises(ExpressionError) as caught:
        declare({"x": "late"}, CONTRACT, (), file="kring.toml", lines={"x": 7})
    assert caught.value.where == "kring.toml:7 prepare.x"


def test_a_preparer_can_be_used_often() -> None:
    frame = frame_of([dict.fromkeys(TYPES) | {"seats": 3}] * 300)
    for few in (0, 256, 1000):
        prepare = frame_preparer(prepared(), types=TYPES, few=few)
        same(prepare(frame), prepare(frame))
        assert prepare(frame[:0]).n == 0


def test_the_row_path_imports_no_polars() -> None:
    code = "import sys, kring.decide.prepare_rows; print('polars' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
