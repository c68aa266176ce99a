"""Who is at work in a folder: any number at once, and whoever comes when nobody is there tidies up first."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

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


def _alone(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
