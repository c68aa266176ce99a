"""The line between a supervisor and a child: the child ends when the line does, and says on it how its start went.

It is one socket, whose other end only the supervisor holds: it is closed when the supervisor dies, however it dies.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from contextlib import suppress
from typing import Final

import msgspec

from kring.errors import KringError

VARIABLE: Final = "KRING_LIFELINE"
TEXT_LIMIT: Final = 2000


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of JSON: `ready`, or why the start failed."""

    ready: bool = False
    code: str = ""
    message: str = ""
    got: str = ""
    allowed: str = ""
    next: str = ""


class Lifeline:
    """The child's end. Without a supervisor, nothing happens on it."""

    def __init__(self, line: socket.socket | None) -> None:
        self._line = line

    def ready(self) -> None:
        """The start went well: from here on an end of this process is an accident."""
        self._say(Report(ready=True))

    def failed(self, error: KringError) -> None:
        """The start failed; called before the process ends."""
        texts = (text[:TEXT_LIMIT] for text in (error.message, error.got, error.allowed, error.next))
        message, got, allowed, next_ = texts
        self._say(Report(code=error.code, message=message, got=got, allowed=allowed, next=next_))

    def _say(self, report: Report) -> None:
        if self._line is not None:
            with suppress(OSError):  # nobody listens any more: the other thread ends this process
                self._line.sendall(msgspec.json.encode(report) + b"\n")


def hold() -> Lifeline:
    """Hold on to the supervisor that started this process: when that is gone, this process and all of its group are
    killed. Call it first of all."""
    number = os.environ.pop(VARIABLE, "")
    if not number:
        return Lifeline(None)
    line = socket.socket(fileno=int(number))
    line.set_inheritable(False)
    threading.Thread(target=_end_with, args=(line,), name="lifeline", daemon=True).start()
    return Lifeline(line)


def _end_with(line: socket.socket) -> None:
    """The supervisor never says anything: whatever is read is its end."""
    with suppress(OSError):
        line.recv(1)
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
