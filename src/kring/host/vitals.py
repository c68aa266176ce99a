"""What this process uses of the machine: memory and open files; cheap enough for every heartbeat."""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from pathlib import Path
from typing import Final

PAGE: Final = os.sysconf("SC_PAGE_SIZE")
STATM: Final = "/proc/self/statm"
FILES: Final = "/proc/self/fd"
GROUPS: Final = Path("/sys/fs/cgroup")
STARTED: Final = 19
"""Where the moment of a process's start stands behind its name in /proc/PID/stat."""
INODE: Final = 4
"""Where the number of a file stands in a line of /proc/PID/maps."""


class Usage:
    """Reads this process's memory through one file that it holds open, so that it still can when no more files
    may be opened. A forked process needs its own."""

    def __init__(self) -> None:
        try:
            self._statm = os.open(STATM, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._statm = -1

    def rss(self) -> int:
        """Bytes of memory in use; their highest number so far on systems that don't say."""
        if self._statm < 0:
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return int(os.pread(self._statm, 64, 0).split()[1]) * PAGE

    def close(self) -> None:
        if self._statm >= 0:
            os.close(self._statm)
            self._statm = -1


def open_files() -> int:
    """How many files, sockets and pipes this process has open; -1 on systems that don't say."""
    try:
        return len(os.listdir(FILES)) - 1
    except FileNotFoundError:
        return -1
    except OSError:  # no file is left to look with: every one is in use
        return file_limit()


def file_limit() -> int:
    """How many files this process may have open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def machine_memory(groups: Path = GROUPS, of: Path = Path("/proc/self/cgroup")) -> int:
    """Bytes of memory that there are for this process: the machine's, or less where a control group it is in (version
    2, as in containers) allows less."""
    sizes = [os.sysconf("SC_PHYS_PAGES") * PAGE]
    try:
        inside = next((line[3:].strip("/") for line in of.read_text().splitlines() if line.startswith("0::")), "")
    except OSError:  # a system without control groups
        return sizes[0]
    place = groups / inside
    for group in (place, *place.parents):
        with suppress(OSError, ValueError):  # no such limit, or "max"
            sizes.append(int((group / "memory.max").read_text()))
    return min(sizes)


def start_of(pid: int) -> int:
    """When the process began, as the system counts: with its number it names one process for ever. 0 when there
    is no such process or the system doesn't say."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    return int(text.rpartition(")")[2].split()[STARTED])


def has_mapped(pid: int, path: Path) -> bool:
    """Whether the process has this very file in its memory; a copy of it is another."""
    try:
        file = str(path.stat().st_ino)
        regions = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    return any(region.split(maxsplit=INODE + 1)[INODE] == file for region in regions)
