"""One process that is kept running: when it is started again, when it is hung, when it is given up."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from kring.errors import KringError, NoRoom, Unavailable
from kring.host.child import Child, start
from kring.host.lifeline import Report
from kring.ports.page import Seat, Vitals

MEGABYTE: Final = 1 << 20


@dataclass(frozen=True)
class Spec:
    """One process to keep. `env` stands beside this process's own variables.

    What is `essential` ends the server when it can't be started or, if it is not to `restart`, when it ends. It has
    `stop_grace` seconds to end when asked. A data worker has a `seat` on the page, and is replaced when it holds more
    than `memory_mb` (0: as much as it likes). What has a `niceness` gives way to the others on a busy machine.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    restart: bool = True
    essential: bool = True
    stop_grace: float = 15.0
    seat: int | None = None
    memory_mb: int = 0
    niceness: int = 0


@dataclass(frozen=True)
class Patience:
    """How long what may take; all in seconds but `tries`.

    A worker that was ready is killed without a heartbeat for `heartbeat`, any worker when its work goes on for
    `overrun` after its deadline: 50 ms in which it should have stopped by itself, the rest for a machine that is busy.
    A process may take `start` to be ready; `tries` starts in a row that end alike are enough to give up one that never
    was. The second restart in a row waits `first_wait`, then twice as long up to `longest_wait`; whoever was ready for
    `stable` begins anew. A stopping server waits `drain` at most for what is under way, and `settle` at least, so that
    all have heard of it. All of it is looked at every `tick`, or every `calm` while nothing is under way.
    """

    heartbeat: float = 10.0
    overrun: float = 0.5
    start: float = 60.0
    tries: int = 3
    first_wait: float = 0.1
    longest_wait: float = 10.0
    stable: float = 30.0
    drain: float = 20.0
    settle: float = 0.25
    tick: float = 0.025
    calm: float = 0.1


