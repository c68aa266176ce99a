"""Buckets and counters, against the plainest account of what they promise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.access.limits import Buckets, Counter, refilled, share

seconds = st.floats(0, 100, allow_nan=False)


@given(total=st.integers(1, 10_000), workers=st.integers(1, 64))
def test_the_shares_of_the_workers_add_up(total: int, workers: int) -> None:
    shares = [share(total, workers=workers, worker=worker) for worker in range(workers)]
    assert sum(shares) == max(total, workers)
    assert min(shares) >= 1
    assert max(shares) - min(shares) <= 1


@given(level=st.floats(0, 10), elapsed=st.floats(-100, 100), rate=st.floats(0.01, 100))
def test_a_bucket_never_runs_over_and_never_loses(level: float, elapsed: float, rate: float) -> None:
    later = refilled(level, elapsed=elapsed, per_second=rate, capacity=10)
    assert level <= later <= 10
    if elapsed <= 0:
        assert later == level


@given(gaps=st.lists(st.floats(0, 3), min_size=1, max_size=60), rate=st.floats(0.2, 20), capacity=st.floats(1, 20))
def test_no_more_is_let_through_than_burst_and_rate_allow(gaps: list[float], rate: float, capacity: float) -> None:
    buckets = Buckets(per_second=rate, capacity=capacity)
    tick, first, taken = 0.0, gaps[0], 0
    for gap in gaps:
        tick += gap
        taken += buckets.take("x", tick=tick) == 0.0
        assert taken <= capacity + rate * (tick - first) + 1e-6
    assert taken >= 1


@given(rate=st.floats(0.1, 50), asked=st.integers(1, 30))
def test_waiting_as_long_as_told_is_enough(rate: float, asked: int) -> None:
    buckets = Buckets(per_second=rate, capacity=1)
    tick = 0.0
    for _ in range(asked):
        tick += buckets.wait("x", tick=tick) + 1e-9
        assert buckets.take("x", tick=tick) == 0.0
        assert buckets.take("x", tick=tick) == pytest.approx(1 / rate, rel=1e-6)


def test_each_has_a_bucket_of_their_own() -> None:
    buckets = Buckets(per_second=1, capacity=2)
    assert [buckets.take("a", tick=0) for _ in range(3)] == [0, 0, 1]
    assert buckets.take("b", tick=0) == 0


def test_a_clock_that_goes_back_gives_nothing_and_stops_nobody_for_long() -> None:
    buckets = Buckets(per_second=1, capacity=1)
    assert buckets.take("a", tick=1000) == 0
    assert buckets.take("a", tick=1) > 0
    assert buckets.take("a", tick=2.1) == 0


def test_what_is_remembered_is_bounded() -> None:
    buckets = Buckets(per_second=0.001, capacity=3, most=50)
    for number in range(2000):
        buckets.take(f"address {number}", tick=0)
    assert buckets.remembered <= 50
    later = Buckets(per_second=1, capacity=3, most=50)
    for number in range(2000):
        later.take(f"address {number}", tick=number * 10)
    assert later.remembered <= 50


@given(most=st.integers(1, 5), steps=st.lists(st.tuples(st.booleans(), st.sampled_from("ab")), max_size=60))
def test_a_counter_counts(most: int, steps: list[tuple[bool, str]]) -> None:
    counter, inside = Counter(most=most), {"a": 0, "b": 0}
    for enters, who in steps:
        if enters:
            assert counter.enter(who) is (inside[who] < most)
            inside[who] = min(most, inside[who] + 1)
        elif inside[who]:
            counter.leave(who)
            inside[who] -= 1
    assert counter.remembered == sum(count > 0 for count in inside.values())


def test_leaving_without_having_entered_opens_no_room() -> None:
    counter = Counter(most=1)
    counter.leave("a")
    assert counter.enter("a")
    assert not counter.enter("a")
