"""Who is let in: the arithmetic, and whole overloads played through with a simulated clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from overload import CAPACITY, TIMEOUT_S, Server

from kring.errors import Overloaded
from kring.serve.admission import LONGEST_S, Admission

SEEDS = [1, 2]


def burst(now: float) -> float:
    return 10.0 if 1 <= now < 3 else 0.5


@pytest.mark.parametrize("polite", [True, False])
@pytest.mark.parametrize("seed", SEEDS)
def test_under_ten_times_the_load_most_of_the_capacity_is_good(seed: int, polite: bool) -> None:
    server = Server(seed, polite=polite)
    server.run(burst, until=13)
    assert server.goodput(1.2, 3) >= 0.9 * (1 if polite else 0.95), (
        "refusals to forty times the load cost something too"
    )
    assert max(waited for _, waited in server.answered) <= TIMEOUT_S
    assert server.longest <= TIMEOUT_S * CAPACITY
    assert server.goodput(11, 13) >= 0.45


@pytest.mark.parametrize("polite", [True, False])
@pytest.mark.parametrize("seed", SEEDS)
def test_after_a_slow_time_it_recovers_within_ten_seconds(seed: int, polite: bool) -> None:
    """Twenty times slower for two seconds, at seven tenths of what it could answer, with everybody coming again."""
    server = Server(seed, polite=polite, speed=lambda now: 0.05 if 1 <= now < 3 else 1.0)
    server.run(lambda _: 0.7, until=13)
    assert server.goodput(3.5, 5) >= 0.6
    assert server.goodput(11, 13) >= 0.65


def test_without_admission_it_would_never_recover() -> None:
    """What the other tests show is not owed to the simulation."""
    server = Server(1, polite=False, admission=False)
    server.run(burst, until=13)
    assert server.goodput(2, 3) < 0.1
    assert server.goodput(11, 13) < 0.1


@pytest.mark.parametrize("seed", SEEDS)
def test_a_server_that_became_slower_for_good_answers_what_it_still_can(seed: int) -> None:
    """Its largest groups now take longer than the deadline: they have to become smaller."""
    server = Server(seed, polite=False, speed=lambda now: 0.2 if now >= 3 else 1.0)
    server.run(lambda _: 2.0, until=9)
    assert server.goodput(1, 3) >= 0.9
    assert server.goodput(5, 9) >= 0.2 * 0.7


acts = st.lists(
    st.tuples(
        st.sampled_from(["admit", "admit", "serve", "leave"]),
        st.integers(0, 50),
        st.floats(1e-6, 100.0),
        st.booleans(),
    ),
    max_size=80,
)


def refusal(line: Admission, rows: int, seconds: float) -> Overloaded | None:
    try:
        line.admit(rows, 0.0, deadline=seconds)
    except Overloaded as error:
        return error
    return None


@given(acts=acts, most=st.integers(1, 200))
def test_the_line_is_bounded_counted_and_never_closed_for_good(
    acts: list[tuple[str, int, float, bool]], most: int
) -> None:
    line = Admission("x", most_rows=most)
    inside = 0
    for act, rows, seconds, late in acts:
        if act == "admit":
            refused = refusal(line, rows, seconds)
            assert refused is None or (inside or rows > most)
            assert refused is None or (refused.retryable and 1 <= refused.after_s <= LONGEST_S)
            inside += 0 if refused else rows
        elif act == "serve":
            line.served(min(rows, inside), seconds=seconds, late=late)
            inside -= min(rows, inside)
        else:
            line.left(min(rows, inside), late=late)
            inside -= min(rows, inside)
        assert line.rows == inside <= most
        assert line.rate >= 0
        line.admit(0, 1e9, deadline=0.0)
    line.left(inside, late=True)
    line.admit(1, 5.0, deadline=5.0)


@given(rate=st.integers(1, 10_000), waiting=st.integers(1, 1000), left=st.floats(0.01, 10.0))
def test_it_is_refused_when_it_would_wait_longer_than_it_can(rate: int, waiting: int, left: float) -> None:
    line = Admission("x", most_rows=10**6)
    line.admit(1, 0.0, deadline=1.0)
    line.served(1, seconds=1 / rate)
    for _ in range(waiting):
        line.rows += 1
    wait = (waiting + 1) / rate
    if wait > left:
        with pytest.raises(Overloaded, match="in time") as refused:
            line.admit(1, 100.0, deadline=100.0 + left)
        assert refused.value.after_s == min(max(1, -int(-(wait - left) // 1)), LONGEST_S)
    elif wait < 0.8 * left:
        line.admit(1, 100.0, deadline=100.0 + left)


def test_a_full_line_says_how_full_it_is() -> None:
    line = Admission("flights", most_rows=10)
    line.admit(8, 0.0, deadline=1.0)
    with pytest.raises(Overloaded, match="flights has more to answer") as refused:
        line.admit(3, 0.0, deadline=1.0)
    assert (refused.value.got, refused.value.allowed) == ("3 more rows, 8 are waiting", "10")
    with pytest.raises(Overloaded):
        Admission("flights", most_rows=10).admit(11, 0.0, deadline=1.0)
