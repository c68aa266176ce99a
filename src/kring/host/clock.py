"""The machine's clock, and one that stands still until it is told to move."""

from __future__ import annotations

import time


class SystemClock:
    def now(self) -> int:
        return time.time_ns() // 1000

    monotonic = staticmethod(time.monotonic)


class SimulatedClock:
    """Stands at `start` (microseconds UTC) until `advance` moves it. It never goes back."""

    def __init__(self, start: int) -> None:
        self._start = start
        self._now = start

    def now(self) -> int:
        return self._now

    def monotonic(self) -> float:
        return (self._now - self._start) / 1e6

    def advance(self, to: int) -> None:
        if to < self._now:
            raise ValueError(f"a simulated clock at {self._now} can't go back to {to}")
        self._now = to


def stopwatch() -> float:
    """Seconds for measuring how long work takes on this machine: never simulated."""
    return time.perf_counter()
