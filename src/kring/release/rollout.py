"""A version's way to traffic, as pure functions over the one table of transitions.

Rollback beats promotion: `rolling_back` can be reached from every live state and leads only to
`rolled_back`. Whoever promotes first loses to a rollback that reads the new state and tries
again; whoever rolls back first leaves nothing to promote.
"""

from __future__ import annotations

from typing import Final

import msgspec

from kring.errors import Conflict, Refused
from kring.record.rollout import STATES, TRANSITIONS, Brake, Rollout, RolloutState, Terms

LIVE: Final[tuple[RolloutState, ...]] = tuple(
    state for state, following in TRANSITIONS.items() if "rolling_back" in following
)
"""The states in which a version sees traffic, shadow included, and so can be rolled back."""

FINAL: Final[tuple[RolloutState, ...]] = tuple(state for state, following in TRANSITIONS.items() if not following)
"""The states that nothing leaves."""


def start(
    *, id: str, system: str, version: str, previous: str, reason: str, actor: str, at: int, terms: Terms | None = None
) -> Rollout:
    """A rollout in `draft` with seq 1. `previous` is the version that answers now, or empty; `terms` are what it is
    judged by, none for the first version.

    `at` is the moment of the newest transition, `since` the moment the present state began.
    """
    if version == previous:
        raise Refused(
            "this version answers already",
            got=version,
            allowed="a version other than the live one",
            next="train and release a new one, or kring rollback to the one before",
        )
    return Rollout(
        id=id,
        system=system,
        version=version,
        previous=previous,
        state="draft",
        seq=1,
        reason=reason,
        actor=actor,
        at=at,
        since=at,
        terms=terms,
    )


def allowed(state: RolloutState) -> tuple[RolloutState, ...]:
    """Where a rollout in `state` can go."""
    return TRANSITIONS[state]


def advance(
    rollout: Rollout,
    to: RolloutState,
    *,
    seq: int,
    reason: str,
    actor: str,
    at: int,
    step: int | None = None,
    brakes: tuple[Brake, ...] = (),
) -> Rollout:
    """The rollout in state `to`, one seq further, at `step` percent where that is another. What is held remembers from
    where, and which `brakes` hold it.

    `seq` is the one the caller decided on: `Conflict` when the rollout has moved since (read it
    again). `Refused` for a transition outside the table, and for one that would skip a step or go back from one.
    """
    if seq != rollout.seq:
        raise Conflict(
            f"the rollout of {rollout.version} has moved since it was read",
            got=f"seq {seq}",
            allowed=f"seq {rollout.seq}, state {rollout.state}",
            next="read the rollout again and decide anew",
        )
    if to not in TRANSITIONS[rollout.state]:
        raise Refused(
            f"a rollout can't go from {rollout.state} to {to}",
            got=to if to in STATES else f"{to!r}, which is no state",
            allowed=", ".join(allowed(rollout.state)) or f"none, {rollout.state} is final",
            next="kring release starts a new rollout" if rollout.state in FINAL else "",
        )
    step = rollout.step if step is None else step
    _check_step(rollout, to, step)
    stays = to == rollout.state and step == rollout.step
    return msgspec.structs.replace(
        rollout,
        state=to,
        seq=rollout.seq + 1,
        reason=reason,
        actor=actor,
        at=at,
        since=rollout.since if stays else at,
        step=step,
        before=rollout.state if to == "held" else None,
        brakes=brakes if to == "held" else (),
    )


def next_step(rollout: Rollout) -> int | None:
    """The step after the one it is at; None when all traffic comes next."""
    steps = rollout.terms.steps if rollout.terms else ()
    return next((step for step in steps if step > rollout.step), None)


def _check_step(rollout: Rollout, to: RolloutState, step: int) -> None:
    """`Refused` unless a rollout walks its steps one by one and goes on from where it was held."""
    came_back = rollout.state == "held" and rollout.terms is not None
    if came_back and to in ("shadow", "step", "promoted", "baking") and (to, step) != (rollout.before, rollout.step):
        raise Refused(
            "a rollout goes on where it was held",
            got=f"{to} at {step} %",
            allowed=f"{rollout.before} at {rollout.step} %",
            next="kring resume",
        )
    following = next_step(rollout)
    walks = rollout.terms is not None and rollout.state in ("validating", "shadow", "step")
    skips = (to == "step" and step != following) or (to == "promoted" and following is not None)
    if walks and skips:
        raise Refused(
            "a rollout skips no step",
            got=f"{to} at {step} %",
            allowed="promoted" if following is None else f"step at {following} %",
            next="let it prove itself, or kring abort",
        )
