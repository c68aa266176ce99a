"""Deadlines: a thread that stops what takes too long, and a runtime that keeps its own.

The thread is not woken for a call. It sleeps until the earliest deadline, and while nothing is under way as long as
the shortest time that was asked for of late: what begins while it sleeps is due after it wakes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from math import inf
from types import TracebackType
from typing import Final

from kring.errors import Late
from kring.ports.runtime import Runtime, Stoppable
from kring.record.batch import Batch

AGAIN_S: Final = 0.010
"""What goes on after it was stopped is stopped again after this time; no deadline is kept more finely."""
LONGEST_S: Final = 1.0
"""How long the thread sleeps when nobody has asked for anything."""


class Watched:
    """One piece of work under way, from the beginning of its `with` block to the end."""

    __slots__ = ("_watchdog", "began", "deadline", "due", "seconds", "stop", "stopped")
    began: float
    deadline: float
    due: float

    def __init__(self, watchdog: Watchdog, seconds: float, stop: Callable[[], None]) -> None:
        self._watchdog = watchdog
        self.seconds = seconds
        self.stop = stop
        self.stopped = False

    def __enter__(self) -> Watched:
        self._watchdog.enter(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._watchdog.leave(self)


class Watchdog:
    """One thread that watches the work of all others in this process.

    `publish` is told when the work that has to be over first began and when it is due, and (0, 0) when there is
    none: on the control page it lets the supervisor end a process in which even this thread can't run.
    """

    def __init__(
        self, monotonic: Callable[[], float], *, publish: Callable[[float, float], None] | None = None
    ) -> None:
        self._monotonic = monotonic
        self._publish = publish
        self._working: dict[Watched, None] = {}
        self._lock = threading.Lock()
        self._alarm = threading.Event()
        self._closed = False
        self._step = LONGEST_S
        self._sees_from = inf
        self.wakes = 0
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()

    def within(self, seconds: float, *, stop: Callable[[], None]) -> Watched:
        """A block that should end within `seconds`: else `stop` is called, by the watchdog's thread, and again every
        10 ms until the block has ended. It is never called after that. What `stop` raises is lost."""
        return Watched(self, seconds, stop)

    def enter(self, work: Watched) -> None:
        """The work begins. In this order: a thread that goes to sleep meanwhile has seen it or is woken."""
        work.began = began = self._monotonic()
        work.deadline = work.due = deadline = began + work.seconds
        publish = self._publish
        with self._lock:
            if publish is not None:
                if self._working:
                    self._tell(publish, work)
                else:
                    publish(began, deadline)
            self._working[work] = None
        if work.seconds < self._step:
            self._step = max(work.seconds, AGAIN_S)
        if deadline < self._sees_from:
            self._alarm.set()

    def leave(self, work: Watched) -> None:
        """The work is over, in time or not."""
        publish = self._publish
        with self._lock:
            del self._working[work]
            if publish is not None:
                if self._working:
                    self._tell(publish)
                else:
                    publish(0.0, 0.0)

    def close(self) -> None:
        """End the thread. Closing twice is allowed."""
        self._closed = True
        self._alarm.set()
        self._thread.join()

    def _tell(self, publish: Callable[[float, float], None], *more: Watched) -> None:
        """Of several, the one that has to be over first."""
        first = min((*self._working, *more), key=lambda each: each.deadline)
        publish(first.began, first.deadline)

    def _watch(self) -> None:
        while not self._closed:
            self._alarm.clear()
            self._sees_from = inf
            self.wakes += 1
            now = self._monotonic()
            step, self._step = self._step, min(self._step * 2, LONGEST_S)
            until = min(now + step, self._stop_what_is_late(now))
            self._sees_from = until - AGAIN_S
            self._alarm.wait(max(0.0, until - now))

    def _stop_what_is_late(self, now: float) -> float:
        """When the next of those under way is due."""
        first = inf
        for work in self._working.copy():
            if work.due <= now:
                self._stop(work, now)
            first = min(first, work.due)
        return first

    def _stop(self, work: Watched, now: float) -> None:
        """Under the lock that `leave` takes: work that is over is not stopped."""
        with self._lock:
            if work not in self._working:
                return
            work.stopped = True
            work.due = now + AGAIN_S
            try:
                work.stop()
            except Exception:  # noqa: BLE001 - whatever can't be stopped: the others still can, and the supervisor sees it
                return


class DeadlineRuntime:
    """A runtime that answers within `seconds`, or not at all; `trips` counts how often it did not."""

    def __init__(self, runtime: Runtime, watchdog: Watchdog, *, seconds: float) -> None:
        self._runtime = runtime
        self._watchdog = watchdog
        self._seconds = seconds
        self._stops: dict[int, Callable[[], None]] = {}
        self.trips = 0

    def answer(self, batch: Batch) -> Batch:
        """What the runtime answers. `Late` when that took longer, also for what can't be stopped and answered after
        all: whoever asked has turned elsewhere."""
        watched = self._watchdog.within(self._seconds, stop=self._stop_of_this_thread())
        try:
            with watched:
                outputs = self._runtime.answer(batch)
        except Late:
            self.trips += 1
            raise
        if watched.stopped:
            self.trips += 1
            raise Late("it answered after its deadline", allowed=f"{self._seconds * 1000:.0f} ms")
        return outputs

    def stop(self, thread: int) -> None:
        if isinstance(self._runtime, Stoppable):
            self._runtime.stop(thread)

    def close(self) -> None:
        self._runtime.close()

    def _stop_of_this_thread(self) -> Callable[[], None]:
        thread = threading.get_ident()
        stop = self._stops.get(thread)
        if stop is None:
            stop = self._stops[thread] = partial(self.stop, thread)
        return stop
