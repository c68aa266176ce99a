"""What the processes of a serving machine tell each other, readable in less than a microsecond."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

Kind = Literal["pointers", "keys", "limits", "forgotten"]
"""What may have changed, and is then read again from its file."""


class Vitals(msgspec.Struct, frozen=True, kw_only=True):
    """What one worker's seat says. Moments are seconds of the machine's monotonic clock, 0 for never.

    `pid` is 0 while nobody has the seat; `start` tells two processes of the same number apart. `began` and
    `deadline` belong to the work under way, both 0 without one. `rss` is in bytes.
    """

    pid: int
    start: int
    heartbeat: float
    began: float
    deadline: float
    rss: int
    in_flight: int
    ready: bool


class Seat(Protocol):
    """One worker's place on the page: written by that worker alone, and cleared by whoever starts it."""

    def claim(self, pid: int, *, start: int) -> None:
        """Take the seat: all else is set back to nothing."""
        ...

    def beat(self, at: float, *, rss: int, in_flight: int, ready: bool) -> None:
        """Still alive at `at`, with so many requests taken and not yet answered."""
        ...

    def work(self, began: float, deadline: float) -> None:
        """Work began that has to be over by `deadline`. Called before each work: it costs next to nothing."""
        ...

    def idle(self) -> None:
        """The work is over."""
        ...

    def clear(self) -> None:
        """Nobody has the seat."""
        ...

    def vitals(self) -> Vitals:
        """What stands there now. Each number is whole; two of them may be a moment apart."""
        ...


class Page(Protocol):
    """Shared by the processes of one start of the server; no process that dies can harm it."""

    @property
    def seats(self) -> Sequence[Seat]:
        """One for each worker."""
        ...

    def generation(self, kind: Kind) -> int:
        """How often `kind` has changed since the page was made."""
        ...

    def bump(self, kind: Kind) -> int:
        """Say that `kind` has changed, when the change can be read. Returns its generation, which no other
        call has returned."""
        ...

    @property
    def read_only(self) -> str:
        """Why nothing may be acknowledged any more; empty while all is well."""
        ...

    def set_read_only(self, reason: str) -> None:
        """Stop acknowledging, in every process, until the server starts again. The first reason stays."""
        ...

    @property
    def draining(self) -> bool:
        """Whether the server is about to stop: not ready for new requests, those that come are answered."""
        ...

    def drain(self) -> None:
        """The server is about to stop; this is not taken back."""
        ...

    def ledger_seen(self, at: float = 0.0) -> float:
        """When the ledger was last reached, on the monotonic clock: 0 for never. `at` says that it was just now."""
        ...
