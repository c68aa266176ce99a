"""How many different things there were, from registers that merge."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.metrics.sketches import WIDTH, Registers, distinct, mixed, note


def sketch(values: np.ndarray) -> Registers:
    registers = np.zeros((1, WIDTH), dtype=np.uint8)
    note(registers, np.zeros(len(values), dtype=np.intp), mixed(values.astype(np.uint64)))
    return registers


@pytest.mark.parametrize("number", [0, 1, 30, 400, 3_000, 60_000])
def test_different_values_are_counted_to_a_fifth(number: int) -> None:
    found = float(distinct(sketch(np.arange(number)))[0])
    assert abs(found - number) <= 0.2 * number + 1


@given(st.lists(st.integers(0, 500), max_size=200), st.integers(0, 200))
def test_order_repetition_and_parts_change_nothing(values: list[int], cut: int) -> None:
    whole = np.array(values, dtype=np.uint64)
    parts = np.maximum(sketch(whole[:cut]), sketch(whole[cut:]))
    assert np.array_equal(parts, sketch(whole))
    assert np.array_equal(sketch(whole[::-1]), sketch(whole))
    assert np.array_equal(sketch(np.concatenate([whole, whole])), sketch(whole))
