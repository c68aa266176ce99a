"""One pass over columns, in whatever form they come."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.record.drift import Reference
from kring.watch.binning import added, bins_of, counter_of, placed, reference_of, shares_of, width

NUMBER = Reference(feature="x", kind="number", cuts=(0.0, 1.0, 5.0))
WORD = Reference(feature="x", kind="category", words=("a", "b"))
LENGTH = Reference(feature="x", kind="length", cuts=(2.0, 4.0))
TRUTH = Reference(feature="x", kind="category", words=("true", "false"))

NUMBERS = st.lists(st.none() | st.floats(-2, 7) | st.integers(-2, 7))
WORDS = st.lists(st.none() | st.text(st.sampled_from("abc\x00é"), max_size=6))
TRUTHS = st.lists(st.none() | st.booleans())


@pytest.mark.parametrize(
    ("reference", "values", "cells"),
    [
        (NUMBER, [-1, 0, 0.5, 1, 4.9, 5, None, math.nan, math.inf, -math.inf], [2, 2, 2, 2, 2]),
        (NUMBER, ["sealed", None, 1.0], [0, 0, 1, 0, 2]),
        (NUMBER, [10**400, -1, True], [1, 0, 1, 1, 0]),
        (NUMBER, [], [0, 0, 0, 0, 0]),
        (WORD, ["a", "b", "b", "c", None, "", 3], [1, 2, 3, 1]),
        (TRUTH, [True, False, False, None, "true"], [2, 2, 0, 1]),
        (LENGTH, ["", "ab", "abc", "abcd", None, 7], [1, 2, 1, 2]),
        (Reference(feature="x", kind="number"), [1.0, None], [1, 1]),
        (Reference(feature="x", kind="category"), ["a", None], [1, 1]),
    ],
)
def test_every_value_lies_in_one_cell(reference: Reference, values: list[object], cells: list[int]) -> None:
    counted = counter_of([reference])({"x": values})["x"]
    assert counted.tolist() == cells
    assert len(cells) == width(reference)
    assert np.bincount(placed(reference, values), minlength=width(reference)).tolist() == cells


@given(
    st.tuples(st.just(NUMBER), NUMBERS)
    | st.tuples(st.sampled_from([WORD, LENGTH]), WORDS)
    | st.tuples(st.just(TRUTH), TRUTHS),
    st.integers(0, 20),
)
def test_a_column_in_parts_is_counted_as_the_whole(given: tuple[Reference, list[object]], cut: int) -> None:
    reference, values = given
    count = counter_of([reference])
    parts = added(count({"x": values[:cut]}), count({"x": values[cut:]}))
    assert parts["x"].tolist() == count({"x": values})["x"].tolist()


@pytest.mark.parametrize("dtype", [pl.Int64, pl.UInt8, pl.Float32, pl.Boolean])
def test_a_column_may_hold_any_numbers(dtype: pl.DataType) -> None:
    values = pl.Series("x", [0, 1, None, 1]).cast(dtype).to_numpy()
    assert counter_of([NUMBER])({"x": values})["x"].tolist() == [0, 1, 2, 0, 1]


def test_a_column_that_is_not_there_is_not_counted() -> None:
    assert counter_of([NUMBER])({"y": [1.0]}) == {}


def test_the_most_frequent_words_are_kept_and_rare_ones_are_not_written_down() -> None:
    values = [f"w{number}" for number in range(12) for _ in range(20 - number)] + ["once"] * 4 + [None]
    found = bins_of("x", values, kind="category")
    assert found.words == tuple(f"w{number}" for number in range(10))
    assert bins_of("x", ["a"] * 9 + ["rare"] * 4, kind="category").words == ("a",)
    assert bins_of("x", [True] * 9 + [False] * 5, kind="category").words == ("true", "false")


def test_texts_that_hardly_repeat_are_told_by_their_length() -> None:
    found = bins_of("x", [f"question {number}" for number in range(1000)], kind="category")
    assert (found.kind, found.words) == ("length", ())
    assert found.cuts[0] == 10.0


def test_a_reference_adds_up_by_class_and_tests_lie_on_both_sides() -> None:
    values, classes = np.arange(1000.0), np.array(["1", "2"] * 500)
    found = reference_of("x", values, kind="number", classes=classes)
    assert {name: sum(cells) for name, cells in found.cells.items()} == {"1": 500, "2": 500}
    below = [one.place for one in shares_of(found) if one.what == "below"]
    assert [found.cuts[place] for place in below] == pytest.approx([100, 500, 900], abs=1)
    assert [one.what for one in shares_of(found)] == ["below"] * 3 + ["outside", "missing"]


def test_a_constant_has_no_deciles_and_is_watched_all_the_same() -> None:
    found = reference_of("x", [3.0] * 100, kind="number")
    assert [one.what for one in shares_of(found)] == ["outside", "missing"]
