"""Quantiles from integer histograms that add."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.metrics.spread import CELLS, ERROR, quantile_of, spread_of


def added(left: tuple[int, ...], right: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a + b for a, b in zip(left, right, strict=True))


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=200), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_quantile_is_off_by_half_a_cell_at_most(durations: list[int], share: float) -> None:
    values = np.array(durations)
    found = quantile_of(spread_of(values, np.ones(len(values), dtype=np.int64)), share)
    assert found is not None
    rank = max(int(np.ceil(share * len(values))), 1)
    true = np.sort(values)[rank - 1]
    assert abs(found.value / true - 1) <= ERROR + 1e-9
    assert found.low <= true * (1 + 1e-9)
    assert found.high >= true * (1 - 1e-9)


@given(st.lists(st.integers(0, 10**12), max_size=60), st.integers(0, 60))
def test_parts_add_up_to_the_whole(durations: list[int], cut: int) -> None:
    values, ones = np.array(durations, dtype=np.int64), np.ones(len(durations), dtype=np.int64)
    parts = spread_of(values[:cut], ones[:cut]), spread_of(values[cut:], ones[cut:])
    assert added(*parts) == added(*reversed(parts)) == spread_of(values, ones)
    assert sum(spread_of(values, ones)) == len(values)


def test_the_interval_holds_the_quantile_as_often_as_it_says() -> None:
    random, inside = np.random.default_rng(1), 0
    true = float(np.exp(8 + 0.8 * 1.6448536))
    for _ in range(300):
        values = np.exp(random.normal(8, 0.8, 400)).astype(np.int64)
        found = quantile_of(spread_of(values, np.ones(400, dtype=np.int64)), 0.95)
        assert found is not None
        inside += found.low <= true <= found.high
    assert inside >= 280


def test_nothing_and_too_little() -> None:
    assert quantile_of((0,) * CELLS, 0.5) is None
    assert quantile_of((), 0.5) is None
    one = quantile_of(spread_of(np.array([1000]), np.array([3])), 0.99)
    assert one is not None
    assert one.high == pytest.approx(float("inf"))
