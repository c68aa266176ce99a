"""What the data promises: the parts of an ODCS v3.1 contract that Kring enforces."""

from __future__ import annotations

from typing import Literal

import msgspec

LogicalType = Literal["string", "date", "timestamp", "number", "integer", "boolean"]
Severity = Literal["block", "warn"]
Metric = Literal[
    "nullValues",
    "missingValues",
    "invalidValues",
    "duplicateValues",
    "rowCount",
    "zeroValues",
    "expression",
    "aggregate",
    "freshness",
]
Unit = Literal["rows", "percent"]
Scalar = bool | int | float | str | None


class Bound(msgspec.Struct, frozen=True, kw_only=True):
    """An allowed interval of a measured number; `exclude_*` makes an end open, `negate` inverts it."""

    low: float | None = None
    high: float | None = None
    exclude_low: bool = False
    exclude_high: bool = False
    negate: bool = False


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One quality rule: count the rows that `metric` means, compare the count (or percent) with `bound`.

    `columns` is empty for a rule over the table. `expression` (metric `expression`) is true on good rows; of the
    metric `aggregate` it is one number of the whole table, which is compared itself (true counts as 1).
    Limits and valid values of timestamps are microseconds UTC, of dates days since 1970-01-01.
    """

    name: str
    metric: Metric
    columns: tuple[str, ...] = ()
    bound: Bound = Bound(high=0)
    unit: Unit = "rows"
    severity: Severity = "block"
    expression: str = ""
    valid_values: tuple[Scalar, ...] = ()
    pattern: str = ""
    missing_values: tuple[Scalar, ...] = ()
    minimum: int | float | None = None
    maximum: int | float | None = None
    max_age_us: int = 0
    description: str = ""
    line: int = 0


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One column of the promise.

    Limits (`minimum`, `maximum`, `allowed`, `pattern`, `min_length`, `max_length`) are rules with
    zero tolerance; those of timestamps are microseconds UTC, of dates days since 1970-01-01.
    `format` is how texts write a date or timestamp (`yyyy-MM-dd HH:mm`); empty means ISO 8601.
    `timezone` is that of timestamps which name none, `decimal` the sign before the fraction of numbers in texts.
    """

    name: str
    type: LogicalType
    required: bool = False
    unique: bool = False
    primary_key: bool = False
    minimum: int | float | None = None
    maximum: int | float | None = None
    exclusive_minimum: bool = False
    exclusive_maximum: bool = False
    allowed: tuple[Scalar, ...] = ()
    pattern: str = ""
    min_length: int | None = None
    max_length: int | None = None
    timezone: str = "UTC"
    format: str = ""
    decimal: Literal[".", ","] = "."
    identifier: bool = False
    personal: bool = False
    protected: bool = False
    description: str = ""
    business_name: str = ""
    line: int = 0


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """A key into another table: the values of `columns` stand in `table` as `to`, once each. A key with a
    missing part refers to nothing."""

    name: str
    columns: tuple[str, ...]
    table: str
    to: tuple[str, ...]
    line: int = 0


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """One table's promise. `digest` is the SHA-256 of the file's bytes.

    `references` are keys into other tables, `others` the promises of those that stand in the same file.
    `notes` name what the file says and Kring does not enforce, one sentence each.
    """

    id: str
    name: str
    version: str
    table: str
    fields: tuple[Field, ...]
    rules: tuple[Rule, ...] = ()
    target: str = ""
    time: str = ""
    subject: str = ""
    outcome_time: str = ""
    supplier: str = ""
    references: tuple[Reference, ...] = ()
    others: tuple[Contract, ...] = ()
    owner: str = ""
    purpose: str = ""
    file: str = ""
    digest: str = ""
    notes: tuple[str, ...] = ()
