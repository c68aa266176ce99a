"""The processes of a running server, seen and wronged from outside."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from kring.host.page import open_page
from served import Server

SOON_S: Final = 60.0
"""Seconds that a busy machine may take for what takes a moment."""


def until(
    true: Callable[[], object], what: str, *, seconds: float = SOON_S, log: Path | None = None, every: float = 0.02
) -> None:
    """Poll until it is so."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            told = log.read_text() if log is not None and log.exists() else ""
            raise AssertionError(f"{what} did not happen within {seconds:.0f} s\n{told}")
        time.sleep(every)


def workers(folder: Path) -> dict[int, int]:
    """Numbers of the data workers' processes by their seats, as the page of the system in `folder` names them."""
    page = open_page(folder / ".kring" / "serve" / "page", writer=False)
    try:
        return {seat: pid for seat, one in enumerate(page.seats) if (pid := one.vitals().pid)}
    finally:
        page.close()


def below(root: int) -> set[int]:
    """All processes below one, at the moment."""
    parents: dict[int, int] = {}
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):
            parents[int(place.name)] = int((place / "stat").read_text().rpartition(")")[2].split()[1])
    found, new = set[int](), {root}
    while new:
        found |= new
        new = {pid for pid, parent in parents.items() if parent in new} - found
    return found - {root}


def control_of(server: Server) -> int:
    """The number of the process that answers with pages and management."""
    (found,) = [pid for pid in below(server.process.pid) if b"kring.console.serve" in words_of(pid)]
    return found


def words_of(pid: int) -> list[bytes]:
    """The command line of a process; none of one that is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return []


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def end_now(server: Server, *, all_at_once: bool) -> None:
    """kill -9 of every process of the server, or of the supervisor alone, which takes the others with it."""
    pids = below(server.process.pid)
    server.process.kill()
    for pid in pids if all_at_once else ():
        kill(pid)
    server.process.wait(SOON_S)
    until(lambda: not any(map(lives, pids)), "the end of every process", log=server.log)


def rss_mb(pids: set[int]) -> float:
    """Resident memory of these processes together."""
    pages = 0
    for pid in pids:
        with suppress(OSError, ValueError, IndexError):
            pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
