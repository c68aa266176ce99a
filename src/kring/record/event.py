"""One link of a ledger's chain."""

from __future__ import annotations

import msgspec


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller appends: `body` is the canonical JSON of one record."""

    kind: str
    id: str
    body: bytes
    actor: str
    at: int


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """An appended entry. `digest = SHA-256(prev ‖ seq as 8 bytes big endian ‖ canonical JSON of the rest)`."""

    seq: int
    kind: str
    id: str
    body: bytes
    actor: str
    at: int
    prev: bytes
    digest: bytes


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a chain: number of events and the last digest."""

    seq: int
    digest: bytes


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """The right to write under `name` until `until`; `token` fences out older holders."""

    name: str
    token: int
    until: int


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """A sealed part of the decision log, as the ledger remembers it.

    `first` and `last` are the earliest and the latest moment of its frames (microseconds UTC),
    `digest` the SHA-256 of its bytes.
    """

    id: str
    writer: int
    number: int
    first: int
    last: int
    frames: int
    decisions: int
    outcomes: int
    bytes: int
    digest: str
