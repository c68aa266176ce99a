"""What a replay found out."""

from __future__ import annotations

import msgspec

from kring.record.alarm import Alarm
from kring.record.decision import Arm
from kring.record.evidence import Measure
from kring.record.rollout import Rollout


class LiveVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version and the moment from which it answered (0: never)."""

    id: str
    candidate: str
    live_from: int


class Period(msgspec.Struct, frozen=True, kw_only=True):
    """Measures of one series over the decisions between `start` and `end` whose outcome is known.

    `series` is `live`, `baseline` or `frozen` (the first version, never retrained).
    """

    series: str
    start: int
    end: int
    decisions: int
    outcomes: int
    measures: tuple[Measure, ...]

    def measure(self, name: str) -> Measure | None:
        return next((measure for measure in self.measures if measure.name == name), None)


class RolloutMove(msgspec.Struct, frozen=True, kw_only=True):
    """A rollout went from one state (at a step in percent) to another, and what its tests said then: log e of harm, and
    of the proof of each guardrail; `units` of the new version were complete, `pairs` of answers compared."""

    rollout: str
    version: str
    at: int
    was: str
    was_step: int
    state: str
    step: int
    reason: str
    harm: float
    proofs: dict[str, float]
    units: int
    pairs: int


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """One replay: what the operator did with history, and how the answers turned out.

    `weeks`, `months` and `whole` hold the same decisions, cut two ways and uncut; `trace_id` is one
    decision to look at. `untried` names what of kring.toml says nothing where nothing takes time.
    """

    id: str
    system: str
    start: int
    end: int
    seed: int
    decisions: int
    outcomes: int
    snapshots: int
    versions: tuple[LiveVersion, ...]
    alarms: tuple[Alarm, ...]
    rollouts: tuple[Rollout, ...]
    refusals: tuple[str, ...]
    weeks: tuple[Period, ...]
    months: tuple[Period, ...]
    volumes: tuple[tuple[int, int, int], ...]
    trace_id: str
    log_digest: str
    seconds: float
    whole: tuple[Period, ...] = ()
    moves: tuple[RolloutMove, ...] = ()
    untried: tuple[str, ...] = ()


class Exposure(msgspec.Struct, frozen=True, kw_only=True):
    """How many decisions `version` was asked for in an arm."""

    version: str
    arm: Arm
    decisions: int


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One set of settings over the same history. `changed` holds what it sets otherwise than the first side, by key."""

    name: str
    replay: Replay
    exposures: tuple[Exposure, ...]
    changed: dict[str, str] = {}


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """The same history under several settings, the first as the system stands."""

    id: str
    system: str
    start: int
    end: int
    seed: int
    sides: tuple[Side, ...]
