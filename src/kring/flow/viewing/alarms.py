"""Alarms as they are looked at: moments as ISO 8601 says them, facts in words."""

from __future__ import annotations

import msgspec

from kring.charts.versions import Versions
from kring.charts.words import rfc3339
from kring.flow.alarming import Alarms
from kring.record.alarm import Alarm, Effect
from kring.record.message import Delivery
from kring.watch import wording


class Fact(msgspec.Struct, frozen=True):
    label: str
    text: str


class AlarmView(msgspec.Struct, frozen=True, kw_only=True):
    """An alarm. `facts` say in words what the other keys say in numbers; a moment that has not been is empty."""

    id: str
    system: str
    tier: str
    state: str
    kind: str
    what: str
    version: str
    feature: str
    slice: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    allowed: str
    rows: int
    since: str
    at: str
    last: str
    count: int
    sure: str
    effect: Effect | None
    owner: str
    proposal: str
    group: str
    by: str
    action: str
    until: str
    ended: str
    facts: tuple[Fact, ...]


class UntoldView(msgspec.Struct, frozen=True, kw_only=True):
    """A message that has not arrived: why, how often it was tried, and when it is tried again, if it is."""

    target: str
    state: str
    reason: str
    attempts: int
    due: str


class AlarmsView(msgspec.Struct, frozen=True, kw_only=True):
    alarms: tuple[AlarmView, ...]
    untold: tuple[UntoldView, ...] = ()


def alarm_view(alarm: Alarm, versions: Versions) -> AlarmView:
    """The alarm; its facts say what each version is now, and since when it answers."""
    plain = {name: getattr(alarm, name) for name in AlarmView.__struct_fields__ if name != "facts"}
    moments = {name: when(plain[name]) for name in ("since", "at", "last", "until", "ended")}
    facts = tuple(Fact(label, text) for label, text in wording.facts(alarm, versions=versions))
    return AlarmView(**{**plain, **moments}, facts=facts)


def alarms_view(found: Alarms) -> AlarmsView:
    return AlarmsView(
        alarms=tuple(alarm_view(one, found) for one in found.alarms),
        untold=tuple(untold_view(one) for one in found.untold),
    )


def untold_view(late: Delivery) -> UntoldView:
    due = when(late.due) if late.state == "waiting" else ""
    return UntoldView(target=late.target, state=late.state, reason=late.reason, attempts=late.attempts, due=due)


def when(at: int) -> str:
    """A moment as ISO 8601; nothing for one that has not been."""
    return rfc3339(at) if at else ""
