"""What a contract asks of single rows: one list, which tables and rows compile alike."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import msgspec

from kring.record.contract import Bound, Contract, Field, Rule, Scalar, Severity, Unit

Kind = Literal["type", "finite", "required", "null", "missing", "zero", "invalid", "expression"]


class RowRule(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that makes a row bad.

    - `type`: there is a value and it can't be read as the column's type · `finite`: NaN or infinity
    - `null`: nothing is there · `required`: nothing is there, or a text that stands for nothing
    - `missing`: as `required`, or one of `missing_values` · `zero`: the number 0
    - `invalid`: a value outside the limits that are set · `expression`: the expression is false

    A missing value breaks only the rules about missing. `column` is empty for an expression over the
    table; `bound` says how many bad rows the feed may hold.
    """

    name: str
    kind: Kind
    column: str = ""
    severity: Severity = "block"
    bound: Bound = Bound(high=0)
    unit: Unit = "rows"
    minimum: int | float | None = None
    maximum: int | float | None = None
    exclusive_minimum: bool = False
    exclusive_maximum: bool = False
    allowed: tuple[Scalar, ...] = ()
    pattern: str = ""
    min_length: int | None = None
    max_length: int | None = None
    missing_values: tuple[Scalar, ...] = ()
    expression: str = ""
    line: int = 0

    @property
    def full_name(self) -> str:
        """`column.name`: unique in the contract."""
        return f"{self.column}.{self.name}" if self.column else self.name

    @property
    def strict(self) -> bool:
        """Whether a single bad row already breaks the contract."""
        bound = self.bound
        if bound.negate or bound.high is None or self.severity != "block":
            return False
        least = 1.0 if self.unit == "rows" else 0.0
        return bound.high < least or (bound.high == least and (bound.exclude_high or self.unit == "percent"))


def row_rules(contract: Contract) -> tuple[RowRule, ...]:
    """Every rule of the contract about single rows: each column's type and limits, then its quality rules."""
    fields = {field.name: field for field in contract.fields}
    limits = [rule for field in contract.fields for rule in _limits(field)]
    return (*limits, *(made for rule in contract.rules if (made := _made(rule, fields)) is not None))


def fields_of_rules(contract: Contract) -> dict[str, str]:
    """By full name, the field of every rule that blocks and tolerates no bad row; rules over the table have none."""
    return {rule.full_name: rule.column for rule in row_rules(contract) if rule.strict and rule.column}


def text_markers(contract: Contract) -> dict[str, frozenset[str]]:
    """Per column that is not of texts: the texts which stand for nothing (`N/A`), by its `missingValues` rules."""
    found: dict[str, frozenset[str]] = {}
    texts = {field.name for field in contract.fields if field.type == "string"}
    for rule in contract.rules:
        if rule.metric == "missingValues" and rule.columns[0] not in texts:
            marks = frozenset(value for value in rule.missing_values if isinstance(value, str))
            found[rule.columns[0]] = found.get(rule.columns[0], frozenset()) | marks
    return found


def _limits(field: Field) -> Iterator[RowRule]:
    column, line = field.name, field.line
    yield RowRule(name="type", kind="type", column=column, line=line)
    if field.type == "number":
        yield RowRule(name="finite", kind="finite", column=column, line=line)
    if field.required:
        yield RowRule(name="required", kind="required", column=column, line=line)
    if field.minimum is not None or field.maximum is not None:
        low, low_open = _whole(field.minimum, field, low=True)
        high, high_open = _whole(field.maximum, field, low=False)
        yield RowRule(
            name="range",
            kind="invalid",
            column=column,
            minimum=low,
            maximum=high,
            exclusive_minimum=field.exclusive_minimum and low_open,
            exclusive_maximum=field.exclusive_maximum and high_open,
            line=line,
        )
    if field.allowed:
        yield RowRule(name="allowed", kind="invalid", column=column, allowed=field.allowed, line=line)
    if field.pattern:
        yield RowRule(name="pattern", kind="invalid", column=column, pattern=field.pattern, line=line)
    if field.min_length is not None or field.max_length is not None:
        low, high = field.min_length, field.max_length
        yield RowRule(name="length", kind="invalid", column=column, min_length=low, max_length=high, line=line)


def _whole(limit: int | float | None, field: Field, *, low: bool) -> tuple[int | float | None, bool]:
    """The limit as an integer for integer columns, and whether an open end still means anything."""
    if limit is None or field.type == "number" or isinstance(limit, int) or math.isinf(limit):
        return limit, True
    rounded = math.ceil(limit) if low else math.floor(limit)
    return rounded, rounded == limit


def _made(rule: Rule, fields: dict[str, Field]) -> RowRule | None:
    column = rule.columns[0] if rule.columns else ""
    kinds: dict[str, Kind] = {
        "nullValues": "null",
        "missingValues": "missing",
        "zeroValues": "zero",
        "invalidValues": "invalid",
        "expression": "expression",
    }
    if rule.metric not in kinds:
        return None
    field = fields.get(column)
    return RowRule(
        name=rule.name,
        kind=kinds[rule.metric],
        column=column,
        severity=rule.severity,
        bound=rule.bound,
        unit=rule.unit,
        minimum=_whole(rule.minimum, field, low=True)[0] if field else None,
        maximum=_whole(rule.maximum, field, low=False)[0] if field else None,
        allowed=rule.valid_values,
        pattern=rule.pattern,
        missing_values=rule.missing_values,
        expression=rule.expression,
        line=rule.line,
    )
