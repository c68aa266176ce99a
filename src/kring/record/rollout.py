"""How a version gets traffic: the complete set of states and the one table of transitions."""

from __future__ import annotations

from typing import Final, Literal, get_args

import msgspec

from kring.record.running import GuardrailKind

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

Route = Literal["absolute", "relative", "paired"]
UnitKind = Literal["subject_day", "subject", "request"]
Brake = Literal["no_data", "split", "coverage", "clock", "read_only", "config_changed"]


class Guardrail(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that must not become worse, judged by its `route` for the whole rollout.

    A unit is bad when one of its requests is. Of a latency, a cost or the size of a mistake that is so above a limit:
    `limits` are quantiles of the version that answered before, frozen at the start, each with a test of its own.
    Outcomes count at the age `age_us`. With `alone` only units count whose first row was asked by itself: what others
    took and cost says how many were asked together.
    """

    name: str
    kind: GuardrailKind
    route: Route
    limits: tuple[float, ...] = ()
    age_us: int = 0
    alone: bool = False

    @property
    def is_timed(self) -> bool:
        """Whether it is told by rows alone; a latency always is."""
        return self.alone or self.kind == "latency"


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """The rules of one rollout, frozen at its start; other rules are another rollout.

    `margins` belong to `steps` one by one: how many times as bad a version may be without being stopped there.
    `floor`, `alpha`, `beta`, `delta`, `holdback` as in `RolloutPlan`. The first step is smoke only when it is at most
    1 %: `smoke_units` of the new version. `config` is the digest of the `kring.toml` by which it was started.
    """

    unit: UnitKind
    salt: str
    steps: tuple[int, ...]
    margins: tuple[float, ...]
    alpha: float
    beta: float
    floor: float
    delta: float
    holdback: float
    min_units: int
    shadow_us: int
    step_us: int
    bake_us: int
    guardrails: tuple[Guardrail, ...]
    config: str
    at: int
    smoke_units: int = 200


class Rollout(msgspec.Struct, frozen=True, kw_only=True):
    """One version on its way to traffic. `seq` rises with each transition (compare-and-swap).

    `step` is the share of traffic in percent that it has in the state `step`, or had when it was held; `before` the
    state from which it was held, and `brakes` what forces that.
    """

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
    step: int = 0
    before: RolloutState | None = None
    brakes: tuple[Brake, ...] = ()
    terms: Terms | None = None

    @property
    def stage(self) -> RolloutState:
        """The state it is in, or from which it was held."""
        return self.before or self.state


class Pointer(msgspec.Struct, frozen=True, kw_only=True):
    """Which versions answer: the router's whole truth. `generation` rises with each change.

    `canary` answers the `share` (0 to 1) of units that the hash with `salt` chooses. While a promoted version bakes
    the version before it is the canary, of the `highest` hashes: then nobody who had the new version goes back.
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
    unit: UnitKind = "subject_day"
    highest: bool = False
