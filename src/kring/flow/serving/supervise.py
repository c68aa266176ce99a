"""Keeps the processes of a server running, and stops them in order."""

from __future__ import annotations

import os
import select
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Final

from kring.errors import EXIT_COULD_NOT, EXIT_DONE, EXIT_INTERRUPTED, KringError
from kring.flow.serving.keeping import Kept, Patience, Spec
from kring.host.page import open_page
from kring.host.vitals import has_mapped, start_of
from kring.ports.page import Page

STOPS: Final = {signal.SIGTERM: EXIT_DONE, signal.SIGINT: EXIT_INTERRUPTED}
STOOD_STILL_S: Final = 0.5
"""Between two looks: then this process was held up, and what others did meanwhile is no fault of theirs."""


class Supervisor:
    """Starts what is essential, and when all of that is ready the others; runs until SIGTERM or SIGINT. Then it drains:
    it tells all on the page, waits until every request is answered, ends the data workers and after them the others. A
    second signal ends the waiting. SIGHUP has the pointers read again."""

    def __init__(
        self,
        processes: Sequence[Spec],
        page: Page,
        *,
        monotonic: Callable[[], float],
        say: Callable[[str], None],
        patience: Patience | None = None,
    ) -> None:
        self._patience = patience or Patience()
        self._kept = [
            Kept(spec, None if spec.seat is None else page.seats[spec.seat], say=say, patience=self._patience)
            for spec in processes
        ]
        self._page = page
        self._monotonic = monotonic
        self._say = say
        self._signals: list[signal.Signals] = []
        self._is_to_reload = False
        self._looked = monotonic()

    def run(self) -> int:
        """Keep all running until told to stop. Returns the exit code: 0 after SIGTERM, 130 after SIGINT, 3 when one
        had to be killed for not stopping in time. To be called in the main thread.

        Raises `Unavailable` with what an essential process said when it could not be started. However this ends, no
        process is left.
        """
        fatal: KringError | None = None
        try:
            with self._hearing() as alarm:
                while not self._signals and fatal is None:
                    fatal = self._look()
                    self._wait(alarm)
                if fatal is None:
                    self._drain(alarm)
                self._end([kept for kept in self._kept if kept.seat is not None], alarm)
                self._end(self._kept, alarm)
        finally:
            for kept in self._kept:
                kept.close()
        if fatal is not None:
            raise fatal
        if len(self._signals) == 1 and any(kept.was_killed for kept in self._kept):
            return EXIT_COULD_NOT
        return STOPS[self._signals[0]]

    def _look(self) -> KringError | None:
        now = self._monotonic()
        if now - self._looked > STOOD_STILL_S:
            for kept in self._kept:
                kept.forgive(now)
        self._looked = now
        if self._is_to_reload:
            self._is_to_reload = False
            self._page.bump("pointers")
        faults = [kept.keep(now) for kept in self._due()]
        return next((fault for fault in faults if fault is not None), None)

    def _due(self) -> Sequence[Kept]:
        """Those to look after: at first only what is essential, which need not share the machine while it starts."""
        first = [kept for kept in self._kept if kept.spec.essential]
        return self._kept if all(kept.was_ready for kept in first) else first

    def _drain(self, alarm: socket.socket) -> None:
        """Until nothing is under way in any worker, said after all had heard of it."""
        began = now = self._monotonic()
        self._page.drain()
        self._say("the server stops: what was asked is answered, nothing new is taken")
        for kept in self._kept:
            kept.is_stopping = True
        settled = began + self._patience.settle
        while now < began + self._patience.drain and len(self._signals) < 2:
            if now > settled and all(kept.heard_since(settled) and not kept.in_flight for kept in self._kept):
                return
            self._wait(alarm)
            now = self._monotonic()
            self._look()
        under_way = sum(kept.in_flight for kept in self._kept)
        self._say(f"{under_way} requests are still under way after {now - began:.1f} s; they are not waited for")

    def _end(self, those: Sequence[Kept], alarm: socket.socket) -> None:
        """All of them at once, each within its grace; at once after a second signal."""
        now = self._monotonic()
        for kept in those:
            kept.ask_to_end(now)
        while not all([kept.has_ended(self._monotonic()) for kept in those]):
            if len(self._signals) > 1:
                for kept in those:
                    kept.kill("the server is to stop at once")
            self._wait(alarm)

    def _wait(self, alarm: socket.socket) -> None:
        """Until the next look, or less when a signal comes: also when a child ends."""
        is_calm = not self._signals and all(kept.is_settled for kept in self._kept)
        if select.select([alarm], [], [], self._patience.calm if is_calm else self._patience.tick)[0]:
            with suppress(BlockingIOError):
                alarm.recv(1 << 12)

    @contextmanager
    def _hearing(self) -> Iterator[socket.socket]:
        """A socket that can be read when a signal came."""
        alarm, rings = socket.socketpair()
        alarm.setblocking(False)
        rings.setblocking(False)
        actions = {**dict.fromkeys(STOPS, self._told_to_stop), signal.SIGHUP: self._reload, signal.SIGCHLD: _heard}
        with alarm, rings:
            before = {number: signal.signal(number, action) for number, action in actions.items()}
            descriptor = signal.set_wakeup_fd(rings.fileno(), warn_on_full_buffer=False)
            try:
                yield alarm
            finally:
                signal.set_wakeup_fd(descriptor)
                for number, action in before.items():
                    signal.signal(number, action)

    def _told_to_stop(self, number: int, frame: FrameType | None) -> None:
        del frame
        self._signals.append(signal.Signals(number))

    def _reload(self, number: int, frame: FrameType | None) -> None:
        """Only notes it: a signal may come while this one is being heard, and the page has a lock."""
        del number, frame
        self._is_to_reload = True


def _heard(number: int, frame: FrameType | None) -> None:
    """Nothing more than to wake who waits."""
    del number, frame


def end_survivors(path: Path, *, say: Callable[[str], None]) -> None:
    """Kill the workers of an earlier start that still live, as the page of that start names them: one that hung when
    its supervisor was killed could not end by itself. Who has another page was started elsewhere, in a folder of which
    this one is a copy. Called before a new page is made, by who has the folder alone."""
    try:
        page = open_page(path, writer=False)
    except KringError:
        return
    for seat in page.seats:
        vitals = seat.vitals()
        is_the_same = vitals.pid and vitals.start and start_of(vitals.pid) == vitals.start
        if is_the_same and has_mapped(vitals.pid, path):
            say(f"a worker of an earlier start is killed: process {vitals.pid}")
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(vitals.pid, signal.SIGKILL)
    page.close()
