"""What the control process writes into the decision logs: outcomes, and what other servers were asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from kring.errors import KringError, ReadOnly
from kring.flow import adapters
from kring.flow.project import Project
from kring.ports.decision_log import DecisionLog
from kring.ports.page import Page

DAY_US: Final = 86_400_000_000

Sealed = Callable[[Project, DecisionLog], DecisionLog]
"""The log as a system has to be recorded."""


def as_it_is(project: Project, log: DecisionLog) -> DecisionLog:
    """Where nothing that is personal is written."""
    del project
    return log


class OwnLogs:
    """A writer for each system, opened with the first record, which begins a segment a day: outcomes alone end none.
    May be used from any thread.

    It goes by the same rule as the data workers: once a log can't be made durable, no process of this server writes
    anything before the server is started again, as the `page` says.
    """

    def __init__(self, sealed: Sealed = as_it_is, *, page: Page | None, say: Callable[[str], None]) -> None:
        self._sealed = sealed
        self._page = page
        self._say = say
        self._lock = threading.Lock()
        self._logs: dict[str, DecisionLog] = {}
        self._days: dict[str, int] = {}

    @contextmanager
    def of(self, project: Project) -> Iterator[DecisionLog]:
        """The log of one system, for one thread at a time. `ReadOnly` when nothing is to be written any more."""
        with self._lock:
            self._require_writable()
            try:
                yield self._open(project)
            except ReadOnly as error:
                self._say(f"a log can't be made durable: nothing is acknowledged from here on: {error}")
                if self._page is not None:
                    self._page.set_read_only(error.got or error.message)
                raise

    def end_days(self, now: int) -> None:
        """Seal what was written on a day (UTC) that is over at `now`, though nothing more comes: it would be kept past
        all retention. What is in the way is said; the next record ends the segment by its age."""
        day = now // DAY_US
        if all(begun >= day for begun in list(self._days.values())):
            return
        with self._lock:
            for name in [name for name, begun in self._days.items() if begun < day]:
                self._days[name] = day
                try:
                    self._logs[name].seal()
                except KringError as error:
                    self._say(f"the last segment of {name} could not be sealed: {error.message}")

    def close(self) -> None:
        """Let go of what was opened."""
        with self._lock:
            while self._logs:
                name, log = self._logs.popitem()
                self._days.pop(name)
                log.close()

    def _open(self, project: Project) -> DecisionLog:
        name, day = project.system.name, project.clock.now() // DAY_US
        if name not in self._logs:
            writer = adapters.free_writer(project.home.log, files=project.files, system=name, first=adapters.BESIDE)
            self._logs[name] = self._sealed(project, writer)
        elif self._days[name] != day:
            self._logs[name].seal()
        self._days[name] = day
        return self._logs[name]

    def _require_writable(self) -> None:
        if self._page is not None and (reason := self._page.read_only):
            raise ReadOnly(
                "nothing is recorded until the server is started again",
                got=reason,
                next="check the disk, then start again: what was acknowledged is safe",
            )
