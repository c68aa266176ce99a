"""Values that break a rule of their field are taken as missing, of frames and rows alike."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.contracts.odcs import read
from kring.contracts.rows_guard import row_guard
from kring.decide.guard import frame_guard, frame_imputer
from kring.decide.impute import row_imputer
from kring.record.batch import Batch
from kring.record.contract import Contract

CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: imputed
version: 1.0.0
status: active
schema:
  - name: rows
    quality:
      - {type: custom, engine: kring, name: order, implementation: {expression: "low <= high"}}
    properties:
      - {name: low, logicalType: number, required: true, logicalTypeOptions: {minimum: -2, maximum: 3}}
      - {name: high, logicalType: integer, logicalTypeOptions: {maximum: 3}}
      - {name: word, logicalType: string, logicalTypeOptions: {pattern: "^[a-c]*$", maxLength: 3}}
      - {name: at, logicalType: timestamp, logicalTypeOptions: {minimum: "2020-01-01T00:00:00Z"}}
      - {name: ok, logicalType: boolean, required: true}
"""
KNOWN = ["low", "high", "word", "at", "ok"]
SCHEMA = {
    "low": pl.Float64(),
    "high": pl.Int64(),
    "word": pl.String(),
    "at": pl.Datetime("us", "UTC"),
    "ok": pl.Boolean(),
}
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "low": st.none() | st.floats(-4, 4) | st.sampled_from([-2.0, 3.0, float("inf")]),
            "high": st.none() | st.integers(-5, 5),
            "word": st.none() | st.sampled_from(["", "a", "abcd", "d", "é"]),
            "at": st.none() | st.datetimes(timezones=st.just(UTC), min_value=datetime(2019, 12, 1)),
            "ok": st.none() | st.booleans(),
        }
    ),
    max_size=9,
)


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    path: Path = tmp_path_factory.mktemp("imputed") / "contract.yaml"
    path.write_text(CONTRACT)
    return read(path)


@given(rows=ROWS)
def test_frames_and_rows_are_imputed_alike(contract: Contract, rows: list[dict[str, object]]) -> None:
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    plain = frame.with_columns(pl.col("at").to_physical())
    batch = Batch(frame.height, {name: plain[name].to_list() for name in KNOWN})
    one = row_guard(contract, fields=KNOWN, typed=True)
    fired = {number: broken for number, row in enumerate(plain.iter_rows(named=True)) if (broken := one(row))}
    assert dict(frame_guard(contract, fields=KNOWN)(frame)) == fired
    by_frame, told_frame = frame_imputer(contract)(frame, fired)
    by_rows, told_rows = row_imputer(contract)(batch, fired)
    assert told_frame == told_rows
    physical = by_frame.with_columns(pl.col("at").to_physical())
    assert {name: physical[name].to_list() for name in KNOWN} == {name: list(by_rows.columns[name]) for name in KNOWN}


@given(rows=ROWS)
def test_imputing_twice_is_imputing_once(contract: Contract, rows: list[dict[str, object]]) -> None:
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    impute = frame_imputer(contract)
    once, told = impute(frame, frame_guard(contract, fields=KNOWN)(frame))
    again, told_again = impute(once, told)
    assert told_again == told
    assert again.equals(once)


@given(rows=ROWS)
def test_what_is_left_breaks_no_limit(contract: Contract, rows: list[dict[str, object]]) -> None:
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    guard = frame_guard(contract, fields=KNOWN)
    left, _ = frame_imputer(contract)(frame, guard(frame))
    rules = {rule for broken in guard(left).values() for rule in broken}
    assert rules <= {"low.required", "ok.required", "order"}, "a rule over the whole row has no value to take"


def test_only_the_values_that_break_a_rule_of_their_own_are_taken(contract: Contract) -> None:
    at = datetime(2024, 1, 1, tzinfo=UTC)
    rows = [
        {"low": 9.0, "high": 3, "word": "a", "at": at, "ok": True},
        {"low": 2.0, "high": 1, "word": "a", "at": at, "ok": True},
        {"low": 1.0, "high": 1, "word": "a", "at": at, "ok": True},
    ]
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    left, told = frame_imputer(contract)(frame, frame_guard(contract, fields=KNOWN)(frame))
    assert left["low"].to_list() == [None, 2.0, 1.0]
    assert told == {0: ["low.range", "order", "imputed"], 1: ["order"]}
    assert left.drop("low").equals(frame.drop("low"))
