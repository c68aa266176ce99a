"""The decision log of a system that declares `durability = "async"`: written at once, made durable in the background.

What `commit` has written survives the end of the process, but not yet a power cut: that is seen to by a thread, at most
every tenth of a second. When its fsync fails, the rows since the last one are counted as `dropped`, and the log is
read-only like any other.
"""

from __future__ import annotations

from threading import Event, Lock, Thread
from typing import Final

from kring.errors import ReadOnly, StorageError
from kring.stores.file import Ends, FileLog, Part
from kring.stores.segment import Frame, Tally

EVERY_SECONDS: Final = 0.1


class LazyLog(FileLog):
    """`dropped` counts the rows that were acknowledged and may not be there after a power cut."""

    def __init__(self, part: Part, *, ends: Ends) -> None:
        self.dropped = 0
        self._written = 0
        self._safe = 0
        self._failed: StorageError | None = None
        self._syncing = Lock()
        self._dirty, self._closing = Event(), Event()
        super().__init__(part, ends=ends)
        self._thread = Thread(target=self._follow_up, name=f"durable-{part.writer}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """What is written is durable when this returns."""
        try:
            if not self._stop.reason:
                self.commit()
                self._catch_up()
                self._stop.check(self._failed)
        finally:
            self._closing.set()
            self._dirty.set()
            self._thread.join()
            super().close()

    def _make_durable(self, tally: Tally, frames: list[Frame], data: bytes) -> None:
        if self._failed is not None:
            self._stop.reason = str(self._failed)
            self._stop.check(self._failed)
        tally.add(frames, data)
        self._written += sum(frame.rows for frame in frames)
        self._dirty.set()

    def _follow_up(self) -> None:
        while self._dirty.wait() and not self._closing.wait(EVERY_SECONDS):
            self._catch_up()

    def _catch_up(self) -> None:
        """One fsync for all that was written before it."""
        with self._syncing:
            self._dirty.clear()
            tally, appender, written = self._tally, self._appender, self._written
            if tally is None or appender is None or written == self._safe:
                return
            size = tally.size
            try:
                self._stop.sync(appender)
            except ReadOnly as error:
                self._fail(error)
                return
            self._safe, self._durable = written, size

    def _close_segment(self, tally: Tally) -> None:
        with self._syncing:
            if self._appender is not None and self._written != self._safe:
                try:
                    self._stop.sync(self._appender)
                except ReadOnly as error:
                    self._fail(error)
                    raise
                self._safe = self._written
            super()._close_segment(tally)

    def _repair(self, error: StorageError) -> None:
        with self._syncing:
            super()._repair(error)

    def _fail(self, error: StorageError) -> None:
        self._failed = error
        self.dropped += self._written - self._safe
        self._safe = self._written
