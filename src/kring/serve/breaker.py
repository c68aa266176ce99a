"""The circuit breaker of one version: who fails again and again is left alone for a while.

closed → open: so many failures in a row, or too large a share of the last calls.
open → half-open: the back-off is over, and one call is let through as a probe.
half-open → closed when the probe is answered; else open again, for twice as long.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from math import isnan
from typing import Literal

import numpy as np

from kring.errors import KringError, Unavailable
from kring.ports.runtime import Runtime
from kring.record.batch import Batch, Column

State = Literal["closed", "open", "half-open"]


@dataclass(frozen=True)
class Tolerance:
    """How much a version may fail, counted in calls whatever number of rows they have.

    It is left alone after `in_a_row` failures, or when `share` of the last `over` calls failed; a call that was not
    made yet counts as a good one. First for `first_s` seconds, then for twice as long each time up to `longest_s`.
    """

    in_a_row: int = 5
    share: float = 0.5
    over: int = 50
    first_s: float = 1.0
    longest_s: float = 60.0


class Breaker:
    """Counts what came of calls. Every call asks `enter` and reports with the pass it was given, from any thread."""

    def __init__(self, monotonic: Callable[[], float], *, tolerance: Tolerance | None = None) -> None:
        self._monotonic = monotonic
        self._tolerance = tolerance or Tolerance()
        self._window = (1 << self._tolerance.over) - 1
        self._most = max(1.0, self._tolerance.share * self._tolerance.over)
        self._lock = threading.Lock()
        self._epoch = 0
        self._recent = 0
        self._row = 0
        self._until = 0.0
        self._turns = 0
        self._state: State = "closed"
        self.reason = ""
        self.opened = 0

    @property
    def state(self) -> State:
        """`half-open` while its one probe is under way."""
        return self._state

    def enter(self) -> int | None:
        """A pass for one call, or None: not now. After the back-off exactly one call gets a pass, and no other one
        until it has reported."""
        if self._state == "closed":
            return self._epoch
        with self._lock:
            if self.state == "closed":
                return self._epoch
            if self._state == "half-open" or self._monotonic() < self._until:
                return None
            return self._turn("half-open")

    def succeeded(self, entered: int) -> None:
        """The call was answered. Reports of calls that began before the last change of state count for nothing."""
        if not self._recent and entered == self._epoch and self._state == "closed":
            return
        with self._lock:
            if entered != self._epoch:
                return
            if self._state == "half-open":
                self._turns = 0
                self._turn("closed")
            self._row = 0
            self._recent = self._recent << 1 & self._window

    def failed(self, entered: int, reason: str) -> None:
        """The call was not answered, because of `reason`."""
        with self._lock:
            if entered != self._epoch:
                return
            self.reason = reason
            self._row += 1
            self._recent = (self._recent << 1 | 1) & self._window
            too_many = self._row >= self._tolerance.in_a_row or self._recent.bit_count() >= self._most
            if self._state == "half-open" or too_many:
                wait = min(self._tolerance.first_s * 2.0**self._turns, self._tolerance.longest_s)
                self._turns = min(self._turns + 1, 64)
                self._until = self._monotonic() + wait
                self.opened += 1
                self._turn("open")

    def left(self, entered: int) -> None:
        """The call ended without saying anything about the version: a probe that did so may be made again at once."""
        with self._lock:
            if entered == self._epoch and self._state == "half-open":
                self._turn("open")

    def rest_s(self) -> float:
        """Seconds until it may be tried again, 0 when it may be now."""
        return max(0.0, self._until - self._monotonic()) if self._state == "open" else 0.0

    def _turn(self, state: State) -> int:
        self._epoch += 1
        self._recent = self._row = 0
        self._state = state
        return self._epoch


class BreakerRuntime:
    """A runtime behind its breaker. Failing counts against it. Rows without an answer do not: they may be the fault of
    what was asked, and nobody's questions are to close a version for all others."""

    def __init__(self, runtime: Runtime, breaker: Breaker) -> None:
        self._runtime = runtime
        self.breaker = breaker

    def answer(self, batch: Batch) -> Batch:
        """What the runtime answers. `Unavailable` at once while the breaker is open."""
        breaker = self.breaker
        entered = breaker.enter()
        if entered is None:
            raise Unavailable(
                f"left alone after failing: {breaker.reason}", next=f"asked again in {breaker.rest_s():.1f} s"
            )
        try:
            outputs = self._runtime.answer(batch)
        except Exception as error:  # the model boundary: whatever it raised, it gave no answer
            breaker.failed(entered, error.message if isinstance(error, KringError) else type(error).__name__)
            raise
        except BaseException:
            breaker.left(entered)
            raise
        if batch.n and any(map(_says_something, outputs.columns.values())):
            breaker.succeeded(entered)
        else:
            breaker.left(entered)
        return outputs

    def close(self) -> None:
        self._runtime.close()


def _says_something(column: Column) -> bool:
    """Whether a row of the column has a value. The first one nearly always has, so it is looked at first."""
    if isinstance(column, np.ndarray) and column.dtype.kind == "f":
        return not isnan(column.item(0)) or not bool(np.isnan(column).all())
    return any(value is not None and not (isinstance(value, float) and isnan(value)) for value in column)
