from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.record.window import Window
from kring.watch.windows import empty, merge, merge_counts, paired, total, trailing, window_start

LENGTHS = {"n": 1, "hist": 3, "sum": 2}
COUNTS = st.fixed_dictionaries(
    {},
    optional={name: st.tuples(*[st.integers(-(10**30), 10**30)] * length) for name, length in LENGTHS.items()},
)
SPANS = st.tuples(st.integers(0, 50), st.integers(1, 9)).map(lambda span: (span[0], span[0] + span[1]))
WINDOWS = st.builds(
    lambda span, counts: Window(system="s", version="v", start=span[0], end=span[1], counts=counts), SPANS, COUNTS
)


@given(WINDOWS, WINDOWS, WINDOWS)
def test_merging_knows_no_order_and_has_an_identity(one, two, three):
    assert merge(one, two) == merge(two, one)
    assert merge(merge(one, two), three) == merge(one, merge(two, three))
    assert merge(one, empty("s", "v")) == one == merge(empty("s", "v"), one)
    assert total([one, two, three], system="s", version="v") == merge(three, merge(one, two))
    assert total([], system="s", version="v") == empty("s", "v")


@given(COUNTS, COUNTS)
def test_counts_are_added_element_by_element(one, two):
    merged = merge_counts(one, two)
    assert merged.keys() == one.keys() | two.keys()
    for name, vector in merged.items():
        zeros = (0,) * LENGTHS[name]
        sums = zip(one.get(name, zeros), two.get(name, zeros), strict=True)
        assert vector == tuple(left + right for left, right in sums)


def test_what_does_not_belong_together_is_not_merged():
    with pytest.raises(ValueError, match="not of one version"):
        merge(empty("s", "v"), empty("s", "w"))
    with pytest.raises(ValueError, match="have 1 and 2 numbers"):
        merge_counts({"n": (1,)}, {"n": (1, 2)})


def day(number: int, version: str = "v", **counts: tuple[int, ...]) -> Window:
    return Window(system="s", version=version, start=number * 10, end=number * 10 + 10, counts=counts)


def test_trailing_windows_lie_wholly_within_the_span():
    windows = [day(number) for number in (3, 0, 2, 1, 4)]
    assert [window.start for window in trailing(windows, end=40, span=20)] == [20, 30]
    assert [window.start for window in trailing(windows, end=45, span=25)] == [20, 30]
    assert trailing(windows, end=10, span=5) == ()
    assert trailing([empty("s", "v")], end=10, span=20) == ()


def test_windows_are_paired_by_their_start():
    mine = [day(1, n=(1,)), day(0, n=(0,)), day(3, n=(3,))]
    theirs = [day(3, "w", n=(30,)), day(1, "w", n=(10,)), day(2, "w", n=(20,))]
    assert paired(mine, theirs) == ([{"n": (1,)}, {"n": (3,)}], [{"n": (10,)}, {"n": (30,)}])


@given(st.integers(0, 10**18), st.integers(1, 10**12))
def test_a_moment_lies_in_its_window(at, width):
    start = window_start(at, width=width)
    assert start <= at < start + width
    assert start % width == 0
