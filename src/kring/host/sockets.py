"""What the system knows of sockets. In the file system their names may have about a hundred bytes, whatever folder they
lie in."""

from __future__ import annotations

import os
import socket
import stat
from contextlib import suppress
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
    for number in map(int, os.listdir(OPEN)):
        with suppress(OSError):
            if stat.S_ISSOCK(os.fstat(number).st_mode):
                with socket.socket(fileno=os.dup(number)) as one:
                    if one.family in INTERNET and one.getsockname()[1] == port and is_listening(one):
                        return True
    return False


def is_listening(one: socket.socket) -> bool:
    """Whether connections come in there."""
    return bool(one.type == socket.SOCK_STREAM and one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


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
