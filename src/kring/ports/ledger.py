"""The append-only, hash-chained history of what somebody or something decided."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from kring.record.event import Entry, Event, Head, Lease


class Leases(Protocol):
    """Rights that one holder has at a time, as they were given out last."""

    def leased(self, name: str) -> Lease | None:
        """The right `name` as it was taken or renewed last, over or not; None when nobody ever had it."""
        ...


class Ledger(Leases, Protocol):
    """One chain: the ledger of one system."""

    def append(self, entries: Sequence[Entry], *, expect_seq: int | None = None, token: int | None = None) -> Head:
        """Append all entries in one durable transaction, or none.

        `expect_seq` is the head the caller decided on: `Conflict` when the chain has moved on.
        `token` is a lease's fencing token: `Conflict` when a newer lease of that name was given
        out, whatever the caller's clock says. `Busy` when the store stays locked.
        """
        ...

    def read(self, *, after: int = 0, kind: str = "") -> Iterator[Event]:
        """Events with seq > `after` in order, of one kind when `kind` is given."""
        ...

    def get(self, kind: str, id: str) -> Event:
        """The newest event of that kind and id; `NotFound` otherwise."""
        ...

    def head(self) -> Head:
        """The end of the chain; seq 0 and 32 zero bytes when it is empty."""
        ...

    def lease(self, name: str, *, holder: str, ttl: float, now: int) -> Lease:
        """Take or renew the right `name` for `ttl` seconds. The token rises whenever the holder
        changes. `Busy` while another holder's lease lasts."""
        ...

    def verify(self) -> Head:
        """Recompute the whole chain; `IntegrityError` names the first event that does not fit."""
        ...

    def close(self) -> None:
        """Let go of the store. Closing twice is allowed."""
        ...
