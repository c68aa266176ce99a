"""Deadlines kept by a thread, on graphs that never end by themselves and on blocks that end at any moment."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from looping import LOOPING, looping

from kring.errors import Late, Unavailable
from kring.ports.runtime import Runtime, Stoppable
from kring.record.batch import Batch
from kring.record.version import Chain, Policy
from kring.runtimes.chain import open_chain
from kring.runtimes.onnx import OnnxRuntime, open_onnx
from kring.serve.breaker import Breaker, BreakerRuntime, Tolerance
from kring.serve.deadline import DeadlineRuntime, Watchdog
from kring.testing.runtime import RuntimeConformance

SOON = 20.0
"""Seconds within which a test machine, however busy, has done what takes milliseconds."""

ROW = Batch(1, {"x": np.array([-2.0], dtype=np.float32)})


@pytest.fixture
def watchdog() -> Iterator[Watchdog]:
    watchdog = Watchdog(time.monotonic)
    yield watchdog
    watchdog.close()
    watchdog.close()


def endless() -> OnnxRuntime:
    return open_onnx(looping(), LOOPING, output="value")


def test_a_run_that_goes_on_is_stopped_and_the_next_is_not(watchdog: Watchdog) -> None:
    runtime = DeadlineRuntime(endless(), watchdog, seconds=0.05)
    for _ in range(3):
        began = time.monotonic()
        with pytest.raises(Late, match="stopped at its deadline"):
            runtime.answer(ROW)
        assert 0.045 < time.monotonic() - began < SOON
    assert runtime.trips == 3
    quick = open_onnx(looping(3), LOOPING, output="value")
    quick.stop(threading.get_ident())
    assert list(quick.answer(ROW).columns["value"]) == [2.0], "a stop before the answer began is not its own"


def test_a_whole_chain_is_stopped(watchdog: Watchdog) -> None:
    chain = Chain(candidate="endless", links=(LOOPING,), policy=Policy(output="value"))
    runtime = DeadlineRuntime(open_chain(chain, {LOOPING.file: looping()}), watchdog, seconds=0.03)
    with pytest.raises(Late):
        runtime.answer(ROW)


def test_one_thread_is_stopped_and_others_of_the_same_session_are_not(watchdog: Watchdog) -> None:
    """Three threads in one session: the impatient one is stopped again and again while two go on."""
    onnx = open_onnx(looping(40_000), LOOPING, output="value")
    patient = DeadlineRuntime(onnx, watchdog, seconds=600.0)
    hasty = DeadlineRuntime(onnx, watchdog, seconds=0.002)
    with ThreadPoolExecutor(2) as pool:
        going = [pool.submit(patient.answer, ROW) for _ in range(6)]
        while not all(each.done() for each in going):
            with pytest.raises(Late):
                hasty.answer(ROW)
    assert [list(each.result().columns["value"]) for each in going] == [[2.0]] * 6
    assert patient.trips == 0
    assert hasty.trips > 0


def test_the_breaker_spares_callers_the_wait(watchdog: Watchdog) -> None:
    within = DeadlineRuntime(endless(), watchdog, seconds=0.02)
    runtime = BreakerRuntime(within, Breaker(time.monotonic, tolerance=Tolerance(in_a_row=2, first_s=600.0)))
    for _ in range(10):
        with pytest.raises(Unavailable):
            runtime.answer(ROW)
    assert within.trips == 2


@dataclass
class Slow:
    """Python that can't be stopped, as a rule is."""

    seconds: float

    def answer(self, batch: Batch) -> Batch:
        time.sleep(self.seconds)
        return batch

    def close(self) -> None:
        """Nothing is held."""


def test_what_cannot_be_stopped_is_late_when_it_comes(watchdog: Watchdog) -> None:
    runtime = DeadlineRuntime(Slow(0.06), watchdog, seconds=0.02)
    with pytest.raises(Late, match="after its deadline"):
        runtime.answer(ROW)
    assert runtime.trips == 1
    assert DeadlineRuntime(Slow(0.0), watchdog, seconds=30.0).answer(ROW) is ROW
    runtimes: list[Runtime] = [runtime, endless()]
    assert all(isinstance(each, Stoppable) for each in runtimes)
    assert not isinstance(Slow(0.0), Stoppable)


