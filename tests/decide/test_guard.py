"""The guard of whole columns names the same broken rules as the guard of one row."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.contracts.odcs import read
from kring.contracts.rows_guard import row_guard
from kring.decide.guard import frame_guard
from kring.record.contract import Contract

CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: guarded
version: 1.0.0
status: active
schema:
  - name: rows
    quality:
      - {type: custom, engine: kring, name: order, implementation: {expression: "low <= high"}}
      - {type: custom, engine: kring, name: outcome, implementation: {expression: "low <= result"}}
    properties:
      - {name: low, logicalType: number, required: true, logicalTypeOptions: {minimum: -2, exclusiveMaximum: 3}}
      - {name: high, logicalType: integer, logicalTypeOptions: {maximum: 3}}
      - name: word
        logicalType: string
        logicalTypeOptions: {pattern: "^[a-c]*$", maxLength: 3}
        quality:
          - {metric: invalidValues, mustBe: 0, arguments: {validValues: [a, b, abc]}}
          - {metric: nullValues, mustBeLessThan: 50, unit: percent}
      - {name: day, logicalType: date, logicalTypeOptions: {minimum: "2020-01-01"}}
      - name: at
        logicalType: timestamp
        required: true
        logicalTypeOptions: {exclusiveMinimum: "2020-01-01T00:00:00Z"}
      - {name: ok, logicalType: boolean, required: true}
      - {name: result, logicalType: number, required: true, logicalTypeOptions: {minimum: 0}}
"""
KNOWN = ["low", "high", "word", "day", "at", "ok"]
SCHEMA = {
    "low": pl.Float64(),
    "high": pl.Int64(),
    "word": pl.String(),
    "day": pl.Date(),
    "at": pl.Datetime("us", "UTC"),
    "ok": pl.Boolean(),
}
MOMENT = datetime(2020, 1, 1, tzinfo=UTC)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "low": st.none() | st.floats(-4, 4) | st.sampled_from([-2.0, 3.0, 2.9, float("inf"), float("nan")]),
            "high": st.none() | st.integers(-5, 5),
            "word": st.none() | st.sampled_from(["", "a", "abc", "abcd", "d", "é", "a\n"]),
            "day": st.none() | st.dates(datetime(2019, 12, 1).date(), datetime(2020, 2, 1).date()),
            "at": st.none() | st.just(MOMENT) | st.datetimes(timezones=st.just(UTC), min_value=datetime(2019, 12, 31)),
            "ok": st.none() | st.booleans(),
        }
    ),
    max_size=12,
)


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    path: Path = tmp_path_factory.mktemp("guarded") / "contract.yaml"
    path.write_text(CONTRACT)
    return read(path)


@given(rows=ROWS)
def test_columns_and_rows_are_guarded_alike(contract: Contract, rows: list[dict[str, object]]) -> None:
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    plain = frame.with_columns(pl.col("day", "at").to_physical())
    one = row_guard(contract, fields=KNOWN, typed=True)
    by_rows = {number: broken for number, row in enumerate(plain.iter_rows(named=True)) if (broken := one(row))}
    assert dict(frame_guard(contract, fields=KNOWN)(frame)) == by_rows


def test_rules_over_what_is_not_known_yet_are_not_asked(contract: Contract) -> None:
    good = {"low": 1.0, "high": 2, "word": "a", "day": None, "at": datetime(2024, 1, 1, tzinfo=UTC), "ok": True}
    frame = pl.DataFrame([good, good | {"low": 9.0}], schema=SCHEMA, orient="row")
    assert frame_guard(contract, fields=KNOWN)(frame) == {1: ["low.range", "order"]}
    assert frame_guard(contract, fields=["high", "word"])(frame.select("high", "word")) == {}
    assert frame_guard(contract, fields=[])(frame) == {}


def test_no_rows_break_nothing(contract: Contract) -> None:
    assert frame_guard(contract, fields=KNOWN)(pl.DataFrame(schema=SCHEMA)) == {}
