"""The processes below one, and what each has used so far: CPU and memory, from /proc."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

PROC: Final = Path("/proc")
TICK_US: Final = 1_000_000 // os.sysconf("SC_CLK_TCK")
PARENT: Final = 1
USER: Final = 11
"""Where the parent and the time in user mode stand behind the name in /proc/PID/stat; time in the system follows."""


class Used(NamedTuple):
    """User and system time in microseconds since the start, to 10 ms; resident memory in MB."""

    name: str
    cpu_us: int
    rss_mb: float


def usage_below(root: int) -> dict[int, Used]:
    """What `root` and every process below it have used, by number; empty on systems without /proc."""
    stats = {int(place.name): _stat(place) for place in PROC.glob("[0-9]*")}
    children: dict[int, list[int]] = {}
    for number, stat in stats.items():
        if stat:
            children.setdefault(int(stat[PARENT]), []).append(number)
    found: dict[int, Used] = {}
    left = [root]
    while left:
        number = left.pop()
        if stat := stats.get(number, []):
            cpu_us = (int(stat[USER]) + int(stat[USER + 1])) * TICK_US
            found[number] = Used(_name(number), cpu_us, _rss_mb(number))
        left += children.get(number, [])
    return found


def _stat(place: Path) -> list[str]:
    """What follows the name, which may hold spaces and brackets; nothing when the process is gone."""
    try:
        return (place / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _name(number: int) -> str:
    """The module or program that a process runs, without its arguments: they may hold what is private."""
    try:
        words = (PROC / str(number) / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return ""
    if "-m" in words[:-1]:
        return words[words.index("-m") + 1]
    return Path(words[0]).name


def _rss_mb(number: int) -> float:
    try:
        pages = int((PROC / str(number) / "statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
