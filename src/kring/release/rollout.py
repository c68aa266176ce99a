"""A version's way to traffic, as pure functions over the one table of transitions.

Rollback beats promotion: `rolling_back` can be reached from every live state and leads only to
`rolled_back`. Whoever promotes first loses to a rollback that reads the new state and tries
again; whoever rolls back first leaves nothing to promote.
"""

from __future__ import annotations

from typing import Final

import msgspec

from kring.errors import Conflict, Refused
from kring.record.rollout import STATES, TRANSITIONS, Rollout, RolloutState

LIVE: Final[tuple[RolloutState, ...]] = tuple(
    state for state, following in TRANSITIONS.items() if "rolling_back" in following
)
"""The states in which a version sees traffic, shadow included, and so can be rolled back."""

FINAL: Final[tuple[RolloutState, ...]] = tuple(state for state, following in TRANSITIONS.items() if not following)
"""The states that nothing leaves."""


def start(*, id: str, system: str, version: str, previous: str, reason: str, actor: str, at: int) -> Rollout:
    """A rollout in `draft` with seq 1. `previous` is the version that answers now, or empty.

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
    )


def allowed(state: RolloutState) -> tuple[RolloutState, ...]:
    """Where a rollout in `state` can go."""
    return TRANSITIONS[state]


def advance(rollout: Rollout, to: RolloutState, *, seq: int, reason: str, actor: str, at: int) -> Rollout:
    """The rollout in state `to`, one seq further.

    `seq` is the one the caller decided on: `Conflict` when the rollout has moved since (read it
    again). `Refused` for a transition outside the table.
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
    since = rollout.since if to == rollout.state else at
    return msgspec.structs.replace(
        rollout, state=to, seq=rollout.seq + 1, reason=reason, actor=actor, at=at, since=since
    )
