"""The policy's answer over evidence."""

from __future__ import annotations

from typing import Literal

import msgspec

GateResult = Literal["pass", "fail", "investigate"]
Operator = Literal[">=", ">", "<=", "<"]


class GateLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the gate: `metric OP limit`."""

    metric: str
    op: Operator
    limit: float


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """One line judged: the 95 % interval wholly on the allowed side passes, wholly on the other fails."""

    metric: str
    rule: str
    result: GateResult
    reason: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    rows: int = 0


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The worst of its lines, `fail` before `investigate` before `pass`."""

    id: str
    system: str
    run: str
    evidence: str
    candidate: str
    result: GateResult
    lines: tuple[Judgement, ...]
    policy_digest: str
    at: int
