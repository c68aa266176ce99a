"""What is decided and made durable together: requests of several callers, and records that somebody waits for."""

from __future__ import annotations

import asyncio
from typing import Literal

import msgspec

from kring.ports.spans import Span
from kring.record.answer import Answer
from kring.record.batch import Batch
from kring.record.decision import Closed, Decisions, Outcomes, Place
from kring.record.exposure import Exposure
from kring.serve.decider import Decided
from kring.serve.reading import Rows

Kind = Literal["online", "streamed"]
Record = Decisions | Closed | Outcomes
Unwaited = Decisions | Exposure
"""Records that nobody waits for: copies for a shadow, and who was told which variant of a flag."""


class Asked(msgspec.Struct, gc=False, eq=False):
    """One request in the line; after `until` (monotonic seconds) nobody waits for it any more. `keys` tag its rows
    when the request has an idempotency key, `span` is the request where spans are told."""

    rows: Rows
    kind: Kind
    until: float
    told: asyncio.Future[list[Answer]]
    keys: list[str]
    span: Span | None = None


class Noted(msgspec.Struct, gc=False, eq=False):
    """A record that somebody waits for, such as the end of a streamed answer."""

    record: Record
    told: asyncio.Future[Place]


class Group(msgspec.Struct, frozen=True, eq=False):
    """Requests of one kind, records that are waited for, and copies that nobody waits for."""

    asks: list[Asked]
    notes: list[Noted]
    copies: list[Unwaited]
    rows: int


class Part(msgspec.Struct, frozen=True, eq=False):
    """Rows that one version was asked, their record and where it stands."""

    decided: Decided[Batch]
    record: Decisions
    place: Place


class Written(msgspec.Struct, frozen=True, eq=False):
    """What of a group was appended to the log, and where."""

    parts: list[Part]
    notes: list[Place]
