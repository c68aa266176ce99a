"""How many requests a line waits for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kring.serve.gathering import ENOUGH, LATE, SOON, Gathering


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
def test_a_group_as_large_as_all_that_were_seen_is_enough_unless_more_are_looked_for(
    seen: list[tuple[int, int]],
) -> None:
    gathering = Gathering()
    for group, waiting in seen:
        gathering.seen(group, waiting=waiting)
    largest = max((group + waiting for group, waiting in seen), default=1)
    if not gathering.is_enough(largest):
        gathering.seen(largest, waiting=0)
    assert gathering.is_enough(largest)


def groups(gathering: Gathering, callers: int, *, in_sockets: int, count: int) -> list[int]:
    """The sizes of so many groups when all callers come back; the last `in_sockets` of them are there only if a group
    waits for as long as it may."""
    sizes = []
    for _ in range(count):
        seen_at_once = next((n for n in range(1, callers - in_sockets + 1) if gathering.is_enough(n)), callers)
        sizes.append(seen_at_once)
        gathering.seen(seen_at_once, waiting=0)
    return sizes


@given(st.integers(4, 200), st.integers(1, 100))
def test_callers_that_no_group_has_counted_are_found_by_looking(callers: int, in_sockets: int) -> None:
    gathering = Gathering()
    gathering.seen(max(2, callers - in_sockets), waiting=0)
    assert groups(gathering, callers, in_sockets=min(in_sockets, callers - 2), count=40)[-1] >= callers * ENOUGH


def test_looking_for_more_becomes_rare_when_there_are_no_more() -> None:
    gathering = Gathering()
    gathering.seen(16, waiting=0)
    waited = 0
    for _ in range(4 * LATE):
        waited += not gathering.is_enough(16)
        gathering.seen(16, waiting=0)
    assert 1 <= waited <= 10, "after 8, 16, … and 512 groups, then after every 512"


def test_what_is_expected_does_not_shrink_by_those_left_for_the_next_group() -> None:
    gathering = Gathering()
    gathering.seen(16, waiting=0)
    for _ in range(SOON - 2):
        gathering.seen(15, waiting=0)
    assert not gathering.is_enough(14)
