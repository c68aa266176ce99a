"""Alarms in words: what happened, since when, how sure it is, what it does, who should do what."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from math import isfinite
from typing import Final

from kring.charts.versions import Versions, told_answered, with_roles
from kring.charts.words import NOTHING, lines, moment, spaced
from kring.record.alarm import Alarm, AlarmKind, Effect, News
from kring.record.running import Tier
from kring.watch.alarms import by_urgency
from kring.watch.meaning import UNLIKE_BEFORE, UNTOUCHED, better, limit_words, means

NEWS: Final[dict[News, str]] = {"opened": "", "changed": "again, ", "resolved": "over", "test": "test"}
"""What a subject says before how urgent it is, or instead of that."""

FIRST: Final = 3
"""Alarms that a subject names; the text names all."""

NAMED: Final = 5
UNKNOWN_EFFECT: Final = "not estimated"
LABEL: Final = 10
"""Characters in which a label stands."""

WHEN: Final[dict[Tier, str]] = {"page": "act now", "ticket": "can wait for the day", "note": "to read"}
SHARES: Final[frozenset[AlarmKind]] = frozenset(
    {"data_quality", "fallback", "outliers", "drift", "prediction_drift", "service_level", "probes"}
)
"""Kinds whose value is a share."""

ESTIMATED: Final[frozenset[AlarmKind]] = frozenset(
    {"data_quality", "fallback", "outliers", "drift", "prediction_drift", "estimated_quality"}
)
"""Kinds whose effect is estimated from all answers of their window, before outcomes are known."""

FOUND_TOGETHER: Final = "estimated for all that was found together (outcomes are not in yet), "
AT_ANOTHER: Final = "with a threshold of "
"""How the conditions of an effect begin that says what another threshold would have cost."""

OF_NO_VERSION: Final[frozenset[AlarmKind]] = frozenset({"retraining", "drill", "trial"})
OVER_A_SPAN: Final[frozenset[AlarmKind]] = frozenset({"quality", "calibration", "fairness"})
"""Kinds that are judged over all that was answered since then, and may have begun later."""

ROLLED_BACK: Final = "release/rolled_back/"
HELD: Final = "release/held/"
STAYS: Final = "none by waiting: shares are unchanged; how well the new version answers is not known"
OVER: Final = "over: it ended when the version was taken back; who is answered, and how well, is as before it came"
NOT_RELEASED: Final = "release/gate/"
"""Kinds, and the key, of alarms that only happened while some version was live."""


RETRAIN: Final = ("retrain:", "retrain{} --now")
GO_BACK: Final = ("go back:", "rollback{} --reason '…'")
ROLLOUT: Final = ("the rollout:", "rollout show{}")
EVIDENCE: Final = ("its tests:", "compare{}")
TRAINED: Final = (
    "A training changes no answer: what it brings has to pass the gate, shadow and steps of kring.toml before anybody"
    " gets it."
)
COMMAND: Final = re.compile(r"kring (retrain|rollback|abort|rollout show|compare|release|train)\b(?! \w)((?: --\w+)*)")
"""Commands that a proposal names, and that need no more than the folder."""

BACK: Final = re.compile(r"(?:; (?:if [^;,]+, )?|, or )(?:go|roll) back\b.*$")
"""The end of a proposal that is to go back to the version before."""

REASONS: Final = {"rollback": " --reason '…'", "abort": " --reason '…'"}
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


def facts(alarm: Alarm, *, versions: Versions | None = None, folder: str = "") -> list[tuple[str, str]]:
    """All that somebody has to know of an alarm, as (label, text); with `versions` each says what it is now and since
    when it answers, and no way back that is closed is proposed. Commands name the `folder`."""
    roles, proposal = versions.roles if versions else None, alarm.proposal
    if versions and versions.no_way_back:
        proposal = BACK.sub("", proposal)
    told = [
        ("means", means(alarm)),
        ("since", seen(alarm)),
        ("sure", alarm.sure),
        ("measured", measured(alarm)),
        ("effect", effect_of(alarm)),
        ("of", subject_of(alarm, versions)),
        ("owner", alarm.owner),
        ("do", in_folder(proposal, folder)),
        ("now", standing(alarm)),
        ("id", alarm.id if alarm.group in ("", alarm.id) else f"{alarm.id}; all that was found with it: {alarm.group}"),
    ]
    return [(label, spaced(with_roles(text, roles))) for label, text in told if text]


def in_folder(text: str, folder: str) -> str:
    """`text` with its commands as they can be typed where the `folder` lies below."""
    if not folder:
        return text
    return COMMAND.sub(lambda found: f"kring {found[1]} {folder}{found[2]}{REASONS.get(found[1], '')}", text)


def effect_of(alarm: Alarm) -> str:
    """What it does, or why that is not known."""
    if alarm.effect is None and alarm.key.startswith((ROLLED_BACK, HELD)):
        return OVER if alarm.key.startswith(ROLLED_BACK) else STAYS
    return effect(alarm.effect, kind=alarm.kind)


def seen(alarm: Alarm) -> str:
    """Since when, and when it was found. What moved may have turned, from warmer in June to colder in October: it was
    found before it became what it is."""
    began = moment(alarm.since)
    if alarm.key.startswith(HELD) and alarm.count <= 1:
        return f"it waits since {moment(alarm.at)}; the stage in which it waits began {began}"
    if alarm.kind in OVER_A_SPAN:
        began = f"counted over all that was answered from {began} on; when it began is not known"
    if alarm.count <= 1:
        return began if alarm.at == alarm.since else f"{began}; found {moment(alarm.at)}"
    found = f"found {alarm.count:,} times, first {moment(alarm.at)}, last {moment(alarm.last)}"
    return f"{began}; {found}" if alarm.since <= alarm.at else f"{began} as it is now; with what it was before {found}"


def summary(system: str, alarms: Sequence[Alarm]) -> str:
    """How many there are of each tier, the most urgent first."""
    tiers = list(dict.fromkeys(alarm.tier for alarm in by_urgency(alarms)))
    return f"{system}: " + ", ".join(_of_tier([one for one in alarms if one.tier == tier], tier) for tier in tiers)


def _of_tier(alarms: Sequence[Alarm], tier: Tier) -> str:
    """How many, how urgent, and how many of them somebody has seen to."""
    states = [(name, sum(one.state == name for one in alarms)) for name in ("silenced", "acknowledged")]
    told = [name if count == len(alarms) else f"{count:,} {name}" for name, count in states if count]
    seen_to = "".join(f"; {each}" for each in told)
    return f"{len(alarms):,} {tier}{'' if len(alarms) == 1 else 's'} ({WHEN[tier]}{seen_to})"


def headline(alarm: Alarm) -> str:
    """How urgent, which system, what."""
    return f"{alarm.tier.upper()}  {alarm.system}: {alarm.what}"


def block(
    alarm: Alarm,
    *,
    versions: Versions | None = None,
    like: Alarm | None = None,
    folder: str = "",
    only: Collection[str] = (),
) -> tuple[list[str], list[str]]:
    """The lines of its headline and those of its facts, or of those `only`, none longer than a terminal is wide; what
    was said of the alarm `like` in the same words is not said again."""
    known = facts(like, versions=versions, folder=folder) if like is not None else []
    told, again = [], []
    for label, said in facts(alarm, versions=versions, folder=folder):
        if only and label not in only:
            continue
        if (label, said) in known:
            again.append(label)
        else:
            told += lines(said, first=f"  {label:<{LABEL}}", rest=" " * (LABEL + 2))
    if again:
        told.append(f"  {'as above':<{LABEL}}{', '.join(again)}")
    return lines(with_roles(headline(alarm), versions.roles if versions else None), rest="  "), told


def measured(alarm: Alarm) -> str:
    """The value with its interval, beside what is allowed."""
    if alarm.value is None:
        return f"allowed: {bounded(alarm)}" if alarm.allowed and alarm.kind not in ("release", "retraining") else ""
    rows = f" on {alarm.rows:,} rows" if alarm.rows else ""
    shown = share if alarm.kind in SHARES else points if alarm.kind == "calibration" else number
    between = "" if alarm.low is None else f" ({shown(alarm.low)} to {shown(alarm.high)})".replace(" points to", " to")
    name = "" if alarm.kind in ("drift", "prediction_drift", "calibration") else f"{alarm.metric} "
    return f"{name}{shown(alarm.value)}{between}{rows}; allowed: {bounded(alarm)}"


def number(value: float | None) -> str:
    return NOTHING if value is None or not isfinite(value) else f"{value:,.3f}"


def share(value: float | None) -> str:
    return NOTHING if value is None or not isfinite(value) else f"{100 * value:.1f} %"


def points(value: float | None) -> str:
    return NOTHING if value is None or not isfinite(value) else f"{100 * value:.1f} points"


def bounded(alarm: Alarm) -> str:
    """What is allowed, in words; of a share in percent."""
    words, _, limit = limit_words(alarm.allowed, metric=alarm.metric).rpartition(" ")
    if limit.replace(".", "", 1).isdigit() and (alarm.kind in SHARES or alarm.kind == "calibration"):
        return f"{words} {100 * float(limit):.4g} {'%' if alarm.kind in SHARES else 'points'}"
    return f"{words} {limit}".strip()


def effect(found: Effect | None, *, kind: AlarmKind | None = None) -> str:
    """What it is estimated to do to quality and to money, or why nobody can say."""
    if found is None:
        return UNTOUCHED[kind] if kind else UNKNOWN_EFFECT
    if found.conditions.startswith(AT_ANOTHER):
        return at_another(found)
    parts = []
    if found.metric and found.value is not None and not is_money(found):
        between = "" if found.low is None or found.high is None else f" ({found.low:+.4g} to {found.high:+.4g})"
        parts.append(f"{direction(found)}{found.metric} {found.value:+.4g}{between}")
    if found.money is not None:
        parts.append(money(found))
    if not parts:
        return f"{UNKNOWN_EFFECT}: {found.conditions}" if found.conditions else UNKNOWN_EFFECT
    beside = "" if kind is None or kind in UNLIKE_BEFORE else "compared with its tests before release: "
    words = (FOUND_TOGETHER if kind in ESTIMATED else "") + beside + ", ".join(parts)
    joined = " " if found.conditions.startswith("than ") else "; "
    return f"{words}{joined}{found.conditions}" if found.conditions else words


def at_another(found: Effect) -> str:
    """What another threshold would have made of it: in money, or in a metric of which more is better."""
    gain, ends = found.value or 0.0, [end for end in (found.low, found.high) if end is not None]
    if not is_money(found):
        gain, ends = -gain, sorted(-end for end in ends)
    clear = len(ends) < 2 or min(ends) > 0
    between = f" ({ends[0]:,.4g} to {ends[1]:,.4g})" if len(ends) == 2 else ""
    where, _, tried = found.conditions.partition("; ")
    unit = f" {found.currency}" if found.currency else ""
    what = (
        f"each decision would cost {gain:,.4g}{unit} less"
        if is_money(found)
        else f"{found.metric} higher by {gain:,.4g}"
    )
    return f"{'' if clear else 'no clear change: '}{where}, {what}{between}; {tried}"


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


def subject_of(alarm: Alarm, versions: Versions | None = None) -> str:
    """The version and since when it answers, and the feature or slice where there is one."""
    version = "" if alarm.kind in OF_NO_VERSION or alarm.key.startswith(NOT_RELEASED) else alarm.version
    named = [f"{label} {name}" for label, name in (("feature", alarm.feature), ("slice", alarm.slice)) if name]
    if versions and version in versions.answered:
        return "; ".join([f"version {version}, {told_answered(versions.answered[version])}", *named])
    return ", ".join([f"version {version}", *named] if version else named)


def standing(alarm: Alarm) -> str:
    """Its state, and who brought it there, and when: another moment than that since which it lasts."""
    at = f" at {moment(alarm.handled_at)}" if alarm.handled_at and alarm.state != "resolved" else ""
    by = f" by {alarm.by}{at}" if alarm.by else ""
    why = f": {alarm.action}" if alarm.action not in ("", "seen", "silenced") and alarm.state != "open" else ""
    if alarm.state == "silenced":
        return f"silent until {moment(alarm.until)}; silenced{by}{why}"
    if alarm.state == "resolved":
        return f"over since {moment(alarm.ended)}{by}{why}"
    return f"{alarm.state}{by}{why}" if alarm.by or alarm.state != "open" else "open, and nobody is at it yet"


def what_follows(alarm: Alarm) -> str:
    """What comes of it that somebody has seen, silenced or ended it."""
    if alarm.state == "resolved":
        return "If it is not over, it rings again at the next look."
    ends = f"It stays open until {alarm.needs} looks in a row do not find it"
    if alarm.state == "silenced":
        return f"{ends}, and rings again {moment(alarm.until)}; before that only if it gets more urgent."
    if alarm.tier == "page":
        return f"{ends}, and nobody is rung for it again: nothing is more urgent than a page."
    return f"{ends}, and rings again only if it gets more urgent."


def subject(system: str, alarms: Sequence[Alarm], *, news: News, more: int = 0) -> str:
    """One line over alarms that belong together: how many, and what the first of them are about."""
    tier: Tier = by_urgency(alarms)[0].tier if alarms else "note"
    count = len(alarms) + more
    head = f"[{tier}] {system}, {NEWS[news]}{WHEN[tier] if news in ('opened', 'changed') else ''}"
    if count <= 1:
        return f"{head}: {spaced(alarms[0].what)}" if alarms else head
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


def text(
    alarms: Sequence[Alarm],
    *,
    more: int = 0,
    versions: Versions | None = None,
    machine: str = "its machine",
    folder: str = "",
    at: int = 0,
) -> str:
    """Each alarm with all that is known of it as it was `at` a moment, and how to go on, on which `machine` and where;
    without `versions` they are named by ids alone."""
    parts, first = [f"As it was {moment(at)}:"] if at else [], dict[str, Alarm]()
    for one in alarms:
        head, told = block(one, versions=versions, like=first.get(one.kind), folder=folder)
        first.setdefault(one.kind, one)
        parts.append("\n".join([*head, *told]))
    if more:
        parts.append(f"{more:,} more are not named here: kring alarms shows them")
    ringing = [one for one in alarms if one.state != "resolved"]
    if ringing:
        place = f"On {machine}:" if folder else f"On {machine}, in the folder of the system:"
        parts.append(
            "\n".join([place, *commands(ringing, folder=folder, no_way_back=versions.no_way_back if versions else "")])
        )
    else:
        parts.append("It is over: nothing has to be done.")
    return "\n\n".join(parts)


def commands(alarms: Sequence[Alarm], *, folder: str = "", no_way_back: str = "") -> list[str]:
    """What can be done about them, as it can be typed. They are meant by the id of their group, if that is one.
    `no_way_back` is what keeps the version before from answering again."""
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
    ways = [cure for cure in dict.fromkeys(cures) if not (cure == GO_BACK and no_way_back)]
    told += [(when, f"kring {command.format(where).strip()}") for when, command in ways]
    notes = [TRAINED] if RETRAIN in cures else []
    notes += [f"There is no way back now: {no_way_back}"] if GO_BACK in cures and no_way_back else []
    under = [line for note in notes for line in lines(note, first=" " * 18, rest=" " * 18)]
    return [*(f"  {when:<15} {command}" for when, command in told), *under]
