"""One decision as it stands on record, and the newest ones of a system."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

import msgspec

from kring.charts.words import rfc3339
from kring.flow import adapters
from kring.flow.project import Project
from kring.flow.recording import unsealed
from kring.flow.retaining import look_up
from kring.flow.streams import delivered
from kring.flow.versions import verified
from kring.flow.viewing.shadows import Shadows, ShadowView
from kring.flow.watching.promises import Promises
from kring.metrics.ids import decision_ids
from kring.metrics.prices import per_row
from kring.ports.decision_log import DecisionHistory
from kring.record.contract import LogicalType
from kring.record.decision import Decisions, Outcomes, Place, Value
from kring.watch.inputs import breaches
from kring.watch.service_levels import Budget

KEPT: Final = 200
HOUR_US: Final = 3_600_000_000
EPOCH: Final = date(1970, 1, 1)


class OutcomeView(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody said turned out to be true; `at` is when it became known, as a moment of ISO 8601."""

    value: Value
    at: str
    source: str


class DecisionView(msgspec.Struct, frozen=True, kw_only=True):
    """One decision. `outcome` is the last word on what turned out to be true, `outcomes` all of them.

    Moments and days are those of ISO 8601. `cost` is the mean of the rows that were decided with it. `sealed` names
    fields that lie encrypted in the log, and are gone once the subject is forgotten.
    """

    id: str
    system: str
    at: str
    decision: Value
    outputs: dict[str, Value]
    inputs: dict[str, Value]
    version: str
    arm: str
    answered_by: str
    kind: str
    latency_us: int
    cost: float = 0.0
    fallback: str = ""
    guards: tuple[str, ...] = ()
    subject: str = ""
    batch: str = ""
    row: int | None = None
    delivered: str = ""
    sealed: tuple[str, ...] = ()
    outcome: OutcomeView | None = None
    outcomes: tuple[OutcomeView, ...] = ()


class DecisionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A decision in a list of them."""

    id: str
    at: str
    decision: Value
    version: str
    arm: str
    answered_by: str
    guards: tuple[str, ...]
    latency_us: int


class Lately(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows were decided in the last hour, how many of them another answered, and how many broke a promise
    of the contract; `cost` is the mean of a row. `since` is from when on they were counted."""

    decided: int
    fallbacks: int
    guarded: int
    since: str
    cost: float = 0.0


def decision_view(project: Project, id: str) -> DecisionView:
    """The decision `id`. `NotFound` when this system did not make it."""
    log = adapters.read_log(project.home.log, system=project.system.name)
    found, row = look_up(project, log, id)
    record = unsealed(project, found)
    types = project.types
    outcomes = tuple(outcome_view(one, place) for one, place in log.outcomes(id))
    outputs = row_of(record.outputs, row, types=types)
    return DecisionView(
        id=id,
        system=project.system.name,
        at=rfc3339(record.at),
        decision=outputs.pop("decision", None),
        outputs=outputs,
        inputs=row_of(record.inputs, row, types=types),
        version=record.version,
        arm=record.arm,
        answered_by=record.answered_by,
        kind=record.kind,
        latency_us=record.latency_us,
        cost=per_row(record.cost, record.n),
        fallback=record.fallback,
        guards=tuple(record.guards.get(row, ())),
        subject=record.subjects[row] if record.subjects else "",
        batch=record.batch,
        row=record.rows[row] if record.rows else None,
        delivered=delivered(log.closed(id)) if record.kind == "streamed" else "",
        sealed=tuple(record.sealed),
        outcome=outcomes[-1] if outcomes else None,
        outcomes=outcomes,
    )


def outcome_view(record: Outcomes, row: int) -> OutcomeView:
    return OutcomeView(value=record.values[row], at=rfc3339(record.at), source=record.source)


def row_of(columns: Mapping[str, list[Value]], row: int, *, types: Mapping[str, LogicalType]) -> dict[str, Value]:
    """One row of a record, times as ISO 8601 says them."""
    return {name: written(column[row], types.get(name)) for name, column in columns.items()}


def written(value: Value, type: LogicalType | None) -> Value:
    """A value as it is told: microseconds as a moment, days as a day, what is no number as nothing."""
    if isinstance(value, int) and not isinstance(value, bool):
        if type == "timestamp":
            return rfc3339(value)
        if type == "date":
            return (EPOCH + timedelta(days=value)).isoformat()
    return None if isinstance(value, float) and value != value else value  # noqa: PLR0124  NaN


class Follower:
    """The newest decisions of one system, read on from where the last reading ended. May be asked from any thread.

    It begins with the newest segment of each writer: what is older is looked up by id.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._log: DecisionHistory = adapters.read_log(project.home.log, system=project.system.name)
        self._cursors: dict[int, tuple[int, int]] = {}
        self._rows: deque[DecisionRow] = deque(maxlen=KEPT)
        self._counts: deque[tuple[int, int, int, int]] = deque()
        self._costs: deque[float] = deque()
        self._shadows = Shadows(project.task, lambda version: verified(project, version).manifest.chain.policy)
        self._lock = threading.Lock()
        self._promises = Promises(project)

    def newest(self, most: int) -> tuple[DecisionRow, ...]:
        """At the most `most` rows, the newest first; shadows and batches are left out."""
        with self._lock:
            self._read_on()
            return tuple(reversed(self._rows))[:most]

    def lately(self) -> Lately:
        """The last hour."""
        with self._lock:
            since = self._read_on() - HOUR_US
            decided, fallbacks, guarded = (sum(one[place] for one in self._counts) for place in (1, 2, 3))
            cost = per_row(sum(self._costs), decided)
            return Lately(decided=decided, fallbacks=fallbacks, guarded=guarded, since=rfc3339(since), cost=cost)

    def budgets(self) -> list[Budget]:
        """What is left of the error budgets of the promised service."""
        return self._promises.budgets(self._project.clock.now())

    def shadow(self, version: str) -> ShadowView | None:
        """What the version said as a shadow, beside whoever was live; None when nothing was put to it."""
        with self._lock:
            self._read_on()
            return self._shadows.compared(version)

    def _read_on(self) -> int:
        """Read what is new, and forget what is older than an hour; the moment up to which it was read."""
        now = self._project.clock.now()
        for writer, cursor in adapters.newest_segments(self._project.home.log).items():
            self._cursors.setdefault(writer, cursor)
        for logged in self._log.read(self._cursors, until=now):
            self._cursors[logged.place.writer] = logged.cursor
            record = logged.record
            if isinstance(record, Decisions) and record.kind in ("online", "streamed"):
                self._take(record, logged.place)
            elif isinstance(record, Decisions) and record.kind == "shadow":
                self._shadows.shadowed(record)
        while self._counts and self._counts[0][0] < now - HOUR_US:
            self._counts.popleft()
            self._costs.popleft()
        return now

    def _take(self, record: Decisions, place: Place) -> None:
        self._shadows.answered(place, record)
        types = self._project.types
        said = record.outputs.get("decision") or [None] * record.n
        for row, id in enumerate(decision_ids(place, record.n)):
            self._rows.append(
                DecisionRow(
                    id=id,
                    at=rfc3339(record.at),
                    decision=written(said[row], types.get("decision")),
                    version=record.version,
                    arm=record.arm,
                    answered_by=record.answered_by,
                    guards=tuple(record.guards.get(row, ())),
                    latency_us=record.latency_us,
                )
            )
        stood_in = record.n if record.answered_by != record.version else 0
        self._counts.append((record.at, record.n, stood_in, breaches(record.guards)))
        self._costs.append(record.cost)
