"""What the tests of a rollout have seen, and the way on that follows from it: proof, harm, brakes and time."""

from __future__ import annotations

from typing import Final

import msgspec

from kring.flow.operator.moment import Moment, Step
from kring.flow.operator.rollouts import (
    FULL,
    braking,
    forward,
    held,
    is_over,
    moved_to,
    resumed,
    rolled_back,
    told,
    without_canary,
)
from kring.record.operator import BatchSealed, Braked, Looked, OperatorState, ShadowCompared, VersionLost
from kring.record.progress import Judged
from kring.record.rollout import Brake, Rollout
from kring.release import judging
from kring.release.brakes import WORDS
from kring.release.words import told_odds

HOUR_US: Final = 3_600_000_000
PROVEN: Final = ("rolled_back", "worse")

TRANSIENT: Final[frozenset[Brake]] = frozenset({"no_data", "read_only"})
"""Brakes that are over when what was in the way is: nothing that was counted has become doubtful by it."""


def on_shadow(moment: Moment, state: OperatorState, event: ShadowCompared) -> Step:
    """What a shadow has said so far; one that could not answer ends its rollout."""
    rollout = state.rollout
    if rollout is None or rollout.state != "shadow" or rollout.version != event.version:
        return state, []
    state = msgspec.structs.replace(state, shadow=event)
    if not event.failures:
        return state, []
    what = f"the shadow could not answer {event.failures} of {event.rows} rows"
    return given_up(moment, state, rollout, "failures", what)


def on_sealed(moment: Moment, state: OperatorState, event: BatchSealed) -> Step:
    """A batch has its end, before anybody counts it."""
    del moment
    number = state.sealed.batch + 1 if state.sealed else 1
    if state.rollout is None or (event.rollout, event.batch) != (state.rollout.id, number):
        return state, []
    return msgspec.structs.replace(state, sealed=event, cursors=event.cuts), []


def on_looked(moment: Moment, state: OperatorState, event: Looked) -> Step:
    """The counts of a sealed batch."""
    del moment
    rollout, progress, sealed = state.rollout, state.progress, state.sealed
    if rollout is None or rollout.terms is None or progress is None or event.rollout != rollout.id:
        return state, []
    if sealed is None or event.look.batch > sealed.batch:
        return state, []
    progress = judging.advanced(progress, event.look, rollout.terms)
    if event.paired is not None:
        progress = judging.paired_advanced(progress, event.paired)
    return msgspec.structs.replace(state, progress=progress), []


def on_braked(moment: Moment, state: OperatorState, event: Braked) -> Step:
    """Which brakes the world pulls at a rollout. A clock that jumped once is doubtful until a person has looked at it,
    or until the rollout is over: the next one goes by the clock as it is then."""
    del moment
    if state.rollout is None or is_over(state.rollout):
        return msgspec.structs.replace(state, brakes=()), []
    jumped = [brake for brake in state.brakes if brake == "clock"]
    return msgspec.structs.replace(state, brakes=tuple(sorted({*event.brakes, *jumped}))), []


def on_version_lost(moment: Moment, state: OperatorState, event: VersionLost) -> Step:
    """A version that is on its way can't be opened any more: the live one answers, and a person is told."""
    rollout = state.rollout
    if rollout is None or rollout.version != event.version or rollout.state not in ("shadow", "step"):
        return state, []
    state, commands = held(moment, state, f"{event.version} can't be opened: {event.why}")
    state, alone = without_canary(state, moment.now)
    return state, commands + alone


def driven(moment: Moment, state: OperatorState) -> Step:
    """One transition at the most that time, proof, harm or a brake calls for."""
    rollout = state.rollout
    if rollout is None:
        return state, []
    if rollout.state == "shadow":
        return from_shadow(moment, state, rollout)
    if rollout.state == "step":
        return from_step(moment, state, rollout)
    if rollout.state == "baking":
        return from_baking(moment, state, rollout)
    return from_held(moment, state, rollout) if rollout.state == "held" else (state, [])


def from_shadow(moment: Moment, state: OperatorState, rollout: Rollout) -> Step:
    """On when it has answered everything for long enough, and was proven on the same rows where it has to be. No rows,
    no way on (law 3). One that is proven worse on them is given up at once."""
    now, said, terms = moment.now, state.shadow, rollout.terms
    found = judgement(state, rollout, step=0, brakes=())
    if found is not None and found.verdict == "roll_back":
        return harmed(moment, state, rollout, found)
    if on := braking(moment, state):
        return held(moment, state, told_brakes(on), brakes=on)
    shadow_us = terms.shadow_us if terms else moment.system.rollout.shadow_us
    waited = now - rollout.since
    is_proven = found is None or found.verdict == "advance"
    if said is not None and said.rows and waited >= shadow_us and is_proven:
        reason = (
            f"shadow answered {said.rows:,} rows; {said.agreement:.1%} equal decisions, "
            f"mean difference {said.mean_difference:.3f}"
        )
        return forward(state, reason, now)
    if terms and waited >= shadow_us + terms.step_us:
        lacks = "; ".join(found.missing) if found and said and said.rows else "it was asked nothing"
        return held(moment, state, f"its time in shadow is over without proof: {lacks}")
    return state, []