class Kept:
    """One process, and what became of those before it.

    It `was_ready` once, if it ever was. While the server `is_stopping` it is not started again; `was_killed` says that
    it had to be then.
    """

    def __init__(self, spec: Spec, seat: Seat | None, *, say: Callable[[str], None], patience: Patience) -> None:
        self.spec = spec
        self.seat = seat
        self.child: Child | None = None
        self.is_ready = False
        self.is_stopping = False
        self.was_killed = False
        self._say = say
        self._patience = patience
        self._since = self._due = self._told_to_end = self._forgiven = 0.0
        self.was_ready = self._is_done = False
        self._failures = self._alike = 0
        self._overran = 0.0
        self._killed_for = self._last = ""
        self._report = Report()

    def keep(self, now: float) -> KringError | None:
        """Start it when it is due, end it when it is hung. Returns why the whole server can't go on."""
        if self.child is None:
            return None if self._is_done or self.is_stopping or now < self._due else self._start(now)
        code = self.child.poll()
        self._listen(now)
        if code is not None:
            return self._ended(how_it_ended(code, self._report, killed_for=self._killed_for), now)
        self._watch(now)
        return None

    def forgive(self, now: float) -> None:
        """This process itself was held up: time counts for nobody before `now`."""
        self._overran, self._forgiven = 0.0, now

    def ask_to_end(self, now: float) -> None:
        """SIGTERM; it is killed when it takes longer than its grace."""
        self.is_stopping = True
        if self.child is not None and not self._told_to_end:
            self._told_to_end = now
            self.child.terminate()

    def has_ended(self, now: float) -> bool:
        """Whether it is over, while the server stops; kills it when its grace is."""
        if self.child is None:
            return True
        if self.child.poll() is None and self._told_to_end and now - self._told_to_end > self.spec.stop_grace:
            self.kill("it did not end within its grace")
        if self.child.poll() is None:
            return False
        self.close()
        return True

    def kill(self, why: str) -> None:
        """Now, with all of its group."""
        if self.child is not None and not self._killed_for:
            self._killed_for = why
            self.was_killed = self.is_stopping
            self.child.kill()
            self._say(f"{self.spec.name} is killed: {why}")

    @property
    def is_settled(self) -> bool:
        """Whether it runs as it should, or is not to run again: then it need not be looked at so often."""
        return self._is_done or (self.is_ready and not (self._told_to_end or self._overran))

    @property
    def in_flight(self) -> int:
        """Requests that it has taken and not answered, as it said last."""
        return self.seat.vitals().in_flight if self.seat is not None and self.child is not None else 0

    def heard_since(self, moment: float) -> bool:
        """Whether what its seat says was said after `moment`."""
        return self.seat is None or self.child is None or self.seat.vitals().heartbeat > moment

    def _start(self, now: float) -> KringError | None:
        self._since, self.is_ready, self._told_to_end, self._overran = now, False, 0.0, 0.0
        self._killed_for, self._report = "", Report()
        if self.seat is not None:
            self.seat.clear()
        try:
            self.child = start(self.spec.argv, env=self.spec.env, niceness=self.spec.niceness)
        except Unavailable as error:
            self._report = Report(code=error.code, message=error.message, got=error.got, next=error.next)
            return self._ended(f"{error.message}: {error.got}", now)
        return None

    def _listen(self, now: float) -> None:
        for report in self.child.reports() if self.child is not None else ():
            if not report.ready:
                self._report = report
            elif not self.is_ready:
                self.is_ready = self.was_ready = True
                self._since = now
                self._say(f"{self.spec.name} is ready")

    def _watch(self, now: float) -> None:
        patience = self._patience
        if self._told_to_end:
            if now - self._told_to_end > self.spec.stop_grace:
                self.kill("it did not end within its grace")
        elif not self.is_ready and now - max(self._since, self._forgiven) > patience.start:
            self.kill(f"it was not ready after {patience.start:g} s")
        elif self.seat is not None and self.child is not None:
            vitals = self.seat.vitals()
            if vitals.pid == self.child.pid:
                self._examine(vitals, now)

    def _examine(self, vitals: Vitals, now: float) -> None:
        """An overrun must be seen twice: a machine that stood still goes on with the worker too."""
        patience, limit = self._patience, self.spec.memory_mb
        forgiven = self._forgiven
        seen = self._overran
        overruns = vitals.deadline and now > max(vitals.deadline, forgiven) + patience.overrun
        self._overran = vitals.deadline if overruns else 0.0
        if overruns:
            if seen == vitals.deadline:
                self.kill(f"its work overran its deadline by {(now - vitals.deadline) * 1000:.0f} ms")
        elif self.is_ready and now - max(vitals.heartbeat, self._since, forgiven) > patience.heartbeat:
            self.kill(f"it gave no sign of life for {now - max(vitals.heartbeat, self._since):.1f} s")
        elif limit and vitals.rss > limit * MEGABYTE and self.child is not None:
            self._say(f"{self.spec.name} is replaced: it holds {vitals.rss // MEGABYTE} MB, allowed are {limit}")
            self._told_to_end = now
            self.child.terminate()

    def _ended(self, why: str, now: float) -> KringError | None:
        """It is over: when the next one comes, or why there is none."""
        spec, patience, was_ready = self.spec, self._patience, self.is_ready
        self.close()
        if self.is_stopping:
            self._say(f"{spec.name} ended: {why}")
            return None
        if not spec.restart:
            self._is_done = True
            return given_up(f"{spec.name} ended: {why}", self._report, why) if spec.essential else None
        self._alike = 0 if was_ready else self._alike + 1 if why == self._last else 1
        self._last = why
        self._failures = 1 if was_ready and now - self._since >= patience.stable else self._failures + 1
        passes = self._report.code == NoRoom.code
        if self._alike >= patience.tries and spec.essential and not (self.was_ready or passes):
            return given_up(f"{spec.name} can't be started: {self._report.message or why}", self._report, why)
        doublings = min(self._failures - 2, 30)
        wait = min(patience.first_wait * 2.0**doublings, patience.longest_wait) if doublings >= 0 else 0.0
        self._due = now + wait
        when = f"in {wait:.1f} s" if wait else "at once"
        self._say(f"{spec.name} ended{'' if was_ready else ' before it was ready'}: {why}; it is started again {when}")
        return None

    def close(self) -> None:
        """Whatever it left behind goes with it, its place on the page too. Closing twice is allowed."""
        if self.child is not None:
            self.child.close()
            self.child = None
        self.is_ready = False
        if self.seat is not None:
            self.seat.clear()


def how_it_ended(code: int, report: Report, *, killed_for: str) -> str:
    """In its own words, else why it was killed, else by its exit code or signal."""
    if report.message:
        return f"{report.message}: {report.got}" if report.got else report.message
    if killed_for:
        return killed_for
    return f"exit code {code}" if code >= 0 else f"ended by {signal.Signals(-code).name}"


def given_up(message: str, report: Report, why: str) -> KringError:
    """Why the whole server can't go on: what the process said of itself, else how it ended."""
    return Unavailable(
        message,
        got=report.got or why,
        allowed=report.allowed,
        next=report.next or "look at what it printed before, and start the server again",
    )
