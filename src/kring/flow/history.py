"""Records in the ledger: one kind per record type."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Final, TypeVar

import msgspec

from kring.errors import IntegrityError, NotFound
from kring.ports.ledger import Ledger
from kring.record.access import ApiKey
from kring.record.alarm import Alarm
from kring.record.compaction import Compacted, Dropped
from kring.record.drill import Drilled
from kring.record.erasure import Erased, Forgotten
from kring.record.event import Entry, Event, Segment
from kring.record.evidence import Evidence
from kring.record.finding import CheckReport
from kring.record.message import Delivery
from kring.record.operator import BatchSealed, OperatorState
from kring.record.probe import Probed
from kring.record.recipe import Recipe
from kring.record.retraining import Training
from kring.record.rollout import Pointer, Rollout
from kring.record.run import Run
from kring.record.scored import Scored
from kring.record.snapshot import Snapshot
from kring.record.switch import Switch
from kring.record.trial import TrialRun
from kring.record.verdict import Verdict
from kring.record.version import Version

R = TypeVar("R", bound=msgspec.Struct)
S = TypeVar("S", bound=msgspec.Struct)

KINDS: Final[dict[type[msgspec.Struct], str]] = {
    CheckReport: "check",
    Snapshot: "snapshot",
    Recipe: "recipe",
    Run: "run",
    Evidence: "evidence",
    Verdict: "verdict",
    Version: "version",
    Rollout: "rollout",
    Pointer: "pointer",
    BatchSealed: "batch",
    Alarm: "alarm",
    Delivery: "delivery",
    Segment: "segment",
    Scored: "scored",
    Erased: "erased",
    Forgotten: "forgotten",
    Compacted: "compacted",
    Dropped: "dropped",
    OperatorState: "operator",
    Training: "training",
    ApiKey: "key",
    Probed: "probed",
    Drilled: "drilled",
    Switch: "switch",
    TrialRun: "trial",
}

OPERATOR: Final = KINDS[OperatorState]
"""The id of the operator's state: there is one."""


def entry(record: msgspec.Struct, *, id: str, actor: str, at: int) -> Entry:
    """What the ledger appends for `record`."""
    return Entry(kind=KINDS[type(record)], id=id, body=msgspec.json.encode(record, order="sorted"), actor=actor, at=at)


def decode(event: Event, kind: type[R]) -> R:
    """The record in an event; `IntegrityError` when the body is not one."""
    try:
        return msgspec.json.decode(event.body, type=kind)
    except msgspec.MsgspecError as error:
        raise IntegrityError(
            f"event {event.seq} of the ledger does not hold a {KINDS[kind]}",
            got=str(error),
            next="run kring status --verify",
        ) from error


def get(ledger: Ledger, kind: type[R], id: str) -> R:
    """The newest record of that kind and id; `NotFound` otherwise."""
    return decode(ledger.get(KINDS[kind], id), kind)


def newest_with(ledger: Ledger, kind: type[R], id: str) -> R | None:
    """As `get`, or None when there is none yet."""
    try:
        return get(ledger, kind, id)
    except NotFound:
        return None


def operator_state(ledger: Ledger) -> OperatorState | None:
    """What the operator committed last; None before its first step."""
    return newest_with(ledger, OperatorState, OPERATOR)


def all_of(ledger: Ledger, kind: type[R], *, after: int = 0) -> Iterator[R]:
    """All records of one kind, oldest first."""
    for event in ledger.read(after=after, kind=KINDS[kind]):
        yield decode(event, kind)


def both_of(ledger: Ledger, one: type[R], other: type[S]) -> Iterator[R | S]:
    """All records of two kinds in the order of the ledger, whatever their moments say."""
    kinds = KINDS[one], KINDS[other]
    events = heapq.merge(*(ledger.read(kind=kind) for kind in kinds), key=lambda event: event.seq)
    for event in events:
        yield decode(event, one) if event.kind == kinds[0] else decode(event, other)


def newest(ledger: Ledger, kind: type[R]) -> R | None:
    """The record of that kind that was appended last."""
    last: R | None = None
    for record in all_of(ledger, kind):
        last = record
    return last


def required(record: R | None, *, what: str, next: str) -> R:
    """`record`, or `NotFound` with what to do first."""
    if record is None:
        raise NotFound(f"there is no {what} yet", next=next)
    return record
