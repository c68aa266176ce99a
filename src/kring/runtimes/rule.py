"""A rule: an expression of the contract's grammar over prepared columns, with no model behind it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kring.contracts import to_rows
from kring.contracts.grammar import fields_of, parse, type_of
from kring.errors import CandidateError, Unavailable
from kring.record.batch import Batch, Column
from kring.record.contract import LogicalType
from kring.record.decision import Value
from kring.record.prepare import ColumnKind
from kring.record.version import Link, Output
from kring.runtimes.answers import answered, nothing

NAME: Final = "the rule"
TYPES: Final[dict[ColumnKind, LogicalType]] = {"number": "number", "category": "string"}
NUMBERS: Final[tuple[LogicalType, ...]] = ("number", "integer", "boolean")

Evaluate = Callable[[Mapping[str, Value]], Value]


class RuleRuntime:
    """Yes and no count as 1 and 0, a text as the label it is: probability 1. A result that is missing is
    `default`, or NaN without one: no answer; so is a text that is none of `labels`."""

    def __init__(
        self,
        evaluate: Evaluate,
        fields: tuple[str, ...],
        *,
        output: Output,
        default: float | None = None,
        labels: tuple[str, ...] = (),
    ) -> None:
        self._evaluate = evaluate
        self._fields = fields
        self._output = output
        self._missing = float("nan") if default is None else float(default)
        self._labels = dict(zip(labels, np.eye(len(labels)), strict=True))

    def answer(self, batch: Batch) -> Batch:
        """`probability` or `value`: float64, shape (n,), or `probabilities`, (n, labels); NaN where the rule has
        no answer."""
        absent = [name for name in self._fields if name not in batch.columns]
        if absent:
            raise Unavailable(
                f"{NAME} needs the column {absent[0]}", got=", ".join(batch.columns) or "no columns", key=absent[0]
            )
        rows = zip(*(_values(batch.columns[name]) for name in self._fields), strict=True)
        if self._fields:
            results = [self._evaluate(dict(zip(self._fields, row, strict=True))) for row in rows]
        else:
            results = [self._evaluate({})] * batch.n
        labels = len(self._labels)
        numbers = nothing(self._output, rows=batch.n, labels=labels)
        for row, result in enumerate(results):
            numbers[row] = self._numbers(result)
        usable = answered(numbers, n=batch.n, output=self._output, link=NAME, labels=labels)
        return Batch(batch.n, {self._output: usable})

    def close(self) -> None:
        """Nothing is held."""

    def _numbers(self, result: Value) -> float | NDArray[np.float64]:
        if result is None:
            return self._missing
        if isinstance(result, str) and self._output == "probabilities":
            return self._labels.get(result, np.nan)
        if isinstance(result, bool | int | float):
            return float(result)
        raise Unavailable(f"{NAME} gives no number", got=repr(result)[:80], allowed="a number, true or false")


def open_rule(
    link: Link,
    kinds: Mapping[str, ColumnKind],
    *,
    output: Output,
    default: float | None = None,
    labels: tuple[str, ...] = (),
) -> RuleRuntime:
    """A runtime over the expression of `link`; `kinds` says what each prepared column is. For `probabilities`
    the rule gives one of `labels` as a text.

    `ExpressionError` when it does not parse, `CandidateError` for columns that are not prepared and for
    results of another type.
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
    if output == "probabilities" and result != "string":
        raise CandidateError("the rule gives no label", got=result, allowed="a text: one of the labels", key="rule")
    if output != "probabilities" and result not in NUMBERS:
        raise CandidateError("the rule gives no number", got=result, allowed=", ".join(NUMBERS), key="rule")
    evaluate = to_rows.compile(expression, types=types, tables={})
    return RuleRuntime(evaluate, fields, output=output, default=default, labels=labels)


def _values(column: Column) -> list[Value]:
    """Python values, NaN as None: so the grammar sees missing as missing."""
    values = np.asarray(column)
    if values.dtype.kind != "f":
        return list(values.tolist())
    return [None if math.isnan(value) else value for value in values.tolist()]
