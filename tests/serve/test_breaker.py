"""The breaker against a plain model of it, between threads, and around runtimes that fail in every way."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.errors import Unavailable
from kring.record.batch import Batch
from kring.serve.breaker import Breaker, BreakerRuntime, Tolerance

SMALL = Tolerance(in_a_row=3, share=0.5, over=8, first_s=1.0, longest_s=4.0)


@dataclass
class Time:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Model:
    """What the page says, written down plainly: a list of results and the moment until which it is open."""

    tolerance: Tolerance
    results: list[bool] = field(default_factory=list)
    until: float = -1.0
    wait: float = 0.0
    probing: bool = False

    def may(self, now: float) -> bool:
        return self.until < 0 or (not self.probing and now >= self.until)

    def call(self, now: float, *, fine: bool) -> None:
        rule = self.tolerance
        if self.until >= 0 and fine:
            self.until, self.wait, self.results = -1.0, 0.0, []
            return
        self.results = [*self.results, fine][-rule.over :]
        row = self.results[-rule.in_a_row :]
        tripped = (len(row) == rule.in_a_row and not any(row)) or self.results.count(False) >= rule.share * rule.over
        if self.until >= 0 or tripped:
            self.wait = min(self.wait * 2 or rule.first_s, rule.longest_s)
            self.until, self.results = now + self.wait, []


steps = st.lists(st.tuples(st.sampled_from([0.0, 0.0, 0.0, 0.5, 1.0, 5.0]), st.booleans()), max_size=120)


@given(steps=steps)
def test_it_is_what_its_model_is(steps: list[tuple[float, bool]]) -> None:
    time, model = Time(), Model(SMALL)
    breaker = Breaker(time, tolerance=SMALL)
    for passed, fine in steps:
        time.now += passed
        entered = breaker.enter()
        assert (entered is not None) == model.may(time.now)
        if entered is None:
            continue
        model.call(time.now, fine=fine)
        if fine:
            breaker.succeeded(entered)
        else:
            breaker.failed(entered, "it fails")
        assert (breaker.state == "open") == (model.until >= 0)
        assert breaker.rest_s() == pytest.approx(max(0.0, model.until - time.now))


@given(
    acts=st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from(["fine", "fails", "left", "wait"])), min_size=10, max_size=200
    )
)
def test_calls_that_overlap_never_make_two_probes(acts: list[tuple[int, str]]) -> None:
    """Six callers enter and report in any order; while half-open, only one pass of that time is about."""
    time = Time()
    breaker = Breaker(time, tolerance=SMALL)
    held: dict[int, int] = {}
    probe: int | None = None
    for caller, act in acts:
        if act == "wait":
            time.now += 0.5
        elif caller not in held:
            before = breaker.state
            entered = breaker.enter()
            if entered is None:
                assert before != "closed"
                continue
            held[caller] = entered
            if before != "closed":
                assert probe is None
                assert breaker.state == "half-open"
                probe = caller
        else:
            entered = held.pop(caller)
            before = breaker.state
            if act == "fails":
                breaker.failed(entered, "it fails")
            else:
                (breaker.succeeded if act == "fine" else breaker.left)(entered)
            if caller == probe:
                assert before == "half-open"
                assert breaker.state == ("closed" if act == "fine" else "open")
                probe = None
            elif before != "closed":
                assert breaker.state == before, "a call of an earlier time decided"


def tripped(time: Time) -> Breaker:
    breaker = Breaker(time, tolerance=SMALL)
    for _ in range(3):
        entered = breaker.enter()
        assert entered is not None
        breaker.failed(entered, "it fails")
    assert breaker.state == "open"
    return breaker


def test_of_many_threads_one_makes_the_probe() -> None:
    for _ in range(50):
        time = Time()
        breaker = tripped(time)
        time.now += 1.0
        assert sum(each is not None for each in at_once(breaker, 8)) == 1


def at_once(breaker: Breaker, callers: int) -> list[int | None]:
    gate = threading.Barrier(callers)

    def enter(_: int) -> int | None:
        gate.wait()
        return breaker.enter()

    with ThreadPoolExecutor(callers) as pool:
        return list(pool.map(enter, range(callers)))


def test_the_back_off_doubles_to_its_longest_and_begins_anew_after_an_answer() -> None:
    time = Time()
    breaker = tripped(time)
    waits = []
    for _ in range(5):
        waits.append(breaker.rest_s())
        time.now += breaker.rest_s()
        probe = breaker.enter()
        assert probe is not None
        breaker.failed(probe, "it fails")
    assert waits == [1.0, 2.0, 4.0, 4.0, 4.0]
    time.now += 4.0
    probe = breaker.enter()
    assert probe is not None
    breaker.succeeded(probe)
    assert breaker.state == "closed"
    again = breaker.enter()
    assert again is not None
    for _ in range(3):
        breaker.failed(again, "it fails")
    assert breaker.rest_s() == 1.0
    assert breaker.opened == 7


def test_a_share_of_failures_opens_it_though_no_three_come_in_a_row() -> None:
    breaker = Breaker(Time(), tolerance=SMALL)
    for number in range(7):
        assert breaker.state == "closed"
        entered = breaker.enter()
        assert entered is not None
        if number % 2:
            breaker.succeeded(entered)
        else:
            breaker.failed(entered, "every other one fails")
    assert breaker.state == "open"


@dataclass
class Scripted:
    """Raises or answers what it is told."""

    says: object
    calls: int = 0

    def answer(self, batch: Batch) -> Batch:
        self.calls += 1
        if isinstance(self.says, BaseException):
            raise self.says
        return Batch(batch.n, {"value": self.says if batch.n else np.zeros(0)})  # type: ignore[dict-item]  # a column

    def close(self) -> None:
        self.calls = -1


ROWS = Batch(2, {"x": np.zeros(2)})


@pytest.mark.parametrize(
    "says",
    [
        Unavailable("the model failed"),
        RecursionError("too deep"),
        MemoryError(),
        ValueError("a fault of ours"),
    ],
    ids=lambda says: f"{type(says).__name__} {says}"[:40],
)
def test_what_fails_opens_it_and_is_not_asked_again(says: BaseException) -> None:
    time = Time()
    inner = Scripted(says)
    runtime = BreakerRuntime(inner, Breaker(time, tolerance=SMALL))
    for _ in range(3):
        with pytest.raises(type(says)):
            runtime.answer(ROWS)
    with pytest.raises(Unavailable, match="left alone after failing") as refused:
        runtime.answer(ROWS)
    assert inner.calls == 3
    assert "1.0 s" in refused.value.next
    known = says.message if isinstance(says, Unavailable) else type(says).__name__
    assert refused.value.message == f"left alone after failing: {known}", "a fault's own words may hold a row's value"
    inner.says = np.ones(2)
    time.now += 1.0
    runtime.answer(ROWS)
    assert runtime.breaker.state == "closed"


@pytest.mark.parametrize(
    "says",
    [
        np.array([np.nan, 1.0]),
        np.array([0.0, np.nan]),
        np.array([[np.nan] * 3, [0.2, 0.3, 0.5]]),
        [None, 0],
        ["", None],
        np.array([None, "yes"], dtype=object),
    ],
    ids=str,
)
def test_one_row_with_an_answer_is_no_failure(says: object) -> None:
    runtime = BreakerRuntime(Scripted(says), Breaker(Time(), tolerance=SMALL))
    for _ in range(20):
        runtime.answer(ROWS)
    assert runtime.breaker.state == "closed"


@pytest.mark.parametrize(
    "says",
    [
        np.full(2, np.nan),
        np.full((2, 3), np.nan),
        [None, None],
        [float("nan"), None],
        np.array([None, None], dtype=object),
    ],
    ids=lambda says: f"{type(says).__name__} {says}"[:40],
)
def test_rows_without_an_answer_close_a_version_for_nobody(says: object) -> None:
    inner = Scripted(says)
    runtime = BreakerRuntime(inner, Breaker(Time(), tolerance=SMALL))
    for _ in range(20):
        runtime.answer(ROWS)
    assert runtime.breaker.state == "closed"
    assert inner.calls == 20


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_a_probe_that_is_broken_off_is_made_again(stop: type[BaseException]) -> None:
    time = Time()
    inner = Scripted(Unavailable("the model failed"))
    runtime = BreakerRuntime(inner, Breaker(time, tolerance=SMALL))
    for _ in range(3):
        with pytest.raises(Unavailable):
            runtime.answer(ROWS)
    time.now += 1.0
    inner.says = stop()
    with pytest.raises(stop):
        runtime.answer(ROWS)
    inner.says = np.ones(2)
    runtime.answer(Batch(0, {"x": np.zeros(0)}))
    assert runtime.breaker.state == "open", "no rows, no proof"
    runtime.answer(ROWS)
    assert runtime.breaker.state == "closed"


def test_it_closes_what_it_wraps() -> None:
    inner = Scripted(np.ones(2))
    BreakerRuntime(inner, Breaker(Time())).close()
    assert inner.calls == -1
