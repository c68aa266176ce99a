"""Quantiles of long streams from what is kept of them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kring.metrics.sampled import Sampled


@given(st.lists(st.tuples(st.floats(-9, 9), st.integers(1, 9)), max_size=30))
def test_all_of_a_short_stream_is_kept(told: list[tuple[float, int]]) -> None:
    sample = Sampled()
    for value, rows in told:
        sample.add(value, rows=rows)
    assert sample.values.tolist() == [value for value, rows in told for _ in range(rows)]
    assert (sample.n, sample.thinned) == (sum(rows for _, rows in told), 1)


def test_of_a_long_stream_the_quantiles_are_known_whatever_its_pattern() -> None:
    """Two callers take turns, one of them a hundred times as slow; and it gets slower all the time."""
    sample, n = Sampled(most=8192), 60_000
    values = np.where(np.arange(n) % 2, 100.0, 1.0) * (1 + np.arange(n) / n)
    for value in values.tolist():
        sample.add(value)
    assert 4096 <= len(sample.values) <= 8192
    for share in (0.1, 0.5, 0.9, 0.99):
        rank = np.searchsorted(np.sort(values), np.quantile(sample.values, share)) / n
        assert abs(rank - share) < 5 * np.sqrt(share * (1 - share) / 4096)


def test_one_thinned_further_is_a_part_of_itself() -> None:
    whole, part = Sampled(), Sampled()
    for one in (whole, part):
        one.add(1.0, rows=3000)
        one.add(2.0, rows=3000)
    part.thin(8)
    assert (part.n, part.thinned) == (6000, 8)
    assert 600 < len(part.values) < 900
    assert sorted(set(part.values.tolist())) == [1.0, 2.0]
    part.thin(2)
    assert part.thinned == 8
    assert whole.thinned == 1
