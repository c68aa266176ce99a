"""What a contract check found in one feed."""

from __future__ import annotations

from typing import Literal

import msgspec

from kring.record.recipe import Change

CheckResult = Literal["pass", "warn", "fail"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One rule that was measured. `rows` is the number of offending rows, `value` what was compared.

    `examples` are at most five offending values with their row numbers (from 0), as text; `hint` is what may be
    the matter and its remedy; `line` is that of the rule in the contract. Of another table than the feed's,
    `column` is `table.column`.
    """

    rule: str
    column: str
    result: CheckResult
    rows: int
    value: float
    allowed: str
    message: str
    examples: tuple[str, ...] = ()
    hint: str = ""
    line: int = 0


class SupplierVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of the rows of one supplier. `fail`: they were held back, for the rules in `findings`."""

    name: str
    result: CheckResult
    rows: int
    findings: tuple[Finding, ...] = ()


class TableChecked(msgspec.Struct, frozen=True, kw_only=True):
    """Another table into which the feed's keys refer: its name in the contract, file, digest and rows."""

    name: str
    source: str
    source_digest: str
    rows: int


class CheckReport(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict of one contract over one feed. `fail` means: never becomes a snapshot.

    `notes` name what the contract says and nobody enforced. When a feed is judged by supplier, `held` of its
    `rows` were held back with the suppliers that failed, and `findings` speak of the others. `recipe` is the digest
    of the repairs that were applied before (empty: none), `changes` are what each of them did.
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
    held: int = 0
    supplier: str = ""
    suppliers: tuple[SupplierVerdict, ...] = ()
    tables: tuple[TableChecked, ...] = ()
    recipe: str = ""
    changes: tuple[Change, ...] = ()
