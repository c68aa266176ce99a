"""How a version gets traffic: the complete set of states and the one table of transitions."""

from __future__ import annotations

from typing import Final, Literal, get_args

import msgspec

RolloutState = Literal[
    "draft",
    "validating",
    "shadow",
    "step",
    "promoted",
    "baking",
    "done",
    "held",
    "rolling_back",
    "rolled_back",
    "aborted",
]
STATES: Final[tuple[str, ...]] = get_args(RolloutState)

TRANSITIONS: Final[dict[RolloutState, tuple[RolloutState, ...]]] = {
    "draft": ("validating", "aborted"),
    "validating": ("shadow", "step", "promoted", "held", "aborted"),
    "shadow": ("step", "promoted", "held", "rolling_back", "aborted"),
    "step": ("step", "promoted", "held", "rolling_back", "aborted"),
    "promoted": ("baking", "held", "rolling_back"),
    "baking": ("done", "held", "rolling_back"),
    "held": ("shadow", "step", "promoted", "baking", "rolling_back", "aborted"),
    "rolling_back": ("rolled_back",),
    "done": ("rolling_back",),
    "rolled_back": (),
    "aborted": (),
}

NOT_BUILT: Final[dict[RolloutState, str]] = {
    "step": "steps of live traffic need the sequential tests, which are not built yet; set rollout.steps = []",
    "held": "holding needs the brakes, which are not built yet; use kring rollback",
}


class Rollout(msgspec.Struct, frozen=True, kw_only=True):
    """One version on its way to traffic. `seq` rises with each transition (compare-and-swap)."""

    id: str
    system: str
    version: str
    previous: str
    state: RolloutState
    seq: int
    reason: str
    actor: str
    at: int
    since: int


class Pointer(msgspec.Struct, frozen=True, kw_only=True):
    """Which versions answer: the router's whole truth. `generation` rises with each change.

    `canary` answers the `share` (0 to 1) of units that the hash with `salt` chooses.
    """

    system: str
    live: str
    previous: str
    generation: int
    rollout: str
    at: int
    canary: str = ""
    share: float = 0.0
    salt: str = ""
