"""Lookups: what was known at a moment, and nothing that came later."""

from __future__ import annotations

import random
import time as stopwatch

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kring.contracts import to_polars
from kring.contracts.grammar import parse
from kring.decide.lookups import as_of, build
from kring.errors import DataError, ExpressionError
from kring.record.prepare import LookupSpec

TYPES = {"k": "string", "n": "integer", "y": "number", "t": "timestamp", "seen": "timestamp"}
UTC_US = pl.Datetime("us", "UTC")

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "k": st.sampled_from(["a", "b", "ß", None]),
            "n": st.sampled_from([0, 1, None]),
            "y": st.one_of(st.none(), st.floats(-1e9, 1e9), st.sampled_from([0.1, 1.0, float("nan"), float("inf")])),
            "t": st.one_of(st.none(), st.integers(-20, 20)),
            "seen": st.one_of(st.none(), st.integers(-20, 20)),
        }
    ),
    max_size=25,
)
SPECS = st.builds(
    LookupSpec,
    name=st.just("late"),
    key=st.sampled_from([("k",), ("k", "n"), ("n",), ("lower(k)", "n"), ("coalesce(k, 'z')",)]),
    value=st.just("y"),
    prior=st.sampled_from([0.0, 1.0, 2.5, 100.0]),
)


def frame_of(rows: list[dict[str, object]]) -> pl.DataFrame:
    schema = {"k": pl.String, "n": pl.Int64, "y": pl.Float64, "t": pl.Int64, "seen": pl.Int64}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame.with_columns(pl.col("t", "seen").cast(UTC_US))


def looked_up(spec: LookupSpec, frame: pl.DataFrame, cutoff: int) -> list[object]:
    table = build(spec, frame, known_at="seen", cutoff=cutoff)
    expression = parse(f"lookup('late', key=[{', '.join(spec.key)}])")
    return frame.with_columns(x=to_polars.compile(expression, types=TYPES, tables={"late": table}))["x"].to_list()


@settings(max_examples=150, deadline=None)
@given(spec=SPECS, rows=ROWS)
def test_as_of_is_the_table_at_the_rows_own_time(spec: LookupSpec, rows: list[dict[str, object]]) -> None:
    frame = frame_of(rows)
    history = as_of(spec, frame, known_at="seen", time="t")
    assert (history.name, history.dtype, len(history)) == ("late", pl.Float64, len(rows))
    tables = {row["t"]: looked_up(spec, frame, row["t"]) for row in rows if row["t"] is not None}
    assert history.to_list() == [None if row["t"] is None else tables[row["t"]][i] for i, row in enumerate(rows)]


@settings(max_examples=100, deadline=None)
@given(spec=SPECS, rows=ROWS, moment=st.integers(-20, 20), chance=st.randoms(use_true_random=False))
def test_the_future_changes_nothing(
    spec: LookupSpec, rows: list[dict[str, object]], moment: int, chance: random.Random
) -> None:
    """Rows that become known after `moment` may be altered, shuffled and removed."""
    before = frame_of(rows)
    past = [row for row in rows if row["seen"] is not None and row["seen"] <= moment]
    future = [row for row in rows if row["seen"] is None or row["seen"] > moment]
    altered = [{**row, "y": chance.choice([None, 1e300, -5.0]), "k": chance.choice(["a", "b", None])} for row in future]
    chance.shuffle(altered)
    mixed = past + altered[: chance.randint(0, len(altered))]
    after = frame_of(mixed)
    old = build(spec, before, known_at="seen", cutoff=moment)
    assert build(spec, after, known_at="seen", cutoff=moment) == old
    times = dict(enumerate(mixed[: len(past)]))
    was = as_of(spec, frame_of(past), known_at="seen", time="t").to_list()
    now = as_of(spec, after, known_at="seen", time="t").to_list()
    for i, row in times.items():
        if row["t"] is not None and row["t"] <= moment:
            assert now[i] == was[i]


@given(rows=ROWS, cutoff=st.integers(-20, 20), prior=st.sampled_from([0.0, 3.0]))
@settings(max_examples=60, deadline=None)
def test_the_table_is_the_shrunk_mean(rows: list[dict[str, object]], cutoff: int, prior: float) -> None:
    spec = LookupSpec(name="late", key=("k",), value="y", prior=prior)
    table = build(spec, frame_of(rows), known_at="seen", cutoff=cutoff)
    known = [
        row
        for row in rows
        if row["seen"] is not None and row["seen"] <= cutoff and row["y"] is not None and abs(row["y"]) < 1e300
    ]
    assert (table.rows, table.cutoff) == (len(known), cutoff)
    if not known:
        assert (table.keys, table.values, table.default) == ((), (), None)
        return
    overall = sum(row["y"] for row in known) / len(known)
    assert table.default == pytest.approx(overall, rel=1e-9, abs=1e-3)
    assert [key[0] for key in table.keys] == sorted({row["k"] for row in known}, key=lambda k: (k is not None, k or ""))
    for (key,), value in zip(table.keys, table.values, strict=True):
        mine = [row["y"] for row in known if row["k"] == key]
        assert value == pytest.approx((sum(mine) + prior * overall) / (len(mine) + prior), rel=1e-9, abs=1e-3)


