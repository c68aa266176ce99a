"""The rules of single rows as polars expressions: true where a row is bad, false or null where it is not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import polars as pl

from kring.contracts import grammar, to_polars
from kring.contracts.columns import Reading, any_of, typed_reading
from kring.contracts.patterns import pattern
from kring.contracts.row_rules import RowRule, row_rules
from kring.record.contract import Contract, Field, Scalar


def polars_predicates(contract: Contract, made: Mapping[str, Reading] | None = None) -> list[tuple[str, str, pl.Expr]]:
    """(full name, column, bad) for every rule that blocks and tolerates no bad row, in the contract's order.

    The expressions are over a frame whose columns have the contract's types, as `kring.data.check.typed`
    gives it, or whose columns are read as `made` says. They agree with `kring.contracts.rows_guard` on every row.
    """
    fields = {field.name: field for field in contract.fields}
    made = made or {name: typed_reading(field) for name, field in fields.items()}
    found = []
    for rule in row_rules(contract):
        bad = predicate(rule, contract, made) if rule.strict else None
        if bad is not None:
            found.append((rule.full_name, rule.column, bad))
    return found


def predicate(rule: RowRule, contract: Contract, readings: Mapping[str, Reading]) -> pl.Expr | None:
    """True where a row breaks `rule`; None when no row can, by the types of the columns."""
    if rule.kind == "expression":
        types = {field.name: field.type for field in contract.fields}
        expression = grammar.parse(rule.expression, file=contract.file, line=rule.line, key=rule.full_name)
        return to_polars.compile(expression, types=types, tables={}).not_()
    found = readings[rule.column]
    simple = {"type": found.broken, "finite": found.infinite, "null": found.null, "required": found.missing}
    if rule.kind in simple:
        return simple[rule.kind]
    if rule.kind == "zero":
        return found.value == 0
    field = next(field for field in contract.fields if field.name == rule.column)
    if rule.kind == "missing":
        marks = [mark for mark in rule.missing_values if isinstance(mark, str) == (field.type == "string")]
        return found.missing | found.value.is_in(_typed(marks, field)) if marks else found.missing
    return any_of(_invalid(rule, field, found.value))


def _typed(values: Iterable[Scalar], field: Field) -> pl.Series:
    dtype = {"date": pl.Int32(), "timestamp": pl.Int64()}.get(field.type, to_polars.DTYPES[field.type])
    return pl.Series(list(values), dtype=dtype, strict=False).implode()


def _invalid(rule: RowRule, field: Field, value: pl.Expr) -> list[pl.Expr]:
    plain = value.to_physical() if field.type in ("date", "timestamp") else value
    bad: list[pl.Expr] = []
    if rule.minimum is not None:
        low = _limit(rule.minimum, field)
        bad.append(plain <= low if rule.exclusive_minimum else plain < low)
    if rule.maximum is not None:
        high = _limit(rule.maximum, field)
        bad.append(plain >= high if rule.exclusive_maximum else plain > high)
    if rule.allowed:
        bad.append(plain.is_in(_typed(rule.allowed, field)).not_())
    if rule.pattern:
        bad.append(value.str.contains(pattern(rule.pattern).text).not_())
    if rule.min_length is not None:
        bad.append(value.str.len_chars() < rule.min_length)
    if rule.max_length is not None:
        bad.append(value.str.len_chars() > rule.max_length)
    return bad


def _limit(limit: int | float, field: Field) -> pl.Expr:
    if field.type == "number":
        return pl.lit(float(limit))
    inside = -(1 << 63) <= limit < 1 << 63
    return pl.lit(int(limit), dtype=pl.Int64) if inside else pl.lit(float(limit))
