"""Alarms in words: what happened, since when, how sure it is, what it does, who should do what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Final

from kring.charts.versions import Roles, with_roles
from kring.charts.words import NOTHING, lines, moment
from kring.record.alarm import Alarm, AlarmKind, Effect, News
from kring.record.running import Tier
from kring.watch.alarms import by_urgency
from kring.watch.meaning import UNLIKE_BEFORE, UNTOUCHED, better, limit_words, means

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
LABEL: Final = 10
"""Characters in which a label stands."""

WHEN: Final[dict[Tier, str]] = {"page": "act now", "ticket": "in the day", "note": "to read"}
SHARES: Final[frozenset[AlarmKind]] = frozenset(
    {"data_quality", "fallback", "outliers", "drift", "prediction_drift", "service_level", "probes"}
)
"""Kinds whose value is a share."""


OF_NO_VERSION: Final[frozenset[AlarmKind]] = frozenset({"retraining", "drill", "trial"})
OVER_A_SPAN: Final[frozenset[AlarmKind]] = frozenset({"quality", "calibration", "fairness"})
"""Kinds that are judged over all that was answered since then, and may have begun later."""

ROLLED_BACK: Final = "release/rolled_back/"
OVER: Final = "over: it ended when the version was taken back; who is answered, and how well, is as before it came"
PROVEN: Final = "proven by the tests of its rollout; how rarely they are wrong stands above"
SURE: Final = {"release/rolled_back": PROVEN, "release/worse": PROVEN}
"""How sure that is which was tested before it was told."""

NOT_RELEASED: Final = "release/gate/"
"""Kinds, and the key, of alarms that only happened while some version was live."""


RETRAIN: Final = ("retrain:", "retrain{} --now")
GO_BACK: Final = ("go back:", "rollback{} --reason '…'")
ROLLOUT: Final = ("the rollout:", "rollout show{}")
EVIDENCE: Final = ("its tests:", "compare{}")
REMEDIES: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "quality": (RETRAIN, GO_BACK),
    "fallback": (GO_BACK,),
    "release": (ROLLOUT,),
    "release/gate": (EVIDENCE,),
    "retraining": (("the trainings:", "retrain{}"),),
    "retraining/waiting": (("say yes:", "retrain{} --approve"), ("say no:", "retrain{} --refuse")),
    "drift": (RETRAIN,),
    "prediction_drift": (GO_BACK,),
    "calibration": (RETRAIN,),
    "fairness": (RETRAIN,),
    "cost": (GO_BACK,),
    "outliers": (RETRAIN,),
    "probes": (GO_BACK,),
    "trial": (("the trials:", "trial list{}"),),
}
"""What may help, beside saying that one has seen it; `{}` is the place of the folder."""


def facts(alarm: Alarm, *, roles: Roles | None = None) -> list[tuple[str, str]]:
    """All that somebody has to know of an alarm, as (label, text); with `roles` each version says what it is now."""
    told = [
        ("means", means(alarm)),
        ("since", seen(alarm)),
        ("sure", SURE.get(f"{alarm.kind}/{alarm.metric}", alarm.sure)),
        ("measured", measured(alarm)),
        ("effect", OVER if alarm.key.startswith(ROLLED_BACK) else effect(alarm.effect, kind=alarm.kind)),
        ("of", subject_of(alarm)),
        ("owner", alarm.owner),
        ("do", alarm.proposal),
        ("now", standing(alarm)),
        ("id", alarm.id if alarm.group in ("", alarm.id) else f"{alarm.id}; all that was found with it: {alarm.group}"),
    ]
    return [(label, with_roles(text, roles)) for label, text in told if text]


def seen(alarm: Alarm) -> str:
    """Since when, and when it was found. What moved may have turned, from warmer in June to colder in October: it was
    found before it became what it is."""
    began = moment(alarm.since)
    if alarm.kind in OVER_A_SPAN:
        began = f"in what was answered from {began} on"
    if alarm.count <= 1:
        return began if alarm.at == alarm.since else f"{began}; found {moment(alarm.at)}"
    found = f"found {alarm.count:,} times, first {moment(alarm.at)}, last {moment(alarm.last)}"
    return f"{began}; {found}" if alarm.since <= alarm.at else f"{began} as it is now; with what it was before {found}"


def summary(system: str, alarms: Sequence[Alarm]) -> str:
    """How many there are of each tier, the most urgent first."""
    tiers = list(dict.fromkeys(alarm.tier for alarm in by_urgency(alarms)))
    counts = {tier: sum(alarm.tier == tier for alarm in alarms) for tier in tiers}
    return f"{system}: " + ", ".join(
        f"{count:,} {tier}{'' if count == 1 else 's'} ({WHEN[tier]})" for tier, count in counts.items()
    )


def headline(alarm: Alarm) -> str:
    """How urgent, which system, what."""
    return f"{alarm.tier.upper()}  {alarm.system}: {alarm.what}"


def block(alarm: Alarm, *, roles: Roles | None = None, like: Alarm | None = None) -> tuple[list[str], list[str]]:
    """The lines of its headline and those of its facts, none longer than a terminal is wide; what was said of the alarm
    `like` in the same words is not said again."""
    known = facts(like, roles=roles) if like is not None else []
    told, again = [], []
    for label, said in facts(alarm, roles=roles):
        if (label, said) in known:
            again.append(label)
        else:
            told += lines(said, first=f"  {label:<{LABEL}}", rest=" " * (LABEL + 2))
    if again:
        told.append(f"  {'as above':<{LABEL}}{', '.join(again)}")
    return lines(with_roles(headline(alarm), roles), rest="  "), told


def measured(alarm: Alarm) -> str:
    """The value with its interval, beside what is allowed."""
    if alarm.value is None:
        return f"allowed: {bounded(alarm)}" if alarm.allowed and alarm.kind not in ("release", "retraining") else ""
    rows = f" on {alarm.rows:,} rows" if alarm.rows else ""
    shown = share if alarm.kind in SHARES else number
    between = "" if alarm.low is None else f" ({shown(alarm.low)} to {shown(alarm.high)})"
    name = "" if alarm.kind in ("drift", "prediction_drift") else f"{alarm.metric} "
    return f"{name}{shown(alarm.value)}{between}{rows}; allowed: {bounded(alarm)}"


def number(value: float | None) -> str:
    return NOTHING if value is None or not isfinite(value) else f"{value:,.3f}"


def share(value: float | None) -> str:
    return NOTHING if value is None or not isfinite(value) else f"{100 * value:.1f} %"


def bounded(alarm: Alarm) -> str:
    """What is allowed, in words; of a share in percent."""
    words, _, limit = limit_words(alarm.allowed, metric=alarm.metric).rpartition(" ")
    if alarm.kind in SHARES and limit.replace(".", "", 1).isdigit():
        return f"{words} {100 * float(limit):.4g} %"
    return f"{words} {limit}".strip()


def effect(found: Effect | None, *, kind: AlarmKind | None = None) -> str:
    """What it is estimated to do to quality and to money, or why nobody can say."""
    if found is None:
        return UNTOUCHED[kind] if kind else UNKNOWN_EFFECT
    parts = []
    if found.metric and found.value is not None and not is_money(found):
        between = "" if found.low is None or found.high is None else f" ({found.low:+.4g} to {found.high:+.4g})"
        parts.append(f"{direction(found)}{found.metric} {found.value:+.4g}{between}")
    if found.money is not None:
        parts.append(money(found))
    if not parts:
        return f"{UNKNOWN_EFFECT}: {found.conditions}" if found.conditions else UNKNOWN_EFFECT
    beside = "" if kind is None or kind in UNLIKE_BEFORE else "compared with its tests before release: "
    words = beside + ", ".join(parts)
    joined = " " if found.conditions.startswith("than ") else "; "
    return f"{words}{joined}{found.conditions}" if found.conditions else words


def is_money(found: Effect) -> bool:
    """Whether its metric is the money itself, which is not said twice."""
    return found.money is not None and found.value == found.money


def money(found: Effect) -> str:
    """What a decision costs more or less, with its interval where that is one of money."""
    assert found.money is not None
    more = "more" if found.money > 0 else "less"
    unit = f" {found.currency}" if found.currency else ""
    cost = f"each decision costs {abs(found.money):,.4g}{unit} {more}"
    if not is_money(found) or found.low is None or found.high is None:
        return cost
    return f"{direction(found)}{cost} ({found.low:+.4g} to {found.high:+.4g})"


def direction(found: Effect) -> str:
    """Whether that is worse, by the whole interval."""
    sign = better(found.metric)
    ends = [end * sign for end in (found.value, found.low, found.high) if end is not None]
    if not sign or not ends:
        return ""
    return "worse, " if max(ends) < 0 else "better, " if min(ends) > 0 else "no clear change, "


def subject_of(alarm: Alarm) -> str:
    """The version, and the feature or slice where there is one."""
    version = "" if alarm.kind in OF_NO_VERSION or alarm.key.startswith(NOT_RELEASED) else alarm.version
    named = (("version", version), ("feature", alarm.feature), ("slice", alarm.slice))
    return ", ".join(f"{label} {name}" for label, name in named if name)


def standing(alarm: Alarm) -> str:
    """Its state, and who brought it there."""
    by = f" by {alarm.by}" if alarm.by else ""
    why = f": {alarm.action}" if alarm.action not in ("", "seen", "silenced") and alarm.state != "open" else ""
    if alarm.state == "silenced":
        return f"silent until {moment(alarm.until)}{by}{why}"
    if alarm.state == "resolved":
        return f"over since {moment(alarm.ended)}{by}{why}"
    return f"{alarm.state}{by}{why}" if alarm.by or alarm.state != "open" else "open, and nobody is at it yet"


def subject(system: str, alarms: Sequence[Alarm], *, news: News, more: int = 0) -> str:
    """One line over alarms that belong together: how many, and what the first of them are about."""
    tier: Tier = by_urgency(alarms)[0].tier if alarms else "note"
    count = len(alarms) + more
    head = f"[{tier}] {system}, {NEWS[news]}"
    if count <= 1:
        return f"{head}: {alarms[0].what}" if alarms else head
    return f"{head}: {count:,} findings: {first_of(alarms, count)}"


def first_of(alarms: Sequence[Alarm], count: int) -> str:
    """What the first of them are about, and how many more there are."""
    first = [about(one) for one in alarms[:FIRST]]
    rest = count - len(first)
    return ", ".join(first) + (f" and {rest:,} more" if rest > 0 else "")


def about(alarm: Alarm) -> str:
    """A finding in two or three words."""
    place = alarm.feature or alarm.slice
    kind = alarm.kind.replace("_", " ")
    return f"{kind} of {place}" if place else f"{kind} ({alarm.metric.replace('_', ' ')})"


def others(alarms: Sequence[Alarm]) -> str:
    """What more was found with those that were told in full."""
    names = [one.feature or one.slice or one.metric for one in alarms]
    rest = f" and {len(names) - NAMED:,} others" if len(names) > NAMED else ""
    kind = alarms[0].kind.replace("_", " ")
    return f"{len(names):,} more, found together with these: {kind} of {', '.join(names[:NAMED])}{rest}"


def text(alarms: Sequence[Alarm], *, more: int = 0, roles: Roles | None = None) -> str:
    """Each alarm with all that is known of it, and how to go on; without `roles` versions are named by ids alone."""
    parts, first = [], dict[str, Alarm]()
    for one in alarms:
        head, told = block(one, roles=roles, like=first.get(one.kind))
        first.setdefault(one.kind, one)
        parts.append("\n".join([*head, *told]))
    if more:
        parts.append(f"{more:,} more are not named here: kring alarms shows them")
    ringing = [one for one in alarms if one.state != "resolved"]
    if ringing:
        parts.append("\n".join(["On its machine, in the folder of the system:", *commands(ringing)]))
    else:
        parts.append("It is over: nothing has to be done.")
    return "\n\n".join(parts)


def commands(alarms: Sequence[Alarm], *, folder: str = "") -> list[str]:
    """What can be done about them, as it can be typed. They are meant by the id of their group, if that is one."""
    groups = {one.group or one.id for one in alarms}
    id = groups.pop() if len(groups) == 1 else "ID"
    id = alarms[0].id if len(alarms) == 1 else id
    where = f" {folder}" if folder else ""
    told = [
        ("you are at it:", f"kring alarms ack {id}{where}"),
        ("not now:", f"kring alarms silence {id}{where} --for 2h"),
        ("it is over:", f"kring alarms resolve {id}{where} --because '…'"),
    ]
    cures = [cure for one in alarms for cure in REMEDIES.get(f"{one.kind}/{one.metric}", REMEDIES.get(one.kind, ()))]
    told += [(when, f"kring {command.format(where).strip()}") for when, command in dict.fromkeys(cures)]
    return [f"  {when:<15} {command}" for when, command in told]
