"""`fold(state, events, now) → (state, commands)`: the operator's whole judgement, pure.

What watch, learn and release say about single facts is joined here into what happens next. The
caller commits state and commands in one ledger transaction and then carries the commands out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from kring.learn.triggers import retraining_due
from kring.metrics.ids import digest_id
from kring.metrics.intervals import wilson
from kring.record.alarm import Alarm, AlarmKind, Breach
from kring.record.operator import (
    Command,
    MoveRollout,
    OperatorEvent,
    OperatorState,
    QualityJudged,
    RaiseAlarm,
    Retrain,
    Retrained,
    RollbackAsked,
    SetPointer,
    ShadowCompared,
    WindowClosed,
)
from kring.record.rollout import Pointer, Rollout, RolloutState
from kring.record.system import System
from kring.release import rollout as rollouts
from kring.watch.inputs import judge_inputs
from kring.watch.quality import breach_of

ACTOR: Final = "operator"
Step = tuple[OperatorState, list[Command]]


@dataclass(frozen=True)
class Moment:
    """The system as declared, and the time (microseconds UTC)."""

    system: System
    now: int


def fold(system: System, state: OperatorState, events: Sequence[OperatorEvent], *, now: int) -> Step:
    """The next state and what is to be done, in order. The same arguments give the same answer.

    A person's rollback is heard before anything else in the same batch of events.
    """
    moment = Moment(system, now)
    state = msgspec.structs.replace(state, seq=state.seq + 1, outbox=())
    commands: list[Command] = []
    for event in sorted(events, key=lambda event: not isinstance(event, RollbackAsked)):
        state, more = HANDLERS[type(event)](moment, state, event)
        commands += more
    return msgspec.structs.replace(state, outbox=tuple(commands)), commands


def on_window(moment: Moment, state: OperatorState, event: WindowClosed) -> Step:
    """Inputs against the contract, the end of a bake, the schedule."""
    system, now = moment.system, moment.now
    commands: list[Command] = []
    breach = judge_inputs(
        rows=event.decisions, violations=event.violations, allowed=system.watch.violations, since=event.start
    )
    if breach is not None:
        state, commands = alarmed(moment, state, "data_quality", breach)
    if event.fallbacks:
        state, alarm = alarmed(moment, state, "fallback", fallback_breach(event))
        commands += alarm
    if state.rollout and state.rollout.state == "baking" and now - state.rollout.since >= system.rollout.bake_us:
        state, moved = moved_to(state, ("done",), "baked without a rollback", now)
        commands += moved
    state, retraining = retrained(moment, state)
    return state, commands + retraining


def on_quality(moment: Moment, state: OperatorState, event: QualityJudged) -> Step:
    """Realised quality wholly beyond the gate: an alarm per metric, and perhaps a retraining."""
    commands: list[Command] = []
    for line in event.lines:
        if line.result == "fail":
            state, alarm = alarmed(moment, state, "quality", breach_of(line, since=event.start))
            if alarm and line.metric not in state.breached:
                state = msgspec.structs.replace(state, breached=(*state.breached, line.metric))
            commands += alarm
    state, retraining = retrained(moment, state)
    return state, commands + retraining


def on_retrained(moment: Moment, state: OperatorState, event: Retrained) -> Step:
    """A passed version starts its rollout; anything else asks a person."""
    system, now = moment.system, moment.now
    state = msgspec.structs.replace(state, retraining="", retrained_at=now, breached=())
    if event.result != "pass":
        return unpassed(moment, state, event)
    state, commands = replaced_rollout(state, event.version, now)
    entropy = digest(system.name, str(state.seq), event.version)
    started = rollouts.start(
        id=digest_id("ro", entropy),
        system=system.name,
        version=event.version,
        previous=state.pointer.live if state.pointer else "",
        reason=event.trigger,
        actor=ACTOR,
        at=now,
    )
    state = msgspec.structs.replace(state, rollout=started)
    commands.append(MoveRollout(rollout=started))
    if state.pointer is None or not system.rollout.shadow_us:
        why = "no shadow was asked for" if state.pointer else "the first version: nothing to shadow"
        state, moved = promoted(state, ("validating",), why, now)
    else:
        state, moved = moved_to(state, ("validating", "shadow"), "gate passed, signature verified", now)
    return state, commands + moved


def unpassed(moment: Moment, state: OperatorState, event: Retrained) -> Step:
    """A training without a version: an alarm each time, whatever was raised before."""
    kind: AlarmKind = "retraining" if event.broke_at else "release"
    breach = Breach(
        metric=event.broke_at or "gate",
        value=None,
        low=None,
        high=None,
        allowed="pass",
        rows=0,
        since=moment.now,
        what=f"{event.result if kind == 'release' else 'broke'} ({event.trigger}): {event.reason}",
    )
    return alarmed(moment, state, kind, breach, owner=moment.system.accountable(event.broke_at or "release"))


def on_shadow(moment: Moment, state: OperatorState, event: ShadowCompared) -> Step:
    """Promote a shadow that answered everything for long enough. No rows, no promotion (law 3)."""
    system, now = moment.system, moment.now
    rollout = state.rollout
    if rollout is None or rollout.state != "shadow" or rollout.version != event.version:
        return state, []
    if event.failures:
        what = f"the shadow could not answer {event.failures} of {event.rows} rows"
        breach = Breach(
            metric="failures", value=float(event.failures), low=None, high=None, allowed="0", rows=event.rows,
            since=rollout.since, what=what,
        )  # fmt: skip
        state, alarm = alarmed(moment, state, "release", breach)
        state, moved = moved_to(state, ("aborted",), what, now)
        return state, alarm + moved
    if event.rows == 0 or now - rollout.since < system.rollout.shadow_us:
        return state, []
    reason = (
        f"shadow answered {event.rows:,} rows; {event.agreement:.1%} equal decisions, "
        f"mean difference {event.mean_difference:.3f}"
    )
    return promoted(state, (), reason, now)


def on_rollback(moment: Moment, state: OperatorState, event: RollbackAsked) -> Step:
    """The previous version answers again, and a rollout under way ends. Without a previous version a
    shadow can still be ended; else there is nothing to do."""
    now = moment.now
    pointer = state.pointer
    commands: list[Command] = []
    if pointer is None or not pointer.previous:
        shadowed = state.rollout is not None and state.rollout.state == "shadow"
        ends: tuple[RolloutState, ...] = ("rolling_back", "rolled_back") if shadowed else ()
        return moved_to(state, ends, event.reason, now, actor=event.actor) if ends else (state, [])
    if state.rollout and state.rollout.state in ("draft", "validating"):
        state, commands = moved_to(state, ("aborted",), event.reason, now, actor=event.actor)
    elif state.rollout and "rolling_back" in rollouts.allowed(state.rollout.state):
        state, commands = moved_to(state, ("rolling_back", "rolled_back"), event.reason, now, actor=event.actor)
    back = turned(pointer, live=pointer.previous, previous="", rollout=pointer.rollout, now=now)
    return msgspec.structs.replace(state, pointer=back), [*commands, SetPointer(pointer=back, actor=event.actor)]


Handler = Callable[[Moment, OperatorState, OperatorEvent], Step]
HANDLERS: Final[dict[type[OperatorEvent], Handler]] = {
    WindowClosed: on_window,  # type: ignore[dict-item]
    QualityJudged: on_quality,  # type: ignore[dict-item]
    Retrained: on_retrained,  # type: ignore[dict-item]
    ShadowCompared: on_shadow,  # type: ignore[dict-item]
    RollbackAsked: on_rollback,  # type: ignore[dict-item]
}


def promoted(state: OperatorState, via: tuple[RolloutState, ...], reason: str, now: int) -> Step:
    """The rollout's version becomes live and bakes; the one that was live becomes previous."""
    state, commands = moved_to(state, (*via, "promoted", "baking"), reason, now)
    assert state.rollout is not None
    old = state.pointer
    pointer = Pointer(
        system=state.system,
        live=state.rollout.version,
        previous=old.live if old else "",
        generation=old.generation + 1 if old else 1,
        rollout=state.rollout.id,
        at=now,
    )
    return msgspec.structs.replace(state, pointer=pointer), [*commands, SetPointer(pointer=pointer, actor=ACTOR)]


