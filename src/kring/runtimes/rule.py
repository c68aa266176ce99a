"""A rule: an expression of the contract's grammar over prepared columns, with no model behind it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from kring.contracts import to_rows
from kring.contracts.grammar import fields_of, parse, type_of
from kring.errors import CandidateError, Unavailable
from kring.record.batch import Batch, Column
from kring.record.contract import LogicalType
from kring.record.decision import Value
from kring.record.prepare import ColumnKind
from kring.record.version import Link, Output
from kring.runtimes.answers import answered

NAME: Final = "the rule"
TYPES: Final[dict[ColumnKind, LogicalType]] = {"number": "number", "category": "string"}
NUMBERS: Final[tuple[LogicalType, ...]] = ("number", "integer", "boolean")

Evaluate = Callable[[Mapping[str, Value]], Value]


class RuleRuntime:
    """Yes and no count as 1 and 0. A result that is missing is `default`, or NaN without one: no answer."""

    def __init__(
        self, evaluate: Evaluate, fields: tuple[str, ...], *, output: Output, default: float | None = None
    ) -> None:
        self._evaluate = evaluate
        self._fields = fields
        self._output = output
        self._missing = float("nan") if default is None else float(default)

    def answer(self, batch: Batch) -> Batch:
        """`probability` or `value`: float64, shape (n,), NaN where the rule has no answer."""
        absent = [name for name in self._fields if name not in batch.columns]
        if absent:
            raise Unavailable(
                f"{NAME} needs the column {absent[0]}", got=", ".join(batch.columns) or "no columns", key=absent[0]
            )
        rows = zip(*(_values(batch.columns[name]) for name in self._fields), strict=True)
        if self._fields:
            results = [self._number(dict(zip(self._fields, row, strict=True))) for row in rows]
        else:
            results = [self._number({})] * batch.n
        numbers = np.array(results, dtype=np.float64)
        return Batch(batch.n, {self._output: answered(numbers, n=batch.n, output=self._output, link=NAME)})

    def close(self) -> None:
        """Nothing is held."""

    def _number(self, row: Mapping[str, Value]) -> float:
        result = self._evaluate(row)
        if result is None:
            return self._missing
        if isinstance(result, bool | int | float):
            return float(result)
        raise Unavailable(f"{NAME} gives no number", got=repr(result)[:80], allowed="a number, true or false")


def open_rule(
    link: Link, kinds: Mapping[str, ColumnKind], *, output: Output, default: float | None = None
) -> RuleRuntime:
    """A runtime over the expression of `link`; `kinds` says what each prepared column is.

    `ExpressionError` when it does not parse, `CandidateError` for columns that are not prepared.
    """
    expression = parse(link.expression, key="rule")
    fields = tuple(sorted(fields_of(expression)))
    unknown = [name for name in fields if name not in kinds]
    if unknown:
        raise CandidateError(
            "the rule uses a column that is not prepared",
            got=", ".join(unknown),
            allowed=", ".join(kinds),
            next="declare it under [prepare] in kring.toml",
            key="rule",
        )
    types = {name: TYPES[kind] for name, kind in kinds.items()}
    result = type_of(expression, types)
    if result not in NUMBERS:
        raise CandidateError("the rule gives no number", got=result, allowed=", ".join(NUMBERS), key="rule")
    evaluate = to_rows.compile(expression, types=types, tables={})
    return RuleRuntime(evaluate, fields, output=output, default=default)


def _values(column: Column) -> list[Value]:
    """Python values, NaN as None: so the grammar sees missing as missing."""
    values = np.asarray(column)
    if values.dtype.kind != "f":
        return list(values.tolist())
    return [None if math.isnan(value) else value for value in values.tolist()]
