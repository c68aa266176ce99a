"""What the system knows of sockets. In the file system their names may have about a hundred bytes, whatever folder they
lie in."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path
from typing import Final

LONGEST: Final = 100
FOLDERS: Final = Path("/proc/self/fd")
INTERNET: Final = (socket.AF_INET, socket.AF_INET6)
OPEN: Final = Path("/dev/fd")
"""What this process has open, by number."""


def reachable(path: Path) -> Path:
    """A name of the socket `path` that is short enough to bind and to connect to, in this process.

    A folder with a long name is opened and named by its number, where the system knows such names; it stays open.
    """
    if len(os.fsencode(path)) <= LONGEST or not FOLDERS.is_dir():
        return path
    return FOLDERS / str(os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)) / path.name


def listens(port: int) -> bool:
    """Whether this process itself takes connections on a TCP port, whoever else does: workers share theirs."""
    return any(takes(number, port) for number in map(int, os.listdir(OPEN)))


def takes(number: int, port: int) -> bool:
    """Whether connections to the port come in at what is open under the number."""
    try:
        if not stat.S_ISSOCK(os.fstat(number).st_mode):
            return False
        with socket.socket(fileno=os.dup(number)) as one:
            if one.family not in INTERNET or one.type != socket.SOCK_STREAM or one.getsockname()[1] != port:
                return False
            return bool(one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:  # closed meanwhile
        return False


def is_taken(path: Path) -> bool:
    """Whether anybody takes connections at the socket `path` of the file system. Never waits."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
        one.setblocking(False)
        try:
            one.connect(str(path))
        except BlockingIOError:  # there are more callers than it can take at once
            return True
        except OSError:
            return False
    return True
