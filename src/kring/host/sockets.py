"""Sockets in the file system: their names may have about a hundred bytes, whatever folder they lie in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

LONGEST: Final = 100
FOLDERS: Final = Path("/proc/self/fd")


def reachable(path: Path) -> Path:
    """A name of the socket `path` that is short enough to bind and to connect to, in this process.

    A folder with a long name is opened and named by its number, where the system knows such names; it stays open.
    """
    if len(os.fsencode(path)) <= LONGEST or not FOLDERS.is_dir():
        return path
    return FOLDERS / str(os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)) / path.name
