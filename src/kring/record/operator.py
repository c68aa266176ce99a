"""What the operator knows, what reaches it and what it asks for."""

from __future__ import annotations

from typing import Literal

import msgspec

from kring.record.alarm import Alarm, Breach
from kring.record.rollout import Pointer, Rollout
from kring.record.system import Stage
from kring.record.verdict import GateResult, Judgement

Cursor = tuple[int, int]


class WindowClosed(msgspec.Struct, frozen=True, kw_only=True, tag="window_closed"):
    """One window of the live version has ended: `decisions` rows, of which `violations` broke the
    contract and `fallbacks` were not answered by the version that was asked."""

    start: int
    end: int
    decisions: int
    violations: int
    fallbacks: int


class QualityJudged(msgspec.Struct, frozen=True, kw_only=True, tag="quality_judged"):
    """The live version's matured outcomes between `start` and `end`, against the gate."""

    version: str
    start: int
    end: int
    windows: int
    rows: int
    lines: tuple[Judgement, ...]


class Retrained(msgspec.Struct, frozen=True, kw_only=True, tag="retrained"):
    """A retraining has ended: with a verdict, and a version when the verdict is `pass`; or at the stage
    `broke_at`, before there was a verdict."""

    trigger: str
    result: GateResult
    reason: str
    run: str
    version: str = ""
    broke_at: Stage | None = None


class ShadowCompared(msgspec.Struct, frozen=True, kw_only=True, tag="shadow_compared"):
    """What the shadow did on the same inputs as the live version, so far."""

    version: str
    rows: int
    failures: int
    agreement: float
    mean_difference: float


class RollbackAsked(msgspec.Struct, frozen=True, kw_only=True, tag="rollback_asked"):
    """A person wants the previous version back."""

    actor: str
    reason: str


class RolloutAsked(msgspec.Struct, frozen=True, kw_only=True, tag="rollout_asked"):
    """A person wants the rollout to wait, to go on, or to end with the old version."""

    what: Literal["hold", "resume", "abort"]
    actor: str
    reason: str


class Watched(msgspec.Struct, frozen=True, kw_only=True, tag="watched"):
    """What the monitors found in the window from `start` to `end`. `looked` are the keys (`Breach.key`) of all that was
    judged: an alarm whose key was looked at and is not among the breaches is over. What was not looked at stays."""

    start: int
    end: int
    breaches: tuple[Breach, ...]
    looked: tuple[str, ...]


class AlarmHandled(msgspec.Struct, frozen=True, kw_only=True, tag="alarm_handled"):
    """A person has seen an alarm, silences it `until` (microseconds UTC), or says that it is over."""

    alarm: str
    how: Literal["acknowledge", "silence", "resolve"]
    actor: str
    reason: str = ""
    until: int = 0


OperatorEvent = (
    WindowClosed | QualityJudged | Retrained | ShadowCompared | RollbackAsked | RolloutAsked | Watched | AlarmHandled
)


class RaiseAlarm(msgspec.Struct, frozen=True, kw_only=True, tag="raise_alarm"):
    alarm: Alarm


class Retrain(msgspec.Struct, frozen=True, kw_only=True, tag="retrain"):
    """Train again now; `trigger` says why."""

    trigger: str


class MoveRollout(msgspec.Struct, frozen=True, kw_only=True, tag="move_rollout"):
    """A rollout has a new state."""

    rollout: Rollout


class SetPointer(msgspec.Struct, frozen=True, kw_only=True, tag="set_pointer"):
    """Other versions answer from now on, because `actor` said so."""

    pointer: Pointer
    actor: str


class Notify(msgspec.Struct, frozen=True, kw_only=True, tag="notify"):
    """Tell `target` (a name of `[[notify]]`) of an alarm as it is now. `id` is the same when it is told again."""

    id: str
    target: str
    alarm: Alarm


Command = RaiseAlarm | Retrain | MoveRollout | SetPointer | Notify


class OperatorState(msgspec.Struct, frozen=True, kw_only=True):
    """All that the next step depends on. `seq` rises with each step; `outbox` holds the commands of
    the last step that are not yet known to be done; `quiet` maps a monitored metric to the end of the
    time in which its alarm is not raised again; `breached` are the metrics whose alarm still waits for
    a training, `alarms` those that are not resolved."""

    system: str
    seq: int = 0
    pointer: Pointer | None = None
    rollout: Rollout | None = None
    retraining: str = ""
    retrained_at: int = 0
    quiet: dict[str, int] = {}
    breached: tuple[str, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    cursor: Cursor = (0, 0)
    outbox: tuple[Command, ...] = ()
