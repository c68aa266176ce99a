"""A process that lives beside this one: started in a group of its own, never left behind, ended when asked."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from kring.errors import Unavailable
from kring.host.lifeline import VARIABLE, Report

CHUNK: Final = 1 << 14
REAP_S: Final = 5.0
MOST: Final = 1 << 16
"""Bytes of a line at most: what never ends a line is not kept."""


class Child:
    """One running process and what it says on its lifeline."""

    def __init__(self, process: subprocess.Popen[bytes], line: socket.socket) -> None:
        self._process = process
        self._line = line
        self._text = b""
        self.pid = process.pid

    def poll(self) -> int | None:
        """Its exit code, or minus the signal that ended it; None while it runs."""
        return self._process.poll()

    def reports(self) -> list[Report]:
        """What it has said since it was asked last. Lines that are no reports are left out."""
        with suppress(BlockingIOError, ConnectionError):
            while data := self._line.recv(CHUNK):
                self._text = (self._text + data)[-MOST:]
        *lines, self._text = self._text.split(b"\n")
        found: list[Report] = []
        for line in lines:
            with suppress(msgspec.MsgspecError):
                found.append(msgspec.json.decode(line, type=Report))
        return found

    def terminate(self) -> None:
        """Ask it to end: SIGTERM to the process alone, which takes those it started with it."""
        if self.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it with all of its group, also when it has ended itself and left others behind."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """Kill what is left of it, reap it, and let go of the lifeline. Closing twice is allowed."""
        self.kill()
        with suppress(subprocess.TimeoutExpired):  # the system holds it, on a disk that hangs say: it dies after that
            self._process.wait(REAP_S)
        self._line.close()


def start(argv: Sequence[str], *, env: Mapping[str, str], niceness: int = 0) -> Child:
    """Start `argv` with `env` beside this process's own variables. What it prints goes to stderr.

    With a `niceness` above 0 it, and whatever it starts, gives way to others when the processors are busy.

    `Unavailable` when it can't be started.
    """
    try:
        ours, theirs = socket.socketpair()
    except OSError as error:
        raise _not_started(argv[0], error) from error
    ours.setblocking(False)
    try:
        with theirs:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=2,
                env={**os.environ, **env, VARIABLE: str(theirs.fileno())},
                pass_fds=(theirs.fileno(),),
                process_group=0,
            )
    except OSError as error:
        ours.close()
        raise _not_started(argv[0], error) from error
    if niceness:
        with suppress(OSError):  # it has ended already, or may not be moved
            os.setpriority(os.PRIO_PROCESS, process.pid, os.getpriority(os.PRIO_PROCESS, 0) + niceness)
    return Child(process, ours)


def _not_started(program: str, error: OSError) -> Unavailable:
    return Unavailable(
        f"could not start {Path(program).name}", got=str(error), next="check the machine's limits and try again"
    )