def replaced_rollout(state: OperatorState, version: str, now: int) -> Step:
    """End what is still under way before another rollout starts."""
    rollout = state.rollout
    if rollout is None or rollout.state in ("done", "rolled_back", "aborted"):
        return state, []
    target: RolloutState = "done" if rollout.state == "baking" else "aborted"
    return moved_to(state, (target,), f"replaced by {version}", now)


def moved_to(
    state: OperatorState, targets: Sequence[RolloutState], reason: str, now: int, *, actor: str = ACTOR
) -> Step:
    """Walk the rollout through `targets`, one command each."""
    commands: list[Command] = []
    rollout = state.rollout
    assert rollout is not None
    for target in targets:
        rollout = rollouts.advance(rollout, target, seq=rollout.seq, reason=reason, actor=actor, at=now)
        commands.append(MoveRollout(rollout=rollout))
    return msgspec.structs.replace(state, rollout=rollout), commands


def retrained(moment: Moment, state: OperatorState) -> Step:
    """Ask for a training, unless one runs or a version is still on its way. What was breached meanwhile
    is not forgotten: it asks again at the next window."""
    if state.retraining or state.pointer is None or (state.rollout and in_the_making(state.rollout)):
        return state, []
    trigger = retraining_due(moment.system.learn, breached=state.breached, last=state.retrained_at, now=moment.now)
    if not trigger:
        return state, []
    return msgspec.structs.replace(state, retraining=trigger), [Retrain(trigger=trigger)]


