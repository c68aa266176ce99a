"""Rollouts: from a passed version to the one that answers, and back; what people ask for is heard before proof is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from kring.errors import Refused
from kring.flow.operator.alarms import alarmed, settled
from kring.flow.operator.moment import ACTOR, Moment, Step, digest
from kring.metrics.ids import digest_id
from kring.record.alarm import AlarmKind, Breach
from kring.record.operator import Command, MoveRollout, OperatorState, RollbackAsked, RolloutAsked, SetPointer
from kring.record.rollout import Brake, Pointer, Rollout, RolloutState, Terms
from kring.release import judging
from kring.release import rollout as rollouts
from kring.release.brakes import counted_brakes
from kring.release.terms import config_digest, freeze

FULL: Final = 100
HERE: Final[tuple[AlarmKind, ...]] = ("release",)

COUNTED: Final[tuple[Brake, ...]] = ("split", "coverage")
"""Brakes that follow from counts, and so are never off again."""


def started(
    moment: Moment, state: OperatorState, *, version: str, reason: str, limits: Mapping[str, tuple[float, ...]]
) -> Step:
    """A rollout of a passed version, as far as it goes at once. One that is on its way is not pushed aside; one that
    was held or bakes untested is."""
    system, now = moment.system, moment.now
    if state.rollout and in_the_making(state.rollout) and state.rollout.state != "held":
        return waits(moment, state, version)
    state, commands = replaced_rollout(state, version, now)
    entropy = digest(system.name, str(state.seq), version)
    id = digest_id("ro", entropy)
    try:
        terms = freeze(system, limits=limits, salt=id, at=now) if state.pointer else None
        draft = rollouts.start(
            id=id,
            system=system.name,
            version=version,
            previous=state.pointer.live if state.pointer else "",
            reason=reason,
            actor=ACTOR,
            at=now,
            terms=terms,
        )
    except Refused as error:
        state, alarm = told(moment, state, "refused", f"{version} can't be released: {error.message}", since=now)
        return state, commands + alarm
    progress = judging.started(id, terms) if terms else None
    state = msgspec.structs.replace(state, rollout=draft, progress=progress, sealed=None, shadow=None, brakes=())
    commands.append(MoveRollout(rollout=draft))
    if terms is None:
        state, moved = promoted(state, ("validating",), "the first version: nothing to shadow", now)
    elif shadows(terms):
        state, moved = moved_to(state, ("validating", "shadow"), "gate passed, signature verified", now)
    else:
        state, valid = moved_to(state, ("validating",), "gate passed, signature verified", now)
        state, moved = forward(state, "no shadow was asked for", now)
        moved = valid + moved
    return state, commands + moved


def shadows(terms: Terms) -> bool:
    """Whether a version answers beside the live one first: asked for, or the only way to judge outcomes."""
    return terms.shadow_us > 0 or any(guardrail.route == "paired" for guardrail in terms.guardrails)


def waits(moment: Moment, state: OperatorState, version: str) -> Step:
    """Two rollouts at once would spoil each other's tests."""
    assert state.rollout is not None
    what = (
        f"{version} was not released: {state.rollout.version} is on its way ({state.rollout.state}). Let it come to its"
        f" end or end it (kring abort), then release {version}"
    )
    return told(moment, state, "waiting", what, since=state.rollout.since)


def on_rollback(moment: Moment, state: OperatorState, event: RollbackAsked) -> Step:
    """A canary loses its traffic; without one the previous version answers again. A rollout under way ends."""
    pointer, rollout = state.pointer, state.rollout
    if rollout is not None and is_canary(rollout):
        return rolled_back(moment, state, event.reason, actor=event.actor)
    if pointer is None or not pointer.previous:
        shadowed = rollout is not None and rollout.stage == "shadow"
        return rolled_back(moment, state, event.reason, actor=event.actor) if shadowed else (state, [])
    commands: list[Command] = []
    if rollout and rollout.state in ("draft", "validating"):
        state, commands = moved_to(state, ("aborted",), event.reason, moment.now, actor=event.actor)
    elif rollout and "rolling_back" in rollouts.allowed(rollout.state):
        state, commands = moved_to(state, ROLL_BACK, event.reason, moment.now, actor=event.actor)
    back = turned(pointer, live=pointer.previous, previous="", rollout=pointer.rollout, now=moment.now)
    return msgspec.structs.replace(state, pointer=back), [*commands, SetPointer(pointer=back, actor=event.actor)]


