"""Keeps one process of a code link ready: starts it, replaces it when it is lost or nearly full, ends it."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
import weakref
from pathlib import Path
from typing import Final

from kring.errors import StorageError, Unavailable
from kring.runtimes.code_process import Lost, Process

START_S: Final = 30.0
NEARLY_FULL, FULL = 0.5, 0.8
"""Shares of the memory that was free at first: from one on the next process is started, from the other waited for."""

FIRST_DELAY_S, MOST_DELAY_S, MOST_WAITED_FOR = 0.05, 5.0, 8
"""Between starts, doubled each time; after so many losses in a row nobody waits for the next."""


class Keeper:
    """Whoever has the turn may call this, nobody else; `close` says so to those who come later."""

    def __init__(self, job: bytes, *, memory_mb: int, link: str) -> None:
        self.link = link
        self.closed = False
        self._cap = memory_mb << 20
        self._losses = 0
        self._not_before = 0.0
        self._reason = ""
        self._full = False
        self._now: Process | None = None
        self._next: Process | None = None
        self._job, self._folder = _laid_out(job)
        self._end = weakref.finalize(self, _removed, os.getpid(), self._job, self._folder)

    def up(self, until: float) -> Process:
        """A process that is ready, by the moment `until`. `Unavailable` with the reason when there is none."""
        if self.closed:
            raise Unavailable(f"{self.link} is closed", next="open the version again")
        self._take_over(until if self._full else 0.0)
        process = self._now or self._start(until)
        self._now = process
        try:
            if process.ready(until=min(until, process.since + START_S)):
                return process
        except Lost as error:
            raise self.lost(error) from error
        if time.monotonic() < process.since + START_S:
            raise Unavailable(f"{self.link} is starting", got=self._reason, next="ask again later")
        process.kill()
        raise self.lost(Lost(f"{self.link} was not ready within {START_S:g} s", got=process.prints.text()))

    def end(self) -> None:
        """End the process; whoever waits for its answer learns of it. For any thread."""
        if process := self._now:
            process.end()

    def lost(self, error: Unavailable) -> Unavailable:
        """Take note of a loss, and start the next process unless there were several in a row; what to tell."""
        self._losses += 1
        self._reason = error.message
        delay = min(MOST_DELAY_S, FIRST_DELAY_S * 2.0 ** (self._losses - 2)) if self._losses > 1 else 0.0
        self._not_before = time.monotonic() + delay
        self.replace(start=not delay)
        if not isinstance(error, Lost):
            return error
        return Unavailable(error.message, got=error.got, allowed=error.allowed, next=error.next)

    def answered(self, used: int) -> None:
        """Take note of an answer, after which `used` bytes are taken. A process that is nearly full answers on until
        the next one is ready."""
        self._losses = 0
        share = self._now.share(used, cap=self._cap) if self._now else 0.0
        if share > NEARLY_FULL and self._next is None and not self.closed:
            self._next = self._new()
        self._full = share > FULL

    def replace(self, *, start: bool = True) -> None:
        """The next process instead of this one; it is not waited for."""
        if self._now:
            self._now.kill()
        self._now, self._next, self._full = self._next, None, False
        if self._now is None and start and not self.closed:
            self._now = self._new()

    def close(self) -> None:
        """End what runs and remove what lies on disk."""
        self.closed = True
        for process in (self._now, self._next):
            if process:
                process.kill()
        self._now = self._next = None
        self._end()

    def _take_over(self, until: float) -> None:
        """Let the process that waits to take over do so, if it is ready by the moment `until`; forget it when it will
        never be."""
        if self._next is None:
            return
        try:
            if self._next.ready(until=until):
                self.replace()
        except Lost:
            self._next = None

    def _start(self, until: float) -> Process:
        """A new process, as soon as there may be one."""
        wait = self._not_before - time.monotonic()
        if wait > 0 and (self._losses > MOST_WAITED_FOR or time.monotonic() + wait > until):
            raise Unavailable(
                f"{self.link} was lost {self._losses} times in a row",
                got=self._reason,
                next=f"it is started again in {wait:.1f} s",
            )
        time.sleep(max(0.0, wait))
        return self._new()

    def _new(self) -> Process:
        return Process(self._job, folder=self._folder, link=self.link)


def _laid_out(job: bytes) -> tuple[int, Path]:
    """The job as a nameless file that nobody can change any more, and an empty folder that only we may enter."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="kring-code-"))
    except OSError as error:
        raise StorageError(f"can't make a temporary folder in {tempfile.gettempdir()}", got=str(error)) from error
    try:
        if hasattr(os, "memfd_create"):
            opened = os.memfd_create("kring-code", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        else:
            opened, name = tempfile.mkstemp(dir=folder)
            os.unlink(name)
        left = memoryview(job)
        while left:
            left = left[os.write(opened, left) :]
        if hasattr(os, "memfd_create"):
            seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
            fcntl.fcntl(opened, fcntl.F_ADD_SEALS, seals)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise StorageError("can't hold the code of a version", got=str(error)) from error
    return opened, folder


def _removed(owner: int, job: int, folder: Path) -> None:
    os.close(job)
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
