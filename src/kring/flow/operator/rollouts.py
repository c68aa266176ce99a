"""Rollouts: from a passed version to the one that answers, and back."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from kring.flow.operator.alarms import alarmed
from kring.flow.operator.moment import ACTOR, Moment, Step, digest
from kring.metrics.ids import digest_id
from kring.record.alarm import Breach
from kring.record.operator import Command, MoveRollout, OperatorState, RollbackAsked, SetPointer, ShadowCompared
from kring.record.rollout import Pointer, Rollout, RolloutState
from kring.release import rollout as rollouts


def started(moment: Moment, state: OperatorState, *, version: str, reason: str) -> Step:
    """A rollout of a passed version, as far as it goes at once; what was under way ends."""
    system, now = moment.system, moment.now
    state, commands = replaced_rollout(state, version, now)
    entropy = digest(system.name, str(state.seq), version)
    draft = rollouts.start(
        id=digest_id("ro", entropy),
        system=system.name,
        version=version,
        previous=state.pointer.live if state.pointer else "",
        reason=reason,
        actor=ACTOR,
        at=now,
    )
    state = msgspec.structs.replace(state, rollout=draft)
    commands.append(MoveRollout(rollout=draft))
    if state.pointer is None or not system.rollout.shadow_us:
        why = "no shadow was asked for" if state.pointer else "the first version: nothing to shadow"
        state, moved = promoted(state, ("validating",), why, now)
    else:
        state, moved = moved_to(state, ("validating", "shadow"), "gate passed, signature verified", now)
    return state, commands + moved


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


def in_the_making(rollout: Rollout) -> bool:
    return rollout.state in ("draft", "validating", "shadow", "step")


def turned(pointer: Pointer, *, live: str, previous: str, rollout: str, now: int) -> Pointer:
    return msgspec.structs.replace(
        pointer, live=live, previous=previous, rollout=rollout, generation=pointer.generation + 1, at=now
    )
