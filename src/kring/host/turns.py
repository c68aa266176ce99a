"""Who is at work in a folder: one alone; or any number at once, and whoever comes when nobody is there tidies up."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from kring.errors import Busy
from kring.host.files import FILE_MODE, make_folder, storage_error

LOCK: Final = ".working"


@contextmanager
def working(root: Path, *, tidy: Callable[[], None]) -> Iterator[None]:
    """Be at work in `root` for as long as the block runs; the lock ends with the process, however it ends.

    `tidy` is called first when nobody else is at work, so that what it finds half-written belongs to
    a process that died. `StorageError` when the disk refuses.
    """
    try:
        make_folder(root)
        descriptor = os.open(root / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    except OSError as error:
        raise storage_error("write to", root, error) from error
    try:
        if _alone(descriptor):
            tidy()
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def alone(path: Path, *, busy: str) -> Iterator[None]:
    """Have `path` for this process alone while the block runs; its number is written there for people to read. The
    right ends with the process, however it ends, whatever processes it leaves behind.

    `Busy` with the message `busy` when another one has it, `StorageError` when the disk refuses.
    """
    try:
        make_folder(path.parent)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    except OSError as error:
        raise storage_error("write to", path, error) from error
    try:
        if not _alone(descriptor):
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
            raise Busy(busy, got=f"process {holder or 'unknown'}", next="stop it, or wait until it has ended")
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _alone(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
