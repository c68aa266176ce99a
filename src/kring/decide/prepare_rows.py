"""Prepared columns for rows as they come in requests. Imports no polars; equals `kring.decide.prepare` bit by bit."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kring.contracts import to_rows
from kring.contracts.expression import Expression
from kring.contracts.grammar import fields_of, parse
from kring.contracts.terms import resolve
from kring.metrics.numbers import narrow, side_by_side
from kring.record.batch import Batch, Column, ColumnsOf, Numbers
from kring.record.contract import LogicalType
from kring.record.decision import Value
from kring.record.prepare import Prepared

MISSING: Final = "(missing)"
"""The category of a value that is missing."""


def row_preparer(prepared: Prepared, *, types: Mapping[str, LogicalType]) -> Callable[[Batch], Batch]:
    """A function from raw fields (lists, times as microseconds UTC) to prepared columns.

    Numbers come out as float32 with NaN for missing, categories as arrays of str with `(missing)`. It works for
    any n and is meant for n = 1. A raw field that the batch lacks, or a value that is not of the field's type,
    is missing. `types` are those of the raw fields; `ExpressionError` when an expression doesn't fit them.
    """
    tables = {table.name: table for table in prepared.tables}
    expressions = {column.name: parse(column.expression, key=f"prepare.{column.name}") for column in prepared.columns}
    fields = sorted({name for expression in expressions.values() for name in fields_of(expression)})
    cells = {name: to_rows.compile(expression, types=types, tables=tables) for name, expression in expressions.items()}
    numbers = [cells[column.name] for column in prepared.columns if column.kind == "number"]
    plain = tuple(_plain_number(expressions[column.name], types) for column in prepared.columns)
    is_plain = bool(plain) and all(plain)
    order = [(column.name, column.kind) for column in prepared.columns]
    names = tuple(column.name for column in prepared.columns)

    def prepare(batch: Batch) -> Batch:
        if is_plain and (single := side_by_side(batch, plain)) is not None:
            side = Numbers(names, single)
            return Batch(batch.n, ColumnsOf(side), side)
        rows = _rows(batch, fields)
        matrix = np.array([[_number(cell(row)) for row in rows] for cell in numbers], dtype=np.float64)
        narrowed = iter(narrow(matrix))
        return Batch(
            batch.n,
            {
                name: next(narrowed) if kind == "number" else _category(cells[name](row) for row in rows)
                for name, kind in order
            },
        )

    return prepare


def _plain_number(expression: Expression, types: Mapping[str, LogicalType]) -> str:
    """The field of type number that the expression is, and nothing more; none for any other."""
    term = resolve(expression, types)
    return str(term.value) if term.op == "field" and term.type == "number" else ""


def _rows(batch: Batch, fields: list[str]) -> list[dict[str, Value]]:
    """One mapping per row, with those of `fields` that the batch has."""
    names = [name for name in fields if name in batch.columns]
    if not names:
        return [{} for _ in range(batch.n)]
    columns = (_values(batch.columns[name]) for name in names)
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _values(column: Column) -> Iterator[Value]:
    """Plain values: numpy's own numbers are no int and no float."""
    values = column.tolist() if isinstance(column, np.ndarray) else column
    return (value if isinstance(value, (bool, int, float, str)) else None for value in values)


def _number(value: Value) -> float:
    return math.nan if value is None else float(value)


def _category(values: Iterator[Value]) -> NDArray[np.object_]:
    return np.array([MISSING if value is None else value for value in values], dtype=object)
