"""Clocks and sources of chance: conformance, and what simulation promises."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from kring.host.clock import SimulatedClock, SystemClock
from kring.host.random import SeededRandom, SystemRandom
from kring.ports.clock import Clock
from kring.ports.random import Random
from kring.testing.clock import YEAR_2020_US, ClockSuite
from kring.testing.random import RandomSuite


class TestSystemClock(ClockSuite):
    def make(self) -> Clock:
        return SystemClock()

    def pass_time(self, clock: Clock) -> None:
        time.sleep(0.002)


class TestSimulatedClock(ClockSuite):
    def make(self) -> SimulatedClock:
        return SimulatedClock(YEAR_2020_US + 1)

    def pass_time(self, clock: Clock) -> None:
        assert isinstance(clock, SimulatedClock)
        clock.advance(clock.now() + 1000)


class TestSystemRandom(RandomSuite):
    def make(self) -> Random:
        return SystemRandom()


class TestSeededRandom(RandomSuite):
    def make(self) -> Random:
        return SeededRandom(1)


def test_a_simulated_clock_stands_still() -> None:
    clock = SimulatedClock(5_000_000)
    assert clock.now() == clock.now() == 5_000_000
    assert clock.monotonic() == 0.0
    clock.advance(5_000_000)
    clock.advance(8_500_000)
    assert (clock.now(), clock.monotonic()) == (8_500_000, 3.5)
    with pytest.raises(ValueError, match="can't go back"):
        clock.advance(8_499_999)


def test_a_seed_gives_the_same_bytes_in_every_process() -> None:
    program = (
        "from kring.host.random import SeededRandom; r = SeededRandom(42); print(r.bytes(5).hex(), r.bytes(70).hex())"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program], capture_output=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    random = SeededRandom(42)
    assert outputs == {f"{random.bytes(5).hex()} {random.bytes(70).hex()}\n".encode()}
    assert SeededRandom(43).bytes(16) != SeededRandom(42).bytes(16)


def test_the_system_gives_other_bytes_each_time() -> None:
    assert SystemRandom().bytes(16) != SystemRandom().bytes(16)