def from_step(moment: Moment, state: OperatorState, rollout: Rollout) -> Step:
    """Back on harm, on with proof, held by a brake or when its time is over."""
    on = braking(moment, state)
    found = judgement(state, rollout, step=rollout.step, brakes=on)
    assert found is not None
    assert rollout.terms is not None
    if found.verdict == "roll_back":
        return harmed(moment, state, rollout, found)
    if found.verdict == "hold":
        return held(moment, state, found.why, brakes=on)
    if found.verdict == "advance":
        return forward(state, found.why, moment.now)
    if moment.now - rollout.since >= rollout.terms.step_us:
        return held(moment, state, f"the time for {rollout.step} % is over without proof: {'; '.join(found.missing)}")
    return state, []


def from_baking(moment: Moment, state: OperatorState, rollout: Rollout) -> Step:
    """Done after its time, if nothing speaks against it; back on harm."""
    terms = rollout.terms
    bake_us = terms.bake_us if terms else moment.system.rollout.bake_us
    waited = moment.now - rollout.since
    if terms is None or not terms.holdback:
        untested = f"answered everything for {waited / HOUR_US:.0f} h, compared with nothing; nobody took it back"
        return moved_to(state, ("done",), untested, moment.now) if waited >= bake_us else (state, [])
    on = braking(moment, state)
    found = judgement(state, rollout, step=FULL, brakes=on)
    assert found is not None
    if found.verdict == "roll_back":
        return harmed(moment, state, rollout, found)
    if found.verdict == "hold":
        return held(moment, state, found.why, brakes=on)
    if waited >= bake_us and found.verdict == "advance":
        watched = f"watched for {waited / HOUR_US:.0f} h at full traffic: no guardrail showed harm"
        state, done = moved_to(state, ("done",), watched, moment.now)
        state, alone = without_canary(state, moment.now)
        return state, done + alone
    if waited >= bake_us + terms.step_us:
        return held(moment, state, f"the time to bake is over without proof: {'; '.join(found.missing)}")
    return state, []


def from_held(moment: Moment, state: OperatorState, rollout: Rollout) -> Step:
    """Harm is looked for while it waits; what only the world had stopped goes on when the world does."""
    on = braking(moment, state)
    stage = rollout.stage
    if stage in ("shadow", "step", "baking"):
        step = {"shadow": 0, "step": rollout.step}.get(stage, FULL)
        found = judgement(state, rollout, step=step, brakes=on)
        if found is not None and found.verdict == "roll_back":
            return harmed(moment, state, rollout, found)
    if rollout.brakes and TRANSIENT.issuperset(rollout.brakes) and not on:
        return resumed(moment, state, f"{', '.join(rollout.brakes)}: over")
    return state, []


def given_up(moment: Moment, state: OperatorState, rollout: Rollout, metric: str, what: str) -> Step:
    """The end of a shadow, which nobody has heard, and told."""
    state, alarm = told(moment, state, metric, what, since=rollout.since, sure=odds_of(rollout, metric))
    state, moved = moved_to(state, ("aborted",), what, moment.now)
    return state, alarm + moved


def harmed(moment: Moment, state: OperatorState, rollout: Rollout, found: Judged) -> Step:
    """Rolled back by proof, and told; given up where nobody has heard it yet."""
    if rollout.stage == "shadow":
        return given_up(moment, state, rollout, "worse", f"the shadow was proven worse: {found.why}")
    what = f"{rollout.version} was rolled back: {found.why}"
    state, alarm = told(moment, state, "rolled_back", what, since=rollout.since, sure=odds_of(rollout))
    state, back = rolled_back(moment, state, found.why)
    return state, back + alarm


def odds_of(rollout: Rollout, metric: str = "rolled_back") -> str:
    """How sure that is which the tests of a rollout have proven; empty of what was seen."""
    return f"proven: {told_odds(rollout.terms)}" if rollout.terms is not None and metric in PROVEN else ""


def judgement(state: OperatorState, rollout: Rollout, *, step: int, brakes: tuple[Brake, ...]) -> Judged | None:
    """What the tests say; None where a rollout has none."""
    if rollout.terms is None or state.progress is None:
        return None
    return judging.judged(state.progress, rollout.terms, step=step, brakes=brakes)


def told_brakes(brakes: tuple[Brake, ...]) -> str:
    return "; ".join(WORDS[brake] for brake in brakes)
