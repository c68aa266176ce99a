"""A trial that was started: its terms as they were then, and how it ended."""

from __future__ import annotations

from typing import Literal

import msgspec

from kring.record.running import Trial

Brake = Literal["split", "coverage", "no_data"]
Finding = Literal["better", "worse", "open", "void"]
"""What is known of an arm against the control: `void` when a brake keeps everybody from concluding."""

TrialState = Literal["running", "concluded", "ended", "stopped"]
"""`concluded` by a finding, `ended` by a rule without one, `stopped` by somebody."""


class TrialRun(msgspec.Struct, frozen=True, kw_only=True):
    """The trial `name` under frozen `terms`. `salt` assigns units to arms. `why` says how it came to its state."""

    id: str
    name: str
    terms: Trial
    salt: str
    state: TrialState
    started: int
    by: str
    ended: int = 0
    why: str = ""

    @property
    def is_running(self) -> bool:
        return self.state == "running"


class ArmSeen(msgspec.Struct, frozen=True, kw_only=True):
    """One arm and one outcome: `units` whose time has passed, how many of them count (`known`), their mean with its
    interval that holds at any time, in the outcome's own units; no mean of none."""

    arm: str
    units: int
    known: int
    mean: float | None
    low: float
    high: float


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """An arm against the control on one outcome: `difference` of the means and `lift` (the share by which the mean is
    larger), each with an interval that holds at any time, and the `finding`. There is no lift where the control's mean
    may be 0. `classic` is the interval of a test that is looked at once, with its `p`."""

    arm: str
    difference: float | None
    low: float
    high: float
    lift: float | None
    lift_low: float | None
    lift_high: float | None
    finding: Finding
    classic_low: float | None
    classic_high: float | None
    p: float


class OutcomeSeen(msgspec.Struct, frozen=True, kw_only=True):
    """All arms on one outcome. `alpha` is that of each comparison. `coverage` is the log e-value against "as many
    units of each arm are known", where a missing report is missing."""

    name: str
    kind: str
    better: str
    alpha: float
    arms: tuple[ArmSeen, ...]
    compared: tuple[Compared, ...]
    coverage: float = 0.0


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """How units were assigned: `log_e` against the declared shares, and the `p` of a test that is looked at once."""

    units: dict[str, int]
    shares: dict[str, float]
    log_e: float
    p: float


class Handled(msgspec.Struct, frozen=True, kw_only=True):
    """What was done with reports: those `counted`, `corrected` by later ones, of units that were never assigned
    (`unknown`), outside their time (`outside`), of units still `waiting` for their time to pass; and units that were
    seen in two arms."""

    counted: int = 0
    corrected: int = 0
    unknown: int = 0
    outside: int = 0
    waiting: int = 0
    in_two_arms: int = 0


class BrakeOn(msgspec.Struct, frozen=True, kw_only=True):
    """A brake that is on, about `since` when, `why`, and what is to be done. Meanwhile the trial ends by no rule."""

    brake: Brake
    since: int
    why: str
    todo: str


class TrialSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A trial as it stands at `at`. `words` say it to a person; `stops` is the rule that ends it now, if one does; `on`
    are the brakes of one that runs."""

    name: str
    at: int
    state: TrialState
    control: str
    split: Split
    outcomes: tuple[OutcomeSeen, ...]
    handled: Handled
    brakes: tuple[Brake, ...]
    stops: str
    words: tuple[str, ...]
    on: tuple[BrakeOn, ...] = ()


TrialHeard = Literal["recorded", "corrected", "known", "refused"]


class TrialReported(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody says what the unit did by `at` (microseconds UTC; 0: by now)."""

    unit: str
    outcome: str
    value: object
    at: int = 0


class TrialTold(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a report: `recorded` for the first time, `corrected` from another value or moment, `known` already
    and not written again, or `refused`, and why."""

    unit: str
    outcome: str
    heard: TrialHeard
    reason: str = ""


class TrialOutcomesTold(msgspec.Struct, frozen=True, kw_only=True):
    """How many reports came to what; `examples` are some of those that were refused."""

    trial: str
    recorded: int
    corrected: int
    known: int
    refused: int
    examples: tuple[TrialTold, ...] = ()
