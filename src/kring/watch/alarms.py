"""What becomes of findings: how urgent they are, which are one alarm, when it speaks again and when it is over."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

import msgspec

from kring.record.alarm import Alarm, AlarmKind, Breach, Handling, Past
from kring.record.running import Tier

TIERS: Final[tuple[Tier, ...]] = ("note", "ticket", "page")
"""Read it when there is time; work on it in the day; wake somebody."""

LADDER: Final[dict[AlarmKind, Tier]] = {
    "data_quality": "page",
    "quality": "page",
    "estimated_quality": "note",
    "trial": "note",
}
"""What is not named here is a ticket."""

MAY_PAGE: Final[frozenset[AlarmKind]] = frozenset(
    {"data_quality", "quality", "fallback", "release", "latency", "service_level", "queries", "probes"}
)
"""What can't wait pages only if it is of these: an estimate or a drift alone never wakes anybody."""

INPUTS_MOVED: Final[frozenset[AlarmKind]] = frozenset({"drift", "prediction_drift"})
MANY_FALLBACKS: Final = 0.05
"""A share of fallbacks that is surely above this pages."""

CAUSES: Final[dict[AlarmKind, str]] = {
    "data_quality": "inputs",
    "drift": "inputs",
    "prediction_drift": "inputs",
    "outliers": "inputs",
    "estimated_quality": "inputs",
    "quality": "answers",
    "calibration": "answers",
    "fairness": "answers",
    "fallback": "service",
    "latency": "service",
    "service_level": "service",
    "cost": "service",
}
"""Kinds that are told together when one window holds them: they are likely to have one cause."""

CLEAR: Final = 2
"""So many looks in a row that find nothing end an alarm: one may be chance."""

MOST_CLEAR: Final = 32
"""What comes back and back needs no more of them than this."""


def tier_of(breach: Breach, *, among: Collection[AlarmKind] = ()) -> Tier:
    """How urgent a finding is, by its kind and strength; `among` are the kinds found with it, or ringing already."""
    kind = breach.kind
    surely_many = kind == "fallback" and breach.low is not None and breach.low > MANY_FALLBACKS
    if (breach.urgent and kind in MAY_PAGE) or surely_many:
        return "page"
    if kind == "estimated_quality" and INPUTS_MOVED & set(among):
        return "ticket"
    return LADDER.get(kind, "ticket")


def rank(tier: Tier) -> int:
    return TIERS.index(tier)


def cause_of(kind: AlarmKind) -> str:
    """What is told together."""
    return CAUSES.get(kind, kind)


def one_each(breaches: Iterable[Breach]) -> list[Breach]:
    """One finding for each key, the strongest, by key: whatever their order and number."""
    found: dict[str, Breach] = {}
    for breach in sorted(breaches, key=_strength):
        found[breach.key] = breach
    return [found[key] for key in sorted(found)]


def by_urgency(alarms: Iterable[Alarm]) -> list[Alarm]:
    """The most urgent first, then the longest found, then by key."""
    return sorted(alarms, key=lambda alarm: (-rank(alarm.tier), alarm.since, alarm.key))


def sureness(breach: Breach) -> str:
    """How sure it is, in the monitor's words, else in those of its interval."""
    if breach.sure:
        return breach.sure
    if breach.low is None or breach.high is None:
        return "certain: it was seen, not estimated"
    return f"the 95 % interval ({breach.low:.4g} to {breach.high:.4g}) lies wholly beyond what is allowed"


def found_again(alarm: Alarm, breach: Breach, *, tier: Tier, end: int, now: int) -> Alarm:
    """The alarm after another look that found it, in the window that ended at `end`. A window counts once. A tier that
    rises opens it again, whoever had seen or silenced it: they saw another thing. It never sinks. What moved
    says at each look since when: what was warmer since June may be colder since October."""
    if end <= alarm.looked_at:
        return alarm
    higher = rank(tier) > rank(alarm.tier)
    changed = msgspec.structs.replace(
        alarm,
        what=breach.what,
        version=breach.version or alarm.version,
        value=breach.value,
        low=breach.low,
        high=breach.high,
        allowed=breach.allowed,
        rows=breach.rows,
        since=breach.since if breach.kind in INPUTS_MOVED else min(alarm.since, breach.since),
        sure=sureness(breach),
        effect=breach.effect or alarm.effect,
        tier=tier if higher else alarm.tier,
        count=alarm.count + 1,
        last=now,
        looked_at=end,
        clear=0,
    )
    return opened_again(changed) if higher else changed


def not_found(alarm: Alarm, *, end: int, now: int) -> Alarm:
    """The alarm after a look that did not find it; over after as many of them in a row as it needs."""
    if end <= alarm.looked_at:
        return alarm
    alarm = msgspec.structs.replace(alarm, clear=alarm.clear + 1, looked_at=end)
    if alarm.clear < alarm.needs:
        return alarm
    return ended(alarm, by="", action=f"not found in {alarm.needs} looks in a row", now=now)


def needs_after(before: Past | None, *, within_us: int, now: int) -> int:
    """How many looks in vain end an alarm that opens now: what comes and goes with the days of the week would else ring
    every week. `before` is how its last one ended."""
    if before is None or now - before.ended > within_us:
        return CLEAR
    return min(2 * before.needs, MOST_CLEAR)


def ended(alarm: Alarm, *, by: str, action: str, now: int) -> Alarm:
    handled_at = now if by else 0
    return msgspec.structs.replace(
        alarm, state="resolved", by=by, action=action, until=0, ended=now, handled_at=handled_at
    )


def opened_again(alarm: Alarm) -> Alarm:
    return msgspec.structs.replace(alarm, state="open", by="", until=0, handled_at=0)


def speaks_again(alarm: Alarm, *, now: int) -> bool:
    """Whether it was silenced and its time is over."""
    return alarm.state == "silenced" and alarm.until <= now


def handled(alarm: Alarm, how: Handling, *, actor: str, reason: str, until: int, now: int) -> Alarm:
    """The alarm after what a person did. The same once more changes nothing, nor does a silence that is over."""
    if how == "resolve":
        return ended(alarm, by=actor, action=reason or "resolved by hand", now=now)
    if how == "silence" and until <= now:
        return alarm
    if how == "acknowledge":
        after = msgspec.structs.replace(alarm, state="acknowledged", by=actor, action=reason or "seen", until=0)
    else:
        after = msgspec.structs.replace(alarm, state="silenced", by=actor, action=reason or "silenced", until=until)
    return alarm if after == alarm else msgspec.structs.replace(after, handled_at=now)


def _strength(breach: Breach) -> tuple[int, int, bytes]:
    return rank(tier_of(breach)), breach.rows, msgspec.json.encode(breach)
