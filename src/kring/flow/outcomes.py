"""What turned out to be true of decisions: looked over, then put on record. Imports nothing heavy.

The last correction wins by the moment at which it became known; every report that says something new stays in the log.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

import msgspec

from kring.contracts.values import Unread, reader
from kring.errors import DataError, NotFound
from kring.metrics.ids import decision_place, decision_raw
from kring.ports.decision_log import DecisionHistory, DecisionLog
from kring.record.contract import Field
from kring.record.decision import Decisions, Outcomes, Place, Value
from kring.record.outcome import Heard, Refusal, Reported, Told
from kring.record.review import REVIEWED

SKEW_US: Final = 60_000_000
"""How far the clock of who reports may be ahead of ours, or behind that of the decision."""

AT_ONCE: Final = 10_000
"""Ids of one record."""

Latest = Callable[[Collection[bytes]], Mapping[bytes, tuple[int, Value]]]
"""The last outcome of each decision that has one: when it became known, and its value."""


def record_outcomes(
    log: DecisionLog,
    history: DecisionHistory,
    reports: Sequence[Reported],
    *,
    system: str,
    target: Field,
    now: int,
    source: str,
    latest: Latest | None = None,
) -> list[Told]:
    """Put the reports on record, durably, and say of each what came of it.

    Refused are reports of decisions that this log does not hold and of shadow copies, values that are no `target`, and
    moments in the future or before the decision. `latest` says what is known already; without it the log is read, for
    reviews only as far as the same person said it: what several people say of one decision is all kept.
    """
    told, records = judged(
        history,
        reports,
        system=system,
        target=target,
        now=now,
        source=source,
        latest=latest or latest_in(history, of=source if source.startswith(REVIEWED) else ""),
    )
    for record in records:
        log.append(record)
    log.commit()
    return told


def judged(
    history: DecisionHistory,
    reports: Sequence[Reported],
    *,
    system: str,
    target: Field,
    now: int,
    source: str,
    latest: Latest,
) -> tuple[list[Told], list[Outcomes]]:
    """What is to be said of each report, and the records to append for them. Nothing is written."""
    read = reader(target)
    finder = Finder(history)
    seen = [_looked_over(finder, one, read(one.value), target=target, now=now) for one in reports]
    wanted = {decision_raw(one.id) for one in seen if one.heard != "refused"}
    known = dict(latest(wanted)) if wanted else {}
    told: list[Told] = []
    new: dict[int, dict[bytes, Value]] = defaultdict(dict)
    for report, one in zip(reports, seen, strict=True):
        if one.heard != "refused":
            raw, at = decision_raw(one.id), report.at or now
            heard = _against(known.get(raw), one.value)
            told.append(Told(id=one.id, heard=heard, value=one.value))
            if heard != "known":
                new[at][raw] = one.value
                known[raw] = (at, one.value) if at >= known.get(raw, (0, None))[0] else known[raw]
        else:
            told.append(one)
    return told, [record for at in sorted(new) for record in _records(new[at], at=at, system=system, source=source)]


def latest_in(history: DecisionHistory, *, of: str = "") -> Latest:
    """What the log says, from the source `of` if one is named."""

    def latest(ids: Collection[bytes]) -> dict[bytes, tuple[int, Value]]:
        said = [one for one in history.outcomes_of(frozenset(ids)) if of in ("", one[0].source)]
        return {record.ids[row]: (record.at, record.values[row]) for record, row in said}

    return latest


class Finder:
    """Finds decisions, and looks first into the record that it found last: neighbours are reported together."""

    def __init__(self, history: DecisionHistory) -> None:
        self._history = history
        self._place: Place | None = None
        self._record: Decisions | None = None

    def find(self, id: str) -> Decisions:
        """The record that holds the decision; `NotFound` without one."""
        place = decision_place(decision_raw(id))
        first, record = self._place, self._record
        if first is not None and record is not None:
            same = (first.at_ms, first.writer, first.segment) == (place.at_ms, place.writer, place.segment)
            if same and 0 <= place.sequence - first.sequence < record.n:
                return record
        self._record, row = self._history.find(id)
        self._place = msgspec.structs.replace(place, sequence=place.sequence - row)
        return self._record


def _looked_over(finder: Finder, report: Reported, value: Value | Unread, *, target: Field, now: int) -> Told:
    """A report by itself: is there such a decision, such a value, such a moment?"""
    try:
        record = finder.find(report.id)
    except (NotFound, DataError):
        return _refused(report, "no decision on record has this id", why="unknown")
    if isinstance(value, Unread):
        return _refused(report, f"{target.name} is a {target.type}, got {str(report.value)[:60]!r}", why="type")
    if target.allowed and value not in target.allowed:
        return _refused(report, f"{target.name} is one of {', '.join(map(str, target.allowed[:9]))}", why="value")
    return _in_time(report, record, value, now=now)


def _in_time(report: Reported, record: Decisions, value: Value, *, now: int) -> Told:
    at = report.at or now
    if record.arm == "shadow":
        return _refused(report, "this is a shadow's copy; report of the decision itself", why="shadow")
    if at > now + SKEW_US:
        return _refused(report, "it is said to become known in the future", why="future")
    if at < record.at - SKEW_US:
        return _refused(report, "it is said to have been known before the decision", why="early")
    return Told(id=report.id, heard="recorded", value=value)


def _against(known: tuple[int, Value] | None, value: Value) -> Heard:
    """Beside what is known of the same decision: an older report that says something else is kept, too."""
    if known is None:
        return "recorded"
    return "known" if type(known[1]) is type(value) and known[1] == value else "corrected"


def _records(values: Mapping[bytes, Value], *, at: int, system: str, source: str) -> list[Outcomes]:
    ids = list(values)
    return [
        Outcomes(system=system, at=at, ids=some, values=[values[raw] for raw in some], source=source)
        for some in (ids[begin : begin + AT_ONCE] for begin in range(0, len(ids), AT_ONCE))
    ]


def _refused(report: Reported, reason: str, *, why: Refusal) -> Told:
    return Told(id=str(report.id)[:60], heard="refused", reason=reason, why=why)
