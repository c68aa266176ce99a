"""How many requests a line waits for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kring.serve.gathering import Gathering


def test_a_caller_alone_never_waits() -> None:
    gathering = Gathering()
    for _ in range(50):
        assert gathering.is_enough(1)
        gathering.seen(1, waiting=0)


def test_those_who_came_together_are_waited_for() -> None:
    gathering = Gathering()
    gathering.seen(16, waiting=0)
    assert not gathering.is_enough(1)
    assert not gathering.is_enough(14)
    assert gathering.is_enough(15)


def test_requests_that_wait_while_others_are_decided_count() -> None:
    gathering = Gathering()
    gathering.seen(3, waiting=13)
    assert not gathering.is_enough(3)
    assert gathering.is_enough(15)


@given(st.integers(2, 256))
def test_when_the_others_are_gone_nobody_is_waited_for_long(wave: int) -> None:
    gathering = Gathering()
    gathering.seen(wave, waiting=0)
    waits = 0
    while not gathering.is_enough(1):
        waits += 1
        gathering.seen(1, waiting=0)
    assert waits <= 23, "0.8 to the 22nd of 256 is less than two"


@given(st.lists(st.tuples(st.integers(1, 256), st.integers(0, 256)), max_size=30))
def test_a_group_as_large_as_all_that_were_seen_is_enough(seen: list[tuple[int, int]]) -> None:
    gathering = Gathering()
    for group, waiting in seen:
        gathering.seen(group, waiting=waiting)
    assert gathering.is_enough(max((group + waiting for group, waiting in seen), default=1))