def in_the_making(rollout: Rollout) -> bool:
    return rollout.state in ("draft", "validating", "shadow", "step")


def alarmed(moment: Moment, state: OperatorState, kind: AlarmKind, breach: Breach, *, owner: str = "") -> Step:
    """Raise an alarm; a monitor's is not raised again while the same metric is quiet after its last one."""
    system, now = moment.system, moment.now
    key = f"{kind}/{breach.metric}"
    if kind in MONITORS:
        if state.quiet.get(key, 0) > now:
            return state, []
        state = msgspec.structs.replace(state, quiet={**state.quiet, key: now + system.watch.quality_us})
    version = state.pointer.live if state.pointer else ""
    alarm = Alarm(
        id=digest_id("a", digest(system.name, str(state.seq), key)),
        system=system.name,
        version=version,
        kind=kind,
        what=breach.what,
        metric=breach.metric,
        value=breach.value,
        low=breach.low,
        high=breach.high,
        allowed=breach.allowed,
        rows=breach.rows,
        since=breach.since,
        at=now,
        owner=owner or system.accountable("data" if kind == "data_quality" else "operate"),
        proposal=PROPOSALS[kind],
    )
    return state, [RaiseAlarm(alarm=alarm)]


def hushed(state: OperatorState, kind: AlarmKind, *, now: int) -> set[str]:
    """The metrics whose alarm of this kind was raised and is not raised again yet."""
    return {key.removeprefix(f"{kind}/") for key, until in state.quiet.items() if until > now}


MONITORS: Final[tuple[AlarmKind, ...]] = ("data_quality", "quality", "fallback")
"""What looks again and again; everything else happens once and is told each time."""

PROPOSALS: Final[dict[AlarmKind, str]] = {
    "data_quality": "look at the rows that broke the contract (kring trace on one of them), mend the feed",
    "quality": "retrain on the newest data, or roll back if it began with a release",
    "fallback": "look at why the version did not answer (kring trace on one of its decisions), or roll back",
    "release": "a person should look: kring compare, then release by hand or leave it",
    "retraining": "read the reason, mend it, then kring train",
}


def fallback_breach(event: WindowClosed) -> Breach:
    """Rows that the version they were put to did not answer itself."""
    share = event.fallbacks / max(event.decisions, 1)
    low, high = wilson(event.fallbacks, event.decisions)
    return Breach(
        metric="fallbacks",
        value=share,
        low=low,
        high=high,
        allowed="fallbacks <= 0",
        rows=event.decisions,
        since=event.start,
        what=f"{event.fallbacks:,} of {event.decisions:,} rows ({share:.1%}) were answered by a fallback",
    )


def turned(pointer: Pointer, *, live: str, previous: str, rollout: str, now: int) -> Pointer:
    return msgspec.structs.replace(
        pointer, live=live, previous=previous, rollout=rollout, generation=pointer.generation + 1, at=now
    )


def digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
