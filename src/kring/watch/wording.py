"""Alarms in words: what happened, since when, how sure it is, what it does, who should do what."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from kring.charts.words import moment, number
from kring.record.alarm import Alarm, Effect, News
from kring.record.running import Tier
from kring.watch.alarms import by_urgency

NEWS: Final[dict[News, str]] = {
    "opened": "alarm",
    "changed": "alarm, again",
    "resolved": "over",
    "test": "test",
}
FIRST: Final = 3
"""Alarms that a subject names; the text names all."""

NAMED: Final = 5
UNKNOWN_EFFECT: Final = "not estimated"


def facts(alarm: Alarm) -> list[tuple[str, str]]:
    """All that somebody has to know of an alarm, as (label, text)."""
    looks = f"{alarm.count:,} look{'' if alarm.count == 1 else 's'}"
    told = [
        (
            "since",
            f"{moment(alarm.since)}; first found {moment(alarm.at)}, in {looks} so far, last {moment(alarm.last)}",
        ),
        ("sure", alarm.sure),
        ("measured", measured(alarm)),
        ("effect", effect(alarm.effect)),
        ("of", subject_of(alarm)),
        ("owner", alarm.owner),
        ("do", alarm.proposal),
        ("now", standing(alarm)),
        ("id", alarm.id if alarm.group in ("", alarm.id) else f"{alarm.id}, found together: {alarm.group}"),
    ]
    return [(label, text) for label, text in told if text]


def summary(system: str, alarms: Sequence[Alarm]) -> str:
    """How many there are of each tier, the most urgent first."""
    tiers = list(dict.fromkeys(alarm.tier for alarm in by_urgency(alarms)))
    counts = {tier: sum(alarm.tier == tier for alarm in alarms) for tier in tiers}
    return f"{system}: " + ", ".join(f"{count:,} {tier}{'' if count == 1 else 's'}" for tier, count in counts.items())


def headline(alarm: Alarm) -> str:
    """One line: how urgent, which system, what."""
    return f"{alarm.tier.upper()}  {alarm.system}: {alarm.what}"


def measured(alarm: Alarm) -> str:
    """The value with its interval, beside what is allowed."""
    rows = f" on {alarm.rows:,} rows" if alarm.rows else ""
    allowed = f"allowed: {alarm.allowed}"
    if alarm.value is None:
        return "" if alarm.kind in ("release", "retraining") else allowed
    between = "" if alarm.low is None else f" ({number(alarm.low)} to {number(alarm.high)})"
    return f"{alarm.metric} {number(alarm.value)}{between}{rows}; {allowed}"


def effect(found: Effect | None) -> str:
    """What it is estimated to do to quality and to money."""
    if found is None:
        return UNKNOWN_EFFECT
    parts = []
    if found.metric and found.value is not None:
        between = "" if found.low is None or found.high is None else f" ({found.low:+.4g} to {found.high:+.4g})"
        parts.append(f"{found.metric} {found.value:+.4g}{between}")
    if found.money is not None:
        parts.append(f"{found.money:+,.4g} {found.currency} per decision".replace("  ", " "))
    words = ", ".join(parts) or UNKNOWN_EFFECT
    return f"{words}, {found.conditions}" if found.conditions else words


def subject_of(alarm: Alarm) -> str:
    """The version, and the feature or slice where there is one."""
    named = (("version", alarm.version), ("feature", alarm.feature), ("slice", alarm.slice))
    return ", ".join(f"{label} {name}" for label, name in named if name)


def standing(alarm: Alarm) -> str:
    """Its state, and who brought it there."""
    by = f" by {alarm.by}" if alarm.by else ""
    why = f": {alarm.action}" if alarm.action not in ("", "seen", "silenced") and alarm.state != "open" else ""
    if alarm.state == "silenced":
        return f"silent until {moment(alarm.until)}{by}{why}"
    if alarm.state == "resolved":
        return f"over since {moment(alarm.ended)}{by}{why}"
    return f"{alarm.state}{by}{why}"


def subject(system: str, alarms: Sequence[Alarm], *, news: News, more: int = 0) -> str:
    """One line over alarms that belong together: how many, and what the first of them are about."""
    tier: Tier = by_urgency(alarms)[0].tier if alarms else "note"
    count = len(alarms) + more
    head = f"[{tier}] {system}, {NEWS[news]}"
    if count <= 1:
        return f"{head}: {alarms[0].what}" if alarms else head
    return f"{head}: {count:,} findings: {named(alarms, count)}"


def named(alarms: Sequence[Alarm], count: int) -> str:
    """What the first of them are about, and how many more there are."""
    first = [f"{one.kind.replace('_', ' ')} of {one.feature or one.slice or one.metric}" for one in alarms[:FIRST]]
    rest = count - len(first)
    return ", ".join(first) + (f" and {rest:,} more" if rest > 0 else "")


def others(alarms: Sequence[Alarm]) -> str:
    """What more was found with those that were told in full."""
    names = [one.feature or one.slice or one.metric for one in alarms]
    rest = f" and {len(names) - NAMED:,} others" if len(names) > NAMED else ""
    kind = alarms[0].kind.replace("_", " ")
    return f"{len(names):,} more, found together with these: {kind} of {', '.join(names[:NAMED])}{rest}"


def text(alarms: Iterable[Alarm], *, more: int = 0) -> str:
    """Each alarm with all that is known of it, and how to go on."""
    parts = ["\n".join([headline(one), *(f"  {label:<9}{said}" for label, said in facts(one))]) for one in alarms]
    if more:
        parts.append(f"{more:,} more are not named here: kring alarms shows them")
    parts.append("you are at it: kring alarms ack ID; not now: kring alarms silence ID --for 2h")
    return "\n\n".join(parts)