def test_a_row_does_not_count_before_it_is_known() -> None:
    frame = frame_of(
        [
            {"k": "a", "n": 0, "y": 1.0, "t": 0, "seen": 5},
            {"k": "a", "n": 0, "y": 0.0, "t": 5, "seen": 9},
            {"k": "a", "n": 0, "y": 0.0, "t": 9, "seen": 10},
            {"k": "b", "n": 0, "y": 0.0, "t": 9, "seen": 10},
        ]
    )
    spec = LookupSpec(name="late", key=("k",), value="y")
    assert as_of(spec, frame, known_at="seen", time="t").to_list() == [None, 1.0, 0.5, 0.5]


def test_booleans_integers_and_dates_work() -> None:
    frame = frame_of([{"k": "a", "n": 3, "y": 1.0, "t": 0, "seen": 0}]).with_columns(
        day=pl.Series([17]).cast(pl.Int32).cast(pl.Date), late=pl.Series([True])
    )
    spec = LookupSpec(name="late", key=("day", "n"), value="late")
    table = build(spec, frame, known_at="seen", cutoff=0)
    assert (table.keys, table.values, table.default) == (((17, 3),), (1.0,), 1.0)


def test_types_of_the_contract_hold() -> None:
    frame = pl.DataFrame({"n": [1.0, None], "y": [1, 0], "seen": [0, 0]})
    spec = LookupSpec(name="late", key=("n",), value="y")
    with pytest.raises(ExpressionError, match="the key of a lookup has the wrong type"):
        build(spec, frame, known_at="seen", cutoff=0)
    table = build(spec, frame, known_at="seen", cutoff=0, types={"n": "integer"})
    assert table.keys == ((None,), (1,))


@pytest.mark.parametrize(
    ("spec", "known_at", "error", "message"),
    [
        (LookupSpec(name="x", key=("kk",), value="y"), "seen", ExpressionError, "there is no field 'kk'"),
        (LookupSpec(name="x", key=("k",), value="yy"), "seen", DataError, "there is no column 'yy'"),
        (LookupSpec(name="x", key=("k",), value="k"), "seen", DataError, "can't take the mean of 'k'"),
        (LookupSpec(name="x", key=("k",), value="y"), "when", DataError, "there is no column 'when'"),
        (LookupSpec(name="x", key=("k",), value="y"), "k", DataError, "is of type String"),
        (LookupSpec(name="x", key=("y",), value="y"), "seen", ExpressionError, "wrong type"),
        (LookupSpec(name="x", key=("t",), value="y"), "seen", ExpressionError, "wrong type"),
        (LookupSpec(name="x", key=("1 +",), value="y"), "seen", ExpressionError, "not an expression"),
        (LookupSpec(name="x", key=("'a'",), value="y"), "seen", ExpressionError, "reads no field"),
    ],
)
def test_what_can_not_be_built_is_refused(
    spec: LookupSpec, known_at: str, error: type[Exception], message: str
) -> None:
    frame = frame_of([{"k": "a", "n": 0, "y": 1.0, "t": 0, "seen": 0}])
    with pytest.raises(error, match=message):
        build(spec, frame, known_at=known_at, cutoff=0)
    with pytest.raises(error, match=message):
        as_of(spec, frame, known_at=known_at, time="t")


def test_values_beyond_float64_are_refused() -> None:
    rows = [{"k": "a", "n": 0, "y": 1.7e308, "t": 0, "seen": 0}] * 2
    with pytest.raises(DataError, match="too large for a mean"):
        build(LookupSpec(name="x", key=("k",), value="y"), frame_of(rows), known_at="seen", cutoff=0)


def test_a_hundred_thousand_rows_take_less_than_a_second_of_cpu() -> None:
    n = 100_000
    frame = pl.DataFrame(
        {
            "k": [f"k{i * 7919 % 2000}" for i in range(n)],
            "n": [i % 3 for i in range(n)],
            "y": [(i * 31 % 1009) / 7 for i in range(n)],
            "t": [i * 1000 for i in range(n)],
            "seen": [i * 1000 + 500_000 + i * 31 % 99_999 for i in range(n)],
        }
    )
    spec = LookupSpec(name="late", key=("k", "n"), value="y", prior=20)
    began = stopwatch.process_time()
    history = as_of(spec, frame, known_at="seen", time="t")
    assert stopwatch.process_time() - began < 1
    assert history.null_count() == 500
    for row in (500, 40_000, n - 1):
        table = build(spec, frame, known_at="seen", cutoff=row * 1000)
        entries = dict(zip(table.keys, table.values, strict=True))
        assert history[row] == entries.get((frame["k"][row], frame["n"][row]), table.default)