def test_work_that_ends_at_its_deadline_is_never_stopped_afterwards(watchdog: Watchdog) -> None:
    """Four threads whose blocks end about when they are due: a stop that comes after the end would be seen."""

    def many(seed: int) -> int:
        chance = random.Random(seed)
        stops = 0
        for _ in range(60):
            over = threading.Event()
            wrong: list[str] = []

            def stop(over: threading.Event = over, wrong: list[str] = wrong) -> None:
                if over.is_set():
                    wrong.append("stopped after its end")

            with watchdog.within(0.012, stop=stop) as watched:
                time.sleep(chance.uniform(0.006, 0.018))
            over.set()
            stops += watched.stopped
            assert not wrong
        return stops

    with ThreadPoolExecutor(4) as pool:
        stops = sum(pool.map(many, range(4)))
    assert stops > 0, "no block came near its deadline"


def test_a_block_that_goes_on_is_stopped_again(watchdog: Watchdog) -> None:
    stops = threading.Semaphore(0)
    with watchdog.within(0.01, stop=stops.release):
        for _ in range(3):
            assert stops.acquire(timeout=SOON)


def test_what_stop_raises_harms_nobody(watchdog: Watchdog) -> None:
    def fails() -> None:
        raise RuntimeError("it can't be stopped")

    stopped = threading.Event()
    with watchdog.within(0.01, stop=fails), watchdog.within(0.02, stop=stopped.set):
        assert stopped.wait(SOON)


@pytest.mark.parametrize("seconds", [0.0, -1.0, 0.001])
def test_no_time_at_all_is_over_at_once(watchdog: Watchdog, seconds: float) -> None:
    stopped = threading.Event()
    with watchdog.within(seconds, stop=stopped.set):
        assert stopped.wait(SOON)


def test_a_short_deadline_wakes_a_thread_that_sleeps_for_long(watchdog: Watchdog) -> None:
    """After long idleness, and while something with a long deadline is under way."""
    stopped = threading.Event()
    with watchdog.within(3600.0, stop=lambda: None), watchdog.within(0.05, stop=stopped.set):
        began = time.monotonic()
        assert stopped.wait(SOON)
        assert time.monotonic() - began >= 0.04


def test_calls_do_not_wake_the_thread(watchdog: Watchdog) -> None:
    before, began = watchdog.wakes, time.monotonic()
    for _ in range(20_000):
        with watchdog.within(0.5, stop=lambda: None):
            pass
    assert watchdog.wakes - before <= 4 + (time.monotonic() - began) / 0.1


@dataclass
class Published:
    """What the page would say."""

    shown: list[tuple[float, float]] = field(default_factory=list)

    def __call__(self, began: float, deadline: float) -> None:
        self.shown.append((began, deadline))


@given(acts=st.lists(st.tuples(st.integers(0, 4), st.floats(1.0, 1000.0)), max_size=60))
def test_the_work_that_is_due_first_is_published(acts: list[tuple[int, float]]) -> None:
    now = [0.0]

    def monotonic() -> float:
        return now[0]

    published = Published()
    watchdog = Watchdog(monotonic, publish=published)
    under_way: dict[int, tuple[Callable[..., object], tuple[float, float]]] = {}
    try:
        for who, seconds in acts:
            now[0] += 0.001
            if who in under_way:
                under_way.pop(who)[0](None, None, None)
            else:
                work = watchdog.within(seconds, stop=lambda: None)
                work.__enter__()
                under_way[who] = (work.__exit__, (work.began, work.deadline))
            due = sorted((deadline, began) for _, (began, deadline) in under_way.values())
            deadline, began = due[0] if due else (0.0, 0.0)
            assert published.shown[-1] == (began, deadline)
    finally:
        watchdog.close()


def test_threads_leave_nothing_published_that_is_over() -> None:
    """Blocks of four threads overlap as they like; when all are over, none is said to be under way."""
    published = Published()
    watchdog = Watchdog(time.monotonic, publish=published)

    def many(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(200):
            with watchdog.within(chance.uniform(0.5, 5.0), stop=lambda: None):
                time.sleep(0)

    for round_ in range(5):
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(many, range(4 * round_, 4 * round_ + 4)))
        assert published.shown[-1] == (0.0, 0.0)
    watchdog.close()


class TestGuarded(RuntimeConformance):
    """Behind a deadline and a breaker, as a worker has them, a runtime is still a runtime."""

    output = "value"

    @pytest.fixture(autouse=True)
    def _watched(self, watchdog: Watchdog) -> None:
        self.watchdog = watchdog

    def runtime(self) -> Runtime:
        quick = open_onnx(looping(3), LOOPING, output="value")
        return BreakerRuntime(DeadlineRuntime(quick, self.watchdog, seconds=600.0), Breaker(time.monotonic))

    def batch(self) -> Batch:
        return Batch(9, {"x": np.arange(9, dtype=np.float32)})
