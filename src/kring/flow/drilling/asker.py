"""Somebody who asks one question after the other, and remembers what came back."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from typing import Final, NamedTuple

import msgspec

from kring.flow.benching.serving import Address, asked
from kring.host.clock import stopwatch

PAUSE_S: Final = 0.02
NOBODY: Final = "nobody"


class Said(NamedTuple):
    """What one request came to: when it was answered (seconds), the status, and who answered."""

    at: float
    status: int
    who: str


class About(msgspec.Struct):
    """What is read of an answer."""

    version: str = ""
    answered_by: str = ""


class Asker:
    """Asks in a thread of its own, until it is told to stop."""

    def __init__(self, address: Address, bodies: Sequence[str]) -> None:
        self._address = address
        self._bodies = cycle(bodies)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="asker", daemon=True)
        self.said: list[Said] = []

    def since(self, at: float) -> list[Said]:
        """What was answered from `at` on."""
        return [one for one in self.said if one.at >= at]

    def _run(self) -> None:
        for body in self._bodies:
            if self._over.is_set():
                return
            self.said.append(once(self._address, body))
            time.sleep(PAUSE_S)

    def __enter__(self) -> Asker:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(timeout=30)


def once(address: Address, body: str) -> Said:
    """One question; status 0 when nobody answers."""
    status, text = asked(address, body)
    who = NOBODY
    if 200 <= status < 300:
        try:
            about = msgspec.json.decode(text, type=About)
            who = about.answered_by or about.version
        except msgspec.MsgspecError:
            who = "unreadable"
    return Said(stopwatch(), status, who)


def told(said: Sequence[Said]) -> tuple[int, int, dict[str, int]]:
    """How many were asked, how many of them failed, and who answered how many."""
    failed = sum(not 200 <= one.status < 300 for one in said)
    return len(said), failed, dict(sorted(Counter(one.who for one in said).items()))


@contextmanager
def asking(address: Address, bodies: Sequence[str]) -> Iterator[Asker]:
    """An asker that has had an answer already."""
    with Asker(address, bodies) as asker:
        end = stopwatch() + 30
        while not any(one.status == 200 for one in asker.said) and stopwatch() < end:
            time.sleep(PAUSE_S)
        yield asker
