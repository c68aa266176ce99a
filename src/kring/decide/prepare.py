"""Prepared columns: declared once, computed here for tables and in `kring.decide.prepare_rows` for requests."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import Final

import numpy as np
import polars as pl

from kring.contracts.expression import Expression, LookupCall, Source, nearest
from kring.contracts.grammar import fields_of, lookups_of, parse, quoted, type_of
from kring.contracts.terms import resolve
from kring.contracts.to_polars import compile, typed
from kring.decide.lookups import key_nodes
from kring.decide.prepare_rows import MISSING, row_preparer
from kring.errors import DataError
from kring.metrics.numbers import narrow
from kring.record.batch import Batch, Column
from kring.record.contract import Contract, LogicalType
from kring.record.decision import Value
from kring.record.prepare import ColumnKind, LookupSpec, LookupTable, Prepared, PreparedColumn

KINDS: Final[Mapping[LogicalType, ColumnKind]] = {
    "number": "number",
    "integer": "number",
    "boolean": "number",
    "string": "category",
}

FEW: Final = 256
"""From this many rows on columns are faster than rows."""


def declare(
    prepare: Mapping[str, str],
    contract: Contract,
    lookups: tuple[LookupSpec, ...],
    *,
    use: tuple[str, ...] = (),
    forbidden: Collection[str] = (),
    lines: Mapping[str, int] | None = None,
    file: str = "",
) -> tuple[PreparedColumn, ...]:
    """The prepared columns, in order, parsed and type-checked; then the raw fields in `use` as they are.

    Numbers, integers and booleans become `number`, texts `category`. Fields in `forbidden`, the contract's target
    and the time of its outcome are known only later: only the value of a lookup may be one of them. `lines` holds
    the line in `file` of each name in `prepare`. `ExpressionError` for everything that is not right.
    """
    texts = {**prepare, **{name: quoted(name) for name in use if name not in prepare}}
    types: dict[str, LogicalType] = {field.name: field.type for field in contract.fields}
    later = {*forbidden, contract.target, contract.outcome_time} - {""}
    specs = {spec.name: spec for spec in lookups}
    for spec in lookups:
        _check_lookup(spec, types, later)
    columns = []
    for name, text in texts.items():
        expression = parse(text, file=file, line=(lines or {}).get(name, 0), key=f"prepare.{name}")
        _check_later(expression, later)
        for call in lookups_of(expression):
            _check_call(expression, call, specs, types)
        columns.append(PreparedColumn(name=name, expression=text, kind=_kind(expression, types)))
    for name in set(use) & set(prepare):
        if prepare[name].strip() != quoted(name):
            raise Source(name, file=file, key=f"prepare.{name}").fault(
                f"{name!r} is both a field used as it is and a prepared column", next="give the column another name"
            )
    return tuple(columns)


def prepare_frame(
    prepared: Prepared,
    frame: pl.DataFrame,
    *,
    types: Mapping[str, LogicalType],
    as_of: Mapping[str, str] | None = None,
) -> Batch:
    """The prepared columns of `frame`, once. Where it is done often, make a `frame_preparer` once and call that."""
    return frame_preparer(prepared, types=types, as_of=as_of)(frame)


def frame_preparer(
    prepared: Prepared, *, types: Mapping[str, LogicalType], as_of: Mapping[str, str] | None = None, few: int = FEW
) -> Callable[[pl.DataFrame], Batch]:
    """A function from a frame of raw fields to prepared columns: float32 with NaN for missing, and arrays of str
    with `(missing)`.

    `types` are those of the raw fields. Lookups come from the pinned tables, or from the frame's columns that
    `as_of` names by lookup: values as of each row's own time, for rows to learn from. Frames of less than `few`
    rows go through the row functions, which give the same and are faster there. `DataError` when the frame lacks
    a column, `ExpressionError` when an expression doesn't fit the types.
    """
    if as_of:
        return _by_columns(prepared, types, as_of)
    by_columns, by_rows = _by_columns(prepared, types, {}), row_preparer(prepared, types=types)
    fields = _fields(prepared)

    def prepare(frame: pl.DataFrame) -> Batch:
        if frame.height >= few:
            return by_columns(frame)
        table = typed(frame, types, fields=fields)
        return by_rows(Batch(frame.height, {name: _values(table[name]) for name in fields}))

    return prepare


def _values(column: pl.Series) -> list[Value]:
    """What rows hold: times as microseconds, dates as days."""
    values: list[Value] = (column.to_physical() if column.dtype.is_temporal() else column).to_list()
    return values


def _fields(prepared: Prepared) -> list[str]:
    """The raw fields that the columns read."""
    return sorted({name for column in prepared.columns for name in fields_of(parse(column.expression))})


def _by_columns(
    prepared: Prepared, types: Mapping[str, LogicalType], as_of: Mapping[str, str]
) -> Callable[[pl.DataFrame], Batch]:
    tables: dict[str, LookupTable | str] = {**{table.name: table for table in prepared.tables}, **as_of}
    expressions = {column.name: parse(column.expression, key=f"prepare.{column.name}") for column in prepared.columns}
    fields = _fields(prepared)
    numbers = [column.name for column in prepared.columns if column.kind == "number"]
    compiled = {name: compile(one, types=types, tables=tables).alias(name) for name, one in expressions.items()}
    finished = [
        compiled[column.name].cast(pl.Float64) if column.kind == "number" else compiled[column.name].fill_null(MISSING)
        for column in prepared.columns
    ]

    def prepare(frame: pl.DataFrame) -> Batch:
        _check_columns(frame, as_of)
        table = frame.with_columns(typed(frame, types, fields=fields)).with_columns(finished)
        matrix = table.select(numbers).to_numpy() if numbers else np.zeros((frame.height, 0))
        narrowed = dict(zip(numbers, narrow(matrix).T, strict=True))
        columns: dict[str, Column] = {
            column.name: narrowed[column.name] if column.kind == "number" else table[column.name].to_numpy()
            for column in prepared.columns
        }
        return Batch(frame.height, columns)

    return prepare


def _check_columns(frame: pl.DataFrame, as_of: Mapping[str, str]) -> None:
    for lookup, column in as_of.items():
        if column not in frame.columns:
            raise DataError(
                f"the values of lookup {lookup!r} are missing",
                got=", ".join(frame.columns[:20]),
                allowed=f"a column {column!r}",
                next="add it by kring.decide.lookups.as_of",
            )


def _check_later(expression: Expression, later: Collection[str]) -> None:
    for name in sorted(fields_of(expression) & set(later)):
        raise expression.source.fault(
            f"{name!r} is known only later, not when the decision is made",
            at=max(0, expression.source.text.find(name)),
            allowed="fields that are known when the decision is made",
            next="what history says about it comes from lookup(...) with this field as its value",
        )


def _check_lookup(spec: LookupSpec, types: Mapping[str, LogicalType], later: Collection[str]) -> None:
    source = Source(", ".join(spec.key), key=f"lookup.{spec.name}.key")
    if not spec.key:
        raise source.fault("a lookup needs a key", allowed='fields, such as key = ["origin", "dest"]')
    key = Expression(LookupCall(spec.name, key_nodes(spec, types)), source)
    _check_later(key, later)
    resolve(key, types)
    value = Source(spec.value, key=f"lookup.{spec.name}.value")
    numeric = sorted(name for name, kind in types.items() if kind in ("number", "integer", "boolean"))
    if spec.value not in numeric:
        raise value.fault(
            f"the value of lookup {spec.name!r} must be a field with a mean",
            got=f"{spec.value} ({types.get(spec.value, 'no field')})",
            allowed=", ".join(numeric),
            next=nearest(spec.value, numeric),
        )
    if not (math.isfinite(spec.prior) and spec.prior >= 0):
        raise Source(str(spec.prior), key=f"lookup.{spec.name}.prior").fault(
            "the prior is a number of rows", allowed="0 or more"
        )


def _check_call(
    expression: Expression, call: LookupCall, specs: Mapping[str, LookupSpec], types: Mapping[str, LogicalType]
) -> None:
    if call.name not in specs:
        raise expression.source.fault(
            f"there is no lookup {call.name!r}",
            at=call.at,
            got=call.name,
            allowed=", ".join(sorted(specs)) or "none are declared",
            next=nearest(call.name, specs) or f"declare [lookup.{call.name}]",
        )
    spec = specs[call.name]
    if call.key != key_nodes(spec, types):
        raise expression.source.fault(
            f"this is not the key of lookup {call.name!r}",
            at=call.at,
            allowed=f"key = [{', '.join(spec.key)}]",
            next=f"use that key, or declare another lookup beside [lookup.{call.name}]",
        )


def _kind(expression: Expression, types: Mapping[str, LogicalType]) -> ColumnKind:
    found = type_of(expression, types)
    if found not in KINDS:
        parts = (
            "hour(t), weekday(t), month(t) or hours_between(start, t)"
            if found == "timestamp"
            else "weekday(d), day(d), month(d) or year(d)"
        )
        raise expression.source.fault(
            f"a {found} can't be a prepared column",
            allowed="a number, an integer, a boolean or a text",
            next=f"write what matters about it: {parts}",
        )
    return KINDS[found]
