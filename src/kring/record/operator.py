"""What the operator knows, what reaches it and what it asks for."""

from __future__ import annotations

from typing import Literal

import msgspec

from kring.record.alarm import Alarm, Breach, Effect, Handling, News, Past
from kring.record.progress import Look, PairedLook, Progress
from kring.record.rollout import Brake, Pointer, Rollout
from kring.record.system import Stage
from kring.record.verdict import GateResult, Judgement

Cursor = tuple[int, int]
Cuts = tuple[tuple[int, Cursor], ...]
"""For each writer, in their order, a cursor of its log."""


class WindowClosed(msgspec.Struct, frozen=True, kw_only=True, tag="window_closed"):
    """One window of the live version has ended: `decisions` rows, of which `violations` broke the
    contract and `fallbacks` were not answered by the version that was asked."""

    start: int
    end: int
    decisions: int
    violations: int
    fallbacks: int


class QualityJudged(msgspec.Struct, frozen=True, kw_only=True, tag="quality_judged"):
    """The live version's matured outcomes between `start` and `end`, against the gate; `effect` is what has happened
    since its evidence, in quality and in money."""

    version: str
    start: int
    end: int
    windows: int
    rows: int
    lines: tuple[Judgement, ...]
    effect: Effect | None = None


class Retrained(msgspec.Struct, frozen=True, kw_only=True, tag="retrained"):
    """A retraining has ended: with a verdict, and a version when the verdict is `pass`; or at the stage
    `broke_at`, before there was a verdict. `limits` are quantiles of the live version, by guardrail."""

    trigger: str
    result: GateResult
    reason: str
    run: str
    version: str = ""
    broke_at: Stage | None = None
    limits: dict[str, tuple[float, ...]] = {}


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


class BatchSealed(msgspec.Struct, frozen=True, kw_only=True, tag="batch_sealed"):
    """The batch `batch` of a rollout ends for each writer at its cut, before any of its counts is looked at. `units`
    were first seen in it; what has matured until `at` counts in it."""

    rollout: str
    batch: int
    cuts: Cuts
    units: int
    at: int


class Looked(msgspec.Struct, frozen=True, kw_only=True, tag="looked"):
    """What a sealed batch shows: counts of units, and of pairs of answers where the version is shadowed."""

    rollout: str
    look: Look
    paired: PairedLook | None = None


class Braked(msgspec.Struct, frozen=True, kw_only=True, tag="braked"):
    """The brakes that the world pulls now, all of them; none is news too."""

    brakes: tuple[Brake, ...]


class VersionLost(msgspec.Struct, frozen=True, kw_only=True, tag="version_lost"):
    """A version that is on its way can't be opened any more."""

    version: str
    why: str


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
    how: Handling
    actor: str
    reason: str = ""
    until: int = 0


class TrainingAsked(msgspec.Struct, frozen=True, kw_only=True, tag="training_asked"):
    """A person wants a training now, says yes or no to the one that waits, or ends the one that runs."""

    what: Literal["now", "approve", "refuse", "cancel"]
    actor: str
    reason: str


OperatorEvent = (
    WindowClosed
    | QualityJudged
    | Retrained
    | ShadowCompared
    | RollbackAsked
    | RolloutAsked
    | BatchSealed
    | Looked
    | Braked
    | VersionLost
    | Watched
    | AlarmHandled
    | TrainingAsked
)


class RaiseAlarm(msgspec.Struct, frozen=True, kw_only=True, tag="raise_alarm"):
    """An alarm is new, or has a new state. Whether people are told is another question."""

    alarm: Alarm
    tell: bool = True


class Retrain(msgspec.Struct, frozen=True, kw_only=True, tag="retrain"):
    """Train again now; `trigger` says why. `id` is the training's: asked for again, it goes on where it was."""

    trigger: str
    id: str = ""


class MoveRollout(msgspec.Struct, frozen=True, kw_only=True, tag="move_rollout"):
    """A rollout has a new state."""

    rollout: Rollout


class SetPointer(msgspec.Struct, frozen=True, kw_only=True, tag="set_pointer"):
    """Other versions answer from now on, because `actor` said so."""

    pointer: Pointer
    actor: str


class Notify(msgspec.Struct, frozen=True, kw_only=True, tag="notify"):
    """Tell `target` (a name of `[[notify]]`) of alarms that belong together, as they are now, the most urgent first;
    `more` are not named. `id` is the same when it is told again. `roles` say what the versions that they name are by
    then (`kring.charts.versions`)."""

    id: str
    target: str
    news: News
    alarms: tuple[Alarm, ...]
    more: int = 0
    roles: dict[str, str] = {}


Command = RaiseAlarm | Retrain | MoveRollout | SetPointer | Notify


class OperatorState(msgspec.Struct, frozen=True, kw_only=True):
    """All that the next step depends on. `seq` rises with each step; `outbox` holds the commands of
    the last step that are not yet known to be done; `quiet` maps a metric to the end of the time in which
    its breach is no new reason to train; `breached` are the metrics whose alarm still waits for
    a training, `retraining` why one runs, the `training` of that id, `wanted` why one waits for a person's yes,
    `trainings` when those began that count against the budget, `alarms` those that are not resolved, `past`
    how the last ones ended that were not found any more, by key.

    `progress` is what the tests of the rollout have seen, `sealed` its newest batch, `shadow` what its version said in
    shadow, `brakes` what the world pulls. The log of each writer was followed to its cursor."""

    system: str
    seq: int = 0
    pointer: Pointer | None = None
    rollout: Rollout | None = None
    retraining: str = ""
    training: str = ""
    wanted: str = ""
    retrained_at: int = 0
    trainings: tuple[int, ...] = ()
    quiet: dict[str, int] = {}
    breached: tuple[str, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    past: dict[str, Past] = {}
    progress: Progress | None = None
    sealed: BatchSealed | None = None
    shadow: ShadowCompared | None = None
    brakes: tuple[Brake, ...] = ()
    cursors: Cuts = ()
    outbox: tuple[Command, ...] = ()
