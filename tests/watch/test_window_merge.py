from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.watch.windows import merge_counts, window_start

LENGTHS = {"n": 1, "hist": 3, "sum": 2}
COUNTS = st.fixed_dictionaries(
    {},
    optional={name: st.tuples(*[st.integers(-(10**30), 10**30)] * length) for name, length in LENGTHS.items()},
)


@given(COUNTS, COUNTS, COUNTS)
def test_merging_knows_no_order_and_has_an_identity(one, two, three):
    assert merge_counts(one, two) == merge_counts(two, one)
    assert merge_counts(merge_counts(one, two), three) == merge_counts(one, merge_counts(two, three))
    assert merge_counts(one, {}) == one == merge_counts({}, one)


@given(COUNTS, COUNTS)
def test_counts_are_added_element_by_element(one, two):
    merged = merge_counts(one, two)
    assert merged.keys() == one.keys() | two.keys()
    for name, vector in merged.items():
        zeros = (0,) * LENGTHS[name]
        sums = zip(one.get(name, zeros), two.get(name, zeros), strict=True)
        assert vector == tuple(left + right for left, right in sums)


def test_what_does_not_belong_together_is_not_merged():
    with pytest.raises(ValueError, match="have 1 and 2 numbers"):
        merge_counts({"n": (1,)}, {"n": (1, 2)})


@given(st.integers(0, 10**18), st.integers(1, 10**12))
def test_a_moment_lies_in_its_window(at, width):
    start = window_start(at, width=width)
    assert start <= at < start + width
    assert start % width == 0
