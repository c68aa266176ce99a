"""One training that the operator asked for, on its way from a reason to a version."""

from __future__ import annotations

from typing import Literal

import msgspec

from kring.record.system import Stage
from kring.record.verdict import GateResult

TrainingStage = Literal["asked", "snapshot", "trained", "judged", "ended"]


class Training(msgspec.Struct, frozen=True, kw_only=True):
    """How far it has come, one record for each stage; whoever takes it up goes on behind the last of them.

    `doubts` are what was found in the new data that a person should look at first. `result`, `reason` and `broke_at`
    say how it ended, `version` what came of it.
    """

    id: str
    system: str
    trigger: str
    stage: TrainingStage
    at: int
    snapshot: str = ""
    runs: tuple[str, ...] = ()
    run: str = ""
    version: str = ""
    result: GateResult | None = None
    reason: str = ""
    doubts: tuple[str, ...] = ()
    broke_at: Stage | None = None