def on_rollout_asked(moment: Moment, state: OperatorState, event: RolloutAsked) -> Step:
    """A person stops a rollout for a while, lets it go on, or ends it; nothing when it can't be."""
    rollout = state.rollout
    if rollout is None or why_not(moment, state, event.what):
        return state, []
    if event.what == "hold":
        return moved_to(state, ("held",), event.reason, moment.now, actor=event.actor)
    if event.what == "resume":
        state = msgspec.structs.replace(state, brakes=tuple(brake for brake in state.brakes if brake != "clock"))
        return resumed(moment, state, event.reason, actor=event.actor)
    state, commands = moved_to(state, ("aborted",), event.reason, moment.now, actor=event.actor)
    state, alone = without_canary(state, moment.now, actor=event.actor)
    return state, commands + alone


def why_not(moment: Moment, state: OperatorState, what: str) -> str:
    """Why a rollout can't be held, resumed or aborted now, and what can be done; empty when it can."""
    rollout = state.rollout
    if rollout is None or is_over(rollout):
        return "no rollout is under way: kring release starts one"
    if what == "hold":
        return "it is held already: kring resume lets it go on" if rollout.state == "held" else ""
    if what == "abort":
        is_live = rollout.stage in ("promoted", "baking")
        return "the new version answers already: kring rollback brings the one before it back" if is_live else ""
    if rollout.state != "held":
        return "it is not held, so there is nothing to resume"
    on = [brake for brake in braking(moment, state) if brake != "clock"]
    cure = "put kring.toml back as it was, or kring abort and release again" if "config_changed" in on else ""
    return f"its brakes are on ({', '.join(on)}): {cure or 'kring rollout show says what they saw'}" if on else ""


def resumed(moment: Moment, state: OperatorState, reason: str, *, actor: str = ACTOR) -> Step:
    """On from where it was held, with a new span of time for its step and the same evidence."""
    rollout = state.rollout
    assert rollout is not None
    assert rollout.before is not None
    state, over = settled(moment, state, HERE, why=f"the rollout goes on: {reason}")
    state, commands = moved_to(state, (rollout.before,), reason, moment.now, actor=actor)
    if rollout.before != "step":
        return state, over + commands
    state, pointed = with_canary(state, moment.now, actor=actor)
    return state, over + commands + pointed


def held(moment: Moment, state: OperatorState, reason: str, *, brakes: tuple[Brake, ...] = ()) -> Step:
    """Traffic stays as it is until a person, or what was in the way, lets it go on."""
    assert state.rollout is not None
    since = state.rollout.since
    state, commands = moved_to(state, ("held",), reason, moment.now, brakes=brakes)
    state, alarm = told(moment, state, "held", f"the rollout of {state_version(state)} waits: {reason}", since=since)
    return state, commands + alarm


def rolled_back(moment: Moment, state: OperatorState, reason: str, *, actor: str = ACTOR) -> Step:
    """The version that was there before answers everything again."""
    rollout, pointer = state.rollout, state.pointer
    assert rollout is not None
    assert pointer is not None
    swapped = pointer.live == rollout.version
    state, commands = moved_to(state, ROLL_BACK, reason, moment.now, actor=actor)
    if not swapped:
        state, alone = without_canary(state, moment.now, actor=actor)
        return state, commands + alone
    back = turned(pointer, live=pointer.previous, previous="", rollout=rollout.id, now=moment.now)
    return msgspec.structs.replace(state, pointer=back), [*commands, SetPointer(pointer=back, actor=actor)]


def forward(state: OperatorState, reason: str, now: int) -> Step:
    """The next step, or all traffic after the last one."""
    assert state.rollout is not None
    step = rollouts.next_step(state.rollout)
    if step is None:
        return promoted(state, (), reason, now)
    state, commands = moved_to(state, ("step",), reason, now, step=step)
    state, pointed = with_canary(state, now)
    return state, commands + pointed


def promoted(state: OperatorState, via: tuple[RolloutState, ...], reason: str, now: int) -> Step:
    """The rollout's version becomes live and bakes; the one that was live becomes previous, and keeps a share."""
    state, commands = moved_to(state, (*via, "promoted", "baking"), reason, now)
    assert state.rollout is not None
    old, terms = state.pointer, state.rollout.terms
    pointer = Pointer(
        system=state.system,
        live=state.rollout.version,
        previous=old.live if old else "",
        generation=old.generation + 1 if old else 1,
        rollout=state.rollout.id,
        at=now,
    )
    if terms and old and terms.holdback:
        pointer = msgspec.structs.replace(
            pointer, canary=old.live, share=terms.holdback, salt=terms.salt, unit=terms.unit, highest=True
        )
    return msgspec.structs.replace(state, pointer=pointer), [*commands, SetPointer(pointer=pointer, actor=ACTOR)]


