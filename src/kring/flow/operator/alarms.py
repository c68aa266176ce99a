"""Alarms: opened once, counted while they last, told when that is news, over by themselves or by hand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Final

import msgspec

from kring.charts.versions import roles_of
from kring.flow.operator.moment import Moment, Step, digest
from kring.metrics.ids import digest_id
from kring.record.alarm import Alarm, AlarmKind, Breach, News, Past
from kring.record.operator import AlarmHandled, Command, Notify, OperatorEvent, OperatorState, RaiseAlarm, Watched
from kring.record.rollout import Pointer
from kring.record.running import Tier
from kring.watch import alarms as ladder

NAMED: Final = 50
"""Alarms that one message names at the most."""

NAME_ALL: Final = frozenset({"alertmanager"})
"""Kinds of target that keep each alarm by itself: what they are not told of is not there, or never ends."""

OF_WHO_COMES: Final = ("caller = ", "supplier = ")
"""Slices of those who may stay away: then nothing is found of them, in whatever else is looked at in a window."""

IN_EACH_WINDOW: Final = ("data_quality/", "queries/")

OF_A_VERSION: Final[frozenset[AlarmKind]] = frozenset(
    {
        "quality", "fallback", "drift", "prediction_drift", "estimated_quality", "calibration", "fairness", "latency",
        "cost", "outliers", "probes",
    }
)  # fmt: skip
"""What is found of the version that answers, and says nothing about another."""

PROPOSALS: Final[dict[AlarmKind, str]] = {
    "data_quality": "look at the rows that broke the contract (kring trace on one of them), mend the feed",
    "quality": "retrain on the newest data (kring retrain --now); if it began with a release, go back (kring rollback)",
    "fallback": "see why the version did not answer (kring trace on one of its decisions), or go back (kring rollback)",
    "release": "look at it (kring rollout show, kring compare); release by hand (kring release), or leave it",
    "retraining": "read the reason, mend it, then kring train",
    "drift": "look at what changed in the feed; if it is real, retrain on data that holds it (kring retrain --now)",
    "prediction_drift": "look at the inputs that drift with it; if nothing explains it, go back (kring rollback)",
    "estimated_quality": "get labels for a sample (kring review), they say whether the estimate is right",
    "calibration": "retrain (kring retrain --now): the threshold follows from the prices in kring.toml, so it is "
    "right as soon as probabilities are; until then read them with care",
    "fairness": "look at the decisions of that group, retrain or change the threshold with the accountable person",
    "latency": "look at what the version does in that time, or give it more workers",
    "cost": "look at the dearest decisions, or roll back to the cheaper version",
    "outliers": "look at the rows that are unlike those that were learned from; retrain if they are to stay",
    "queries": "look at what that key asks for; limit it, or revoke it (kring key revoke)",
    "probes": "ask whoever runs the service what has changed; roll back to a version that does not use it",
    "service_level": "look at what failed, before the error budget is used up",
    "drill": "run the drill: kring drill",
    "trial": "read the trial and end it: kring trial show",
}
OF_METRIC: Final[dict[str, str]] = {
    "release/held": "see why, and go on, give it up or go back as kring rollout show says",
    "release/rolled_back": "nothing at once; in the day find out what it did worse before the next one is released",
    "release/failures": "nothing at once; in the day find out why it could not answer, and release another",
    "release/worse": "nothing at once; in the day find out what it does worse, and release another",
    "release/refused": "read the reason, mend it, then kring release",
    "release/waiting": "let the one on its way come to its end, or end it (kring abort); then kring release",
    "release/gate": "see how far it is from its limits (kring compare); mend what is wrong with the data or the "
    "candidates, or leave it: it is trained again when it is due",
    "trial/split": "stop it (kring trial stop), mend what assigns or counts, then start it again",
    "trial/coverage": "find out why reports of one arm are missing, and report them (kring trial outcomes)",
    "trial/no_data": "look whether outcomes are sent (kring trial outcomes)",
    "trial/worse": "look at it (kring trial show), and stop it if that arm should not go on (kring trial stop)",
    "trial/ended": "read what it found (kring trial show), and give everybody the arm that you choose",
    "retraining/waiting": "say yes (kring retrain --approve) or no (kring retrain --refuse)",
}
"""What is proposed where the metric says more than the kind."""


def on_watched(moment: Moment, state: OperatorState, event: Watched) -> Step:
    """The findings of the monitors of one window."""
    return judged(moment, state, event.breaches, looked=event.looked, start=event.start, end=event.end)


def together(events: Sequence[OperatorEvent]) -> list[OperatorEvent]:
    """The events, with what several monitors found in one window as one of them, at the place of the first: whichever
    of them came first."""
    windows: dict[tuple[int, int], Watched] = {}
    for event in events:
        if isinstance(event, Watched):
            window = event.start, event.end
            one = windows.get(window, Watched(start=event.start, end=event.end, breaches=(), looked=()))
            windows[window] = msgspec.structs.replace(
                one, breaches=(*one.breaches, *event.breaches), looked=(*one.looked, *event.looked)
            )
    merged: list[OperatorEvent] = []
    for event in events:
        found = windows.pop((event.start, event.end), None) if isinstance(event, Watched) else event
        if found is not None:
            merged.append(found)
    return merged


def on_alarm_handled(moment: Moment, state: OperatorState, event: AlarmHandled) -> Step:
    """What a person did about an alarm; nothing when it is over or unknown."""
    found = next((alarm for alarm in state.alarms if alarm.id == event.alarm), None)
    if found is None:
        return state, []
    after = ladder.handled(found, event.how, actor=event.actor, reason=event.reason, until=event.until, now=moment.now)
    if after == found:
        return state, []
    return kept(state, after), [RaiseAlarm(alarm=after, tell=after.state == "resolved")]


def judged(
    moment: Moment, state: OperatorState, breaches: Sequence[Breach], *, looked: Iterable[str], start: int, end: int
) -> Step:
    """What was looked at in the window from `start` to `end`, and what of it was found: new alarms open, known ones
    count on, those that were looked for in vain often enough are over. The order of the findings changes nothing."""
    known = {alarm.key: alarm for alarm in state.alarms}
    found = ladder.one_each(breaches)
    kinds = {breach.kind for breach in found} | {alarm.kind for alarm in state.alarms}
    changed = [sighted(moment, state, one, known.get(one.key), among=kinds, start=start, end=end) for one in found]
    looked = {*looked}
    if any(key.startswith(IN_EACH_WINDOW) for key in looked):
        looked |= {alarm.key for alarm in state.alarms if alarm.slice.startswith(OF_WHO_COMES)}
    vain = sorted(looked - {breach.key for breach in found})
    changed += [ladder.not_found(known[key], end=end, now=moment.now) for key in vain if key in known]
    commands: list[Command] = []
    for alarm in changed:
        before = known.get(alarm.key)
        state = kept(state, alarm)
        if before is None or (before.tier, before.state) != (alarm.tier, alarm.state):
            commands.append(RaiseAlarm(alarm=alarm))
    return state, commands


def sighted(
    moment: Moment, state: OperatorState, breach: Breach, alarm: Alarm | None, *,
    among: Collection[AlarmKind], start: int, end: int,
) -> Alarm:  # fmt: skip
    """A finding as an alarm: another sight of the one there is, or a new one."""
    tier = ladder.tier_of(breach, among=among)
    if alarm is not None:
        return ladder.found_again(alarm, breach, tier=tier, end=end, now=moment.now)
    group = digest_id("g", digest(moment.system.name, ladder.cause_of(breach.kind), str(start), str(end)))
    return opened(moment, state, breach, tier=tier, group=group, end=end)


def alarmed(moment: Moment, state: OperatorState, kind: AlarmKind, breach: Breach, *, owner: str = "") -> Step:
    """Raise an alarm on what happens once and is told each time: again if one of its key is open."""
    breach = msgspec.structs.replace(breach, kind=kind)
    known = next((alarm for alarm in state.alarms if alarm.key == breach.key), None)
    tier = ladder.tier_of(breach)
    if known is None:
        alarm = opened(moment, state, breach, tier=tier, group="", end=moment.now, owner=owner)
    else:
        end = max(moment.now, known.looked_at + 1)
        again = ladder.found_again(known, breach, tier=tier, end=end, now=moment.now)
        alarm = ladder.opened_again(again)
    return raised(state, [alarm])


def settled(moment: Moment, state: OperatorState, kinds: Collection[AlarmKind], *, why: str) -> Step:
    """End all alarms of these kinds: what they asked for was done."""
    ours = [alarm for alarm in state.alarms if alarm.kind in kinds]
    return raised(state, [ladder.ended(alarm, by="", action=why, now=moment.now) for alarm in ours])


def raised(state: OperatorState, alarms: Sequence[Alarm]) -> Step:
    """The alarms as they are now: kept, and told."""
    for alarm in alarms:
        state = kept(state, alarm)
    return state, [RaiseAlarm(alarm=alarm) for alarm in alarms]


def opened(
    moment: Moment, state: OperatorState, breach: Breach, *, tier: Tier, group: str, end: int, owner: str = ""
) -> Alarm:
    """A new alarm on a finding."""
    system, now = moment.system, moment.now
    id = digest_id("a", digest(system.name, str(state.seq), breach.key))
    return Alarm(
        id=id,
        system=system.name,
        version=breach.version or (state.pointer.live if state.pointer else ""),
        kind=breach.kind,
        what=breach.what,
        metric=breach.metric,
        value=breach.value,
        low=breach.low,
        high=breach.high,
        allowed=breach.allowed,
        rows=breach.rows,
        since=breach.since,
        at=now,
        owner=owner or system.accountable("data" if breach.kind == "data_quality" else "operate"),
        proposal=OF_METRIC.get(f"{breach.kind}/{breach.metric}", PROPOSALS[breach.kind]),
        tier=tier,
        feature=breach.feature,
        slice=breach.slice,
        sure=ladder.sureness(breach),
        effect=breach.effect,
        group=group or id,
        last=now,
        looked_at=end,
        needs=ladder.needs_after(state.past.get(breach.key), within_us=system.watch.quality_us, now=now),
    )


def retired(moment: Moment, state: OperatorState, *, before: Pointer | None) -> Step:
    """End the alarms about versions that answer no more, once others than those of `before` do: what was found of them
    is no news of those that answer now. One that keeps a share while its successor bakes still answers."""
    pointer = state.pointer
    if pointer is None or (before is not None and who_answers(pointer) == who_answers(before)):
        return state, []
    gone = [one for one in state.alarms if one.kind in OF_A_VERSION and one.version not in who_answers(pointer)]
    why = f"{pointer.live} answers instead"
    return raised(state, [ladder.ended(alarm, by="", action=why, now=moment.now) for alarm in gone])


def who_answers(pointer: Pointer) -> tuple[str, str]:
    """The versions that answer: the live one, and the one beside it if there is any."""
    return pointer.live, pointer.canary


def kept(state: OperatorState, alarm: Alarm) -> OperatorState:
    """The state with the alarm as it is now, by key; without it when it is over."""
    others = [one for one in state.alarms if one.key != alarm.key]
    now = others if alarm.state == "resolved" else [*others, alarm]
    past = state.past
    if alarm.state == "resolved" and alarm.clear >= alarm.needs:
        past = {**past, alarm.key: Past(ended=alarm.ended, needs=alarm.needs)}
    return msgspec.structs.replace(state, alarms=tuple(sorted(now, key=lambda one: one.key)), past=past)


def woken(moment: Moment, state: OperatorState) -> Step:
    """Silenced alarms that last beyond their silence speak again."""
    lasting = [alarm for alarm in state.alarms if ladder.speaks_again(alarm, now=moment.now)]
    return raised(state, [ladder.opened_again(alarm) for alarm in lasting])


def notices(moment: Moment, state: OperatorState, commands: Sequence[Command]) -> list[Command]:
    """One message for each group, kind of news and target, from the alarms that this step raised."""
    groups: defaultdict[tuple[News, str], dict[str, Alarm]] = defaultdict(dict)
    for command in commands:
        if isinstance(command, RaiseAlarm) and command.tell:
            groups[news_of(command.alarm), command.alarm.group][command.alarm.id] = command.alarm
    told: list[Command] = []
    roles = roles_of(state.pointer, state.rollout)
    for target in moment.system.notify:
        for (news, group), members in sorted(groups.items()):
            urgent = [one for one in members.values() if ladder.rank(one.tier) >= ladder.rank(target.least)]
            alarms = ladder.by_urgency(urgent)
            if alarms:
                id = digest_id("n", digest(moment.system.name, str(state.seq), target.name, news, group))
                named = tuple(alarms if target.to in NAME_ALL else alarms[:NAMED])
                more = len(alarms) - len(named)
                notify = Notify(id=id, target=target.name, news=news, alarms=named, more=more, roles=roles)
                told.append(notify)
    return told


def news_of(alarm: Alarm) -> News:
    if alarm.state == "resolved":
        return "resolved"
    return "opened" if alarm.count == 1 and alarm.at == alarm.last and not alarm.action else "changed"


def open_metrics(state: OperatorState, kind: AlarmKind) -> set[str]:
    """The metrics of which an alarm of this kind is not over: they have to be looked at until it is."""
    return {alarm.metric for alarm in state.alarms if alarm.kind == kind}
