"""Columns as bytes: the same values come back."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.metrics.packing import length_of, packed, values_of

INTEGERS = st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), max_size=30)
FLOATS = st.lists(st.none() | st.floats(), max_size=30)


@given(INTEGERS)
def test_integers_come_back(values: list[int | None]) -> None:
    known = np.array([value is not None for value in values], dtype=np.bool_)
    column = packed(np.array([value or 0 for value in values], dtype=np.int64), known=known)
    assert values_of(column) == values
    assert length_of(column) == len(values)


@given(FLOATS)
def test_floats_come_back(values: list[float | None]) -> None:
    known = np.array([value is not None for value in values], dtype=np.bool_)
    column = packed(np.array([value or 0.0 for value in values]), known=known)
    for found, value in zip(values_of(column), values, strict=True):
        if value is None:
            assert found is None
        else:
            assert isinstance(found, float)
            assert math.isnan(value) if math.isnan(found) else found == value


@given(st.lists(st.sampled_from(["a", "", "Zoë", None]), max_size=30))
def test_words_come_back(values: list[str | None]) -> None:
    words = ["a", "", "Zoë"]
    codes = np.array([words.index(value) if value is not None else 0 for value in values], dtype=np.uint32)
    column = packed(codes, known=np.array([value is not None for value in values], dtype=np.bool_), words=words)
    assert values_of(column) == values


@pytest.mark.parametrize(
    ("values", "bytes_each"),
    [([0.5, 1.25], 4), ([0.1, 0.2], 8), ([1, -1], 1), ([0, 200], 2), ([2**40, 0], 8), ([True, False], 1)],
)
def test_a_column_is_as_narrow_as_it_can_be(values: list[float], bytes_each: int) -> None:
    assert len(packed(np.array(values)).data) == 2 * bytes_each
