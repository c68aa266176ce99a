"""Files that fail on purpose: the Nth operation that touches the disk, for every N."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

from kring.host.files import storage_error
from kring.ports.files import Appender, Files


class Crash(BaseException):
    """Stands for the process dying here: no handler of ours may catch it."""


class Plan:
    """Counts operations and fails the one numbered `nth` (from 1; 0 never fails).

    With `crash` the process "dies" there; else the operation fails with `error`. A failed `write`
    puts the first half of its bytes on disk, as a full disk does. After a failure by error the
    later operations go through unless `stays` is set.
    """

    def __init__(self, nth: int, *, error: int = errno.ENOSPC, crash: bool = False, stays: bool = False) -> None:
        self.nth = nth
        self.error = error
        self.crash = crash
        self.stays = stays
        self.count = 0

    def due(self) -> bool:
        self.count += 1
        return self.nth > 0 and (self.count == self.nth or (self.stays and self.count > self.nth))

    def fail(self, action: str, path: Path) -> None:
        if self.crash:
            raise Crash(f"{action} {path.name} (operation {self.count})")
        raise storage_error(action, path, OSError(self.error, os.strerror(self.error)))

    def step(self, action: str, path: Path) -> None:
        if self.due():
            self.fail(action, path)


class FaultyAppender:
    def __init__(self, inner: Appender, path: Path, plan: Plan) -> None:
        self._inner = inner
        self._path = path
        self._plan = plan
        self._dead = False

    def write(self, data: bytes) -> None:
        if self._plan.due():
            self._inner.write(data[: len(data) // 2])
            self._plan.fail("append to", self._path)
        self._inner.write(data)

    def sync(self) -> None:
        if self._dead:
            raise storage_error("make durable", self._path, OSError(errno.EIO, os.strerror(errno.EIO)))
        if self._plan.due():
            self._dead = True
            self._plan.fail("make durable", self._path)
        self._inner.sync()

    def size(self) -> int:
        return self._inner.size()

    def close(self) -> None:
        self._inner.close()


class FaultyFiles:
    """Any `Files`, with one of its operations failing as `plan` says."""

    def __init__(self, inner: Files, plan: Plan) -> None:
        self._inner = inner
        self._plan = plan

    def read(self, path: Path) -> bytes:
        return self._inner.read(path)

    def write(self, path: Path, data: bytes) -> None:
        self._run("write", path, lambda: self._inner.write(path, data))

    def append(self, path: Path) -> Appender:
        self._plan.step("open", path)
        return FaultyAppender(self._inner.append(path), path, self._plan)

    def truncate(self, path: Path, size: int) -> None:
        self._run("cut", path, lambda: self._inner.truncate(path, size))

    def list(self, path: Path) -> list[Path]:
        return self._inner.list(path)

    def publish(self, folder: Path, target: Path) -> None:
        self._run("publish", target, lambda: self._inner.publish(folder, target))

    def remove(self, path: Path) -> None:
        self._run("remove", path, lambda: self._inner.remove(path))

    def _run(self, action: str, path: Path, operation: Callable[[], None]) -> None:
        self._plan.step(action, path)
        operation()
