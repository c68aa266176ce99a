"""Files that fail on purpose: the Nth operation on the disk, for every N."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from kring.errors import StorageError
from kring.host.files import storage_error
from kring.ports.files import Appender, Files

T = TypeVar("T")


class Crash(BaseException):
    """Stands for the process dying here: no handler of ours may catch it."""


class Plan:
    """Counts operations and fails the one numbered `nth` (from 1; 0 never fails).

    With `crash` the process "dies" there, and with `power` the machine under it: half of what was
    appended and not yet made durable is gone as well. Else the operation fails with `error`. A failed `write` puts the
    first half of its bytes on disk, as a full disk does. After a failure by error the later
    operations go through unless `stays` is set.
    """

    def __init__(
        self, nth: int, *, error: int = errno.ENOSPC, crash: bool = False, power: bool = False, stays: bool = False
    ) -> None:
        self.nth = nth
        self.error = error
        self.crash = crash or power
        self.power = power
        self.stays = stays
        self.count = 0

    def due(self) -> bool:
        self.count += 1
        return self.nth > 0 and (self.count == self.nth or (self.stays and self.count > self.nth))

    def failure(self, action: str, path: Path) -> StorageError:
        """What the disk says; raises `Crash` instead when the process is to die."""
        if self.crash:
            raise Crash(f"{action} {path.name} (operation {self.count})")
        error = OSError(self.error, os.strerror(self.error))
        failure = storage_error(action, path, error)
        failure.__cause__ = error
        return failure


class FaultyAppender:
    def __init__(self, inner: Appender, path: Path, owner: FaultyFiles) -> None:
        self._inner = inner
        self._path = path
        self._owner = owner
        self._durable = inner.size()
        self._dead = False

    def write(self, data: bytes) -> None:
        self._check()
        if self._owner.plan.due():
            self._inner.write(data[: len(data) // 2])
            self._owner.fail("append to", self._path)
        self._inner.write(data)

    def sync(self) -> None:
        self._check()
        if self._owner.plan.due():
            self._dead = True
            self._owner.fail("make durable", self._path)
        self._inner.sync()
        self._durable = self._inner.size()

    def size(self) -> int:
        return self._inner.size()

    def close(self) -> None:
        self._inner.close()
        self._owner.opened.discard(self)

    def die(self, *, power: bool) -> None:
        """Close as a dying process does; without power, half of what was not durable is lost."""
        kept = self._durable + (self._inner.size() - self._durable) // 2
        self._inner.close()
        if power:
            os.truncate(self._path, kept)

    def _check(self) -> None:
        if self._dead:
            raise storage_error("write to", self._path, OSError(errno.EIO, "an earlier fsync failed"))


class FaultyFiles:
    """Any `Files`, with one of its operations failing as `plan` says."""

    def __init__(self, inner: Files, plan: Plan) -> None:
        self.plan = plan
        self.opened: set[FaultyAppender] = set()
        self._inner = inner

    def read(self, path: Path) -> bytes:
        return self._run("read", path, lambda: self._inner.read(path))

    def write(self, path: Path, data: bytes) -> None:
        if self.plan.due():
            if self.plan.crash and path.parent.is_dir():
                path.with_name(f".{path.name}.0-0.part").write_bytes(data[: len(data) // 2])
            self.fail("write", path)
        self._inner.write(path, data)

    def append(self, path: Path, *, ahead: int = 0) -> FaultyAppender:
        inner = self._run("open", path, lambda: self._inner.append(path, ahead=ahead))
        appender = FaultyAppender(inner, path, self)
        self.opened.add(appender)
        return appender

    def truncate(self, path: Path, size: int) -> None:
        self._run("cut", path, lambda: self._inner.truncate(path, size))

    def list(self, path: Path) -> list[Path]:
        return self._run("list", path, lambda: self._inner.list(path))

    def publish(self, folder: Path, target: Path, *, replace: bool = False) -> None:
        self._run("publish", target, lambda: self._inner.publish(folder, target, replace=replace))

    def remove(self, path: Path) -> None:
        self._run("remove", path, lambda: self._inner.remove(path))

    def fail(self, action: str, path: Path) -> None:
        """Raise what `plan` says; a crash closes what is open, as the end of a process does."""
        try:
            raise self.plan.failure(action, path)
        except Crash:
            for appender in self.opened:
                appender.die(power=self.plan.power)
            self.opened.clear()
            raise

    def _run(self, action: str, path: Path, operation: Callable[[], T]) -> T:
        if self.plan.due():
            self.fail(action, path)
        return operation()
