"""What a contract check found in one feed."""

from __future__ import annotations

from typing import Literal

import msgspec

CheckResult = Literal["pass", "warn", "fail"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One rule that was measured. `rows` is the number of offending rows, `value` what was compared.

    `examples` are at most five offending values with their row numbers (from 0), as text.
    """

    rule: str
    column: str
    result: CheckResult
    rows: int
    value: float
    allowed: str
    message: str
    examples: tuple[str, ...] = ()


class CheckReport(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict of one contract over one feed. `fail` means: never becomes a snapshot.

    `notes` name what the contract says and nobody enforced.
    """

    contract: str
    contract_digest: str
    source: str
    source_digest: str
    rows: int
    result: CheckResult
    findings: tuple[Finding, ...]
    checked: int
    at: int
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