def with_canary(state: OperatorState, now: int, *, actor: str = ACTOR) -> Step:
    """The rollout's version answers its step's share."""
    rollout, pointer = state.rollout, state.pointer
    assert rollout is not None
    assert rollout.terms is not None
    assert pointer is not None
    terms, share = rollout.terms, rollout.step / FULL
    moved = msgspec.structs.replace(
        turned(pointer, live=pointer.live, previous=pointer.previous, rollout=rollout.id, now=now),
        canary=rollout.version, share=share, salt=terms.salt, unit=terms.unit,
    )  # fmt: skip
    return msgspec.structs.replace(state, pointer=moved), [SetPointer(pointer=moved, actor=actor)]


def without_canary(state: OperatorState, now: int, *, actor: str = ACTOR) -> Step:
    """The live version answers everything."""
    pointer = state.pointer
    if pointer is None or not pointer.canary:
        return state, []
    alone = turned(pointer, live=pointer.live, previous=pointer.previous, rollout=pointer.rollout, now=now)
    return msgspec.structs.replace(state, pointer=alone), [SetPointer(pointer=alone, actor=actor)]


def replaced_rollout(state: OperatorState, version: str, now: int) -> Step:
    """End what is still under way before another rollout starts."""
    rollout = state.rollout
    if rollout is None or is_over(rollout):
        return state, []
    if rollout.state == "held" and rollout.before in ("promoted", "baking"):
        state, commands = moved_to(state, (rollout.before,), f"replaced by {version}", now)
        state, more = replaced_rollout(state, version, now)
        return state, commands + more
    end: RolloutState = "done" if rollout.state == "baking" else "aborted"
    state, commands = moved_to(state, (end,), f"replaced by {version}", now)
    state, alone = without_canary(state, now)
    return state, commands + alone


def moved_to(
    state: OperatorState,
    targets: Sequence[RolloutState],
    reason: str,
    now: int,
    *,
    actor: str = ACTOR,
    step: int | None = None,
    brakes: tuple[Brake, ...] = (),
) -> Step:
    """Walk the rollout through `targets`, one command each."""
    commands: list[Command] = []
    rollout = state.rollout
    assert rollout is not None
    for target in targets:
        rollout = rollouts.advance(
            rollout, target, seq=rollout.seq, reason=reason, actor=actor, at=now, step=step, brakes=brakes
        )
        commands.append(MoveRollout(rollout=rollout))
    return msgspec.structs.replace(state, rollout=rollout), commands


def told(
    moment: Moment, state: OperatorState, metric: str, what: str, *, since: int, urgent: bool = False, sure: str = ""
) -> Step:
    """An alarm about a rollout."""
    breach = Breach(
        kind="release", metric=metric, value=None, low=None, high=None, allowed="", rows=0, since=since, what=what,
        version=state_version(state), urgent=urgent, sure=sure,
    )  # fmt: skip
    return alarmed(moment, state, "release", breach, owner=moment.system.accountable("release"))


def braking(moment: Moment, state: OperatorState) -> tuple[Brake, ...]:
    """Every brake that is on: those of the world, of an edited configuration, and of what was counted."""
    rollout = state.rollout
    if rollout is None or rollout.terms is None:
        return ()
    on = set(state.brakes)
    if rollout.terms.config != config_digest(moment.system):
        on.add("config_changed")
    if state.progress is not None:
        on |= {brake for brake in COUNTED if brake in counted_brakes(state.progress)}
    return tuple(sorted(on))


def begun_at(rollout: Rollout) -> int:
    """When it began (microseconds UTC), whatever it has gone through since."""
    return rollout.terms.at if rollout.terms else rollout.since


def is_over(rollout: Rollout) -> bool:
    """Whether nothing of it is left to be tested or to be ended."""
    return rollout.state in (*rollouts.FINAL, "done")


def is_canary(rollout: Rollout) -> bool:
    """Whether its version answers a share beside the one that was there before."""
    return rollout.stage == "step" and rollout.state in ("step", "held")


def in_the_making(rollout: Rollout) -> bool:
    """Whether it is still being tested."""
    tested = rollout.terms is not None and rollout.terms.holdback > 0
    if rollout.stage in ("promoted", "baking"):
        return tested and rollout.state != "held"
    return rollout.state in ("draft", "validating", "shadow", "step")


def state_version(state: OperatorState) -> str:
    return state.rollout.version if state.rollout else ""


def turned(pointer: Pointer, *, live: str, previous: str, rollout: str, now: int) -> Pointer:
    """The next generation, without a canary."""
    return Pointer(
        system=pointer.system, live=live, previous=previous, rollout=rollout, generation=pointer.generation + 1, at=now
    )


ROLL_BACK: Final[tuple[RolloutState, ...]] = ("rolling_back", "rolled_back")
