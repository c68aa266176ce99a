"""What a server costs the machine: CPU and memory of each of its processes, from /proc (Linux)."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

TICK_US = 1_000_000 // os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")
GRACE_S = 10.0


def tree(root: int) -> dict[int, str]:
    """The process `root` and all below it that live now: id and the beginning of the command line."""
    parents: dict[int, int] = {}
    for place in PROC.glob("[0-9]*"):
        try:
            parents[int(place.name)] = int(_stat(place)[1])
        except OSError:
            continue
    found, left = [], [root]
    while left:
        one = left.pop()
        found.append(one)
        left += [child for child, parent in parents.items() if parent == one]
    return {one: _command(one) for one in found if one in parents}


def cpu_us(process: int) -> int:
    """User and system time of one process, in microseconds (to 10 ms); 0 when it is gone."""
    try:
        stat = _stat(PROC / str(process))
    except OSError:
        return 0
    return (int(stat[11]) + int(stat[12])) * TICK_US


def rss_mb(process: int, *, peak: bool = False) -> float:
    """Resident memory in MB, or the highest so far; 0 when the process is gone."""
    try:
        lines = (PROC / str(process) / "status").read_text().splitlines()
    except OSError:
        return 0.0
    name = "VmHWM:" if peak else "VmRSS:"
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(name)), 0.0)


def end(server: subprocess.Popen[bytes]) -> None:
    """Ask the server's process group to stop, and kill what is left of it; it was started with its own group."""
    below = tree(server.pid)
    for sign in (signal.SIGTERM, signal.SIGKILL):
        for one in (-server.pid, *below):
            try:
                os.kill(one, sign)
            except OSError:
                continue
        until = time.monotonic() + GRACE_S
        while time.monotonic() < until:
            server.poll()
            if (
                not any((PROC / str(one)).exists() for one in below if one != server.pid)
                and server.returncode is not None
            ):
                return
            time.sleep(0.05)


def _stat(place: Path) -> list[str]:
    """What follows the name in /proc/PID/stat: state, parent, …; the name may hold spaces and brackets."""
    return (place / "stat").read_text().rpartition(")")[2].split()


def _command(process: int) -> str:
    try:
        words = (PROC / str(process) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
    return words.strip()[:200]
