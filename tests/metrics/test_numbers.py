"""Columns side by side hold what the columns hold, in the order that is asked for."""

from __future__ import annotations

import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.metrics.numbers import every_row, narrow, numbers_of, rows_of_numbers, side_by_side
from kring.record.batch import Batch, ColumnsOf

VALUES = st.none() | st.floats(allow_nan=False)
NAMES = ("a", "b", "c")


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    n = draw(st.integers(0, 5))
    columns = {name: draw(st.lists(VALUES, min_size=n, max_size=n)) for name in NAMES}
    return Batch(n, {**columns, "word": ["x"] * n}, numbers_of(columns, NAMES))


def as_floats(batch: Batch, names: tuple[str, ...]) -> np.ndarray:
    columns = [[np.nan if value is None else value for value in batch.columns[name]] for name in names]
    return narrow(np.array(columns, dtype=np.float64).reshape(len(names), batch.n))


@given(batches(), st.permutations(NAMES), st.integers(1, 3))
def test_columns_come_in_the_order_that_is_asked_for(batch: Batch, order: list[str], few: int) -> None:
    for names in (NAMES, tuple(order[:few])):
        found = side_by_side(batch, names)
        assert found is not None
        assert found.tobytes() == as_floats(batch, names).tobytes()


@given(batches(), st.data())
def test_rows_are_picked_as_columns_are(batch: Batch, data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.integers(0, batch.n - 1), max_size=6)) if batch.n else []
    numbers = rows_of_numbers(batch.numbers, np.array(rows, dtype=np.int64))
    assert numbers is not None
    assert np.asarray(numbers.matrix).tobytes() == as_floats(batch, NAMES)[:, rows].tobytes()


@given(batches())
def test_numbers_are_columns_by_their_names(batch: Batch) -> None:
    assert batch.numbers is not None
    columns = ColumnsOf(batch.numbers)
    assert (list(columns), len(columns), "word" in columns) == (list(NAMES), len(NAMES), False)
    again = Batch(batch.n, columns)
    for name, column in again.columns.items():
        assert np.asarray(column).tobytes() == as_floats(batch, (name,)).tobytes()
    with pytest.raises(KeyError, match="word"):
        columns["word"]


def test_what_is_not_among_the_numbers_is_not_found() -> None:
    batch = Batch(1, {"a": [1.0], "word": ["x"]}, numbers_of({"a": [1.0]}, ("a",)))
    assert side_by_side(batch, ("a", "word")) is None
    assert side_by_side(Batch(1, {"a": [1.0]}), ("a",)) is None
    assert rows_of_numbers(None, np.array([0])) is None


@given(st.lists(st.floats(), max_size=8))
def test_what_float32_can_not_hold_is_missing(values: list[float]) -> None:
    found = narrow(np.array(values, dtype=np.float64)).tolist()
    for value, single in zip(values, found, strict=True):
        try:
            (expected,) = struct.unpack("<f", struct.pack("<f", value))
        except OverflowError:
            expected = math.nan
        assert repr(single) == repr(math.nan if math.isinf(expected) else expected)


@pytest.mark.parametrize("n", [0, 1, 256, 257])
def test_every_row_is_counted_once(n: int) -> None:
    assert every_row(n).tolist() == list(range(n))
