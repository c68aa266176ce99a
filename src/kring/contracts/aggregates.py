"""Numbers of a whole table, such as `mean(amount) / max(amount)`: aggregates inside the expression grammar.

An aggregate is a call of one of `AGGREGATES` with one argument, an expression over a row; missing values are
left out of it. What stands around the aggregates is an expression over their results.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from kring.contracts import grammar, to_polars, to_rows
from kring.contracts.expression import Expression
from kring.errors import ExpressionError
from kring.record.contract import LogicalType
from kring.record.decision import Value

NUMBERS: Final = ("number", "integer")
TRUTHS: Final = ("boolean",)
ORDERED: Final = ("number", "integer", "date", "timestamp")
ANY: Final = ("string", "boolean", *ORDERED)

AGGREGATES: Final[Mapping[str, tuple[tuple[LogicalType, ...], LogicalType | None, Callable[[pl.Expr], pl.Expr]]]] = {
    "mean": (NUMBERS, "number", lambda values: values.mean()),
    "sum": (NUMBERS, "number", lambda values: values.cast(pl.Float64).sum()),
    "median": (NUMBERS, "number", lambda values: values.median()),
    "deviation": (NUMBERS, "number", lambda values: values.std()),
    "min": (ORDERED, None, lambda values: values.min().to_physical()),
    "max": (ORDERED, None, lambda values: values.max().to_physical()),
    "share": (TRUTHS, "number", lambda values: values.mean()),
    "count": (TRUTHS, "integer", lambda values: values.sum().cast(pl.Int64)),
    "distinct": (ANY, "integer", lambda values: values.drop_nulls().n_unique().cast(pl.Int64)),
}
"""By name: the types it takes, the type it gives (None: the same) and what it is.

The mean, sum, median, (sample) deviation, least or greatest of values, the share (0 to 1) and count of rows on
which something is true, the number of different values.
"""


@dataclass(frozen=True, slots=True)
class Aggregated:
    """An expression over aggregates. `parts` are those by their text, `kinds` their types, `columns` the fields
    that they read."""

    parts: Mapping[str, pl.Expr]
    kinds: Mapping[str, LogicalType]
    columns: frozenset[str]
    type: LogicalType
    whole: to_rows.Cell

    def value(self, found: Mapping[str, Value]) -> Value:
        """The number (or true, false), from the values of `parts`; None when a part has none."""
        return self.whole(found)


def aggregated(
    text: str, *, types: Mapping[str, LogicalType], file: str = "", line: int = 0, key: str = ""
) -> Aggregated:
    """`text` with its aggregates set apart. `ExpressionError` when it has none, or is outside the grammar."""
    calls = _calls(text.strip())
    outer, parts, kinds, columns = text.strip(), {}, {}, frozenset[str]()
    for start, end, name, inside in sorted(calls, reverse=True):
        written = outer[start:end]
        inner = grammar.parse(inside, file=file, line=line, key=key)
        kinds[written], parts[written] = _part(name, inner, types)
        columns |= grammar.fields_of(inner)
        outer = f"{outer[:start]}{grammar.quoted(written)}{outer[end:]}"
    whole = grammar.parse(outer, file=file, line=line, key=key)
    known = ", ".join(AGGREGATES)
    if not parts:
        raise ExpressionError(
            "no aggregate in this expression", got=text[:80], allowed=f"{known}, of one argument each"
        )
    bare = sorted(grammar.fields_of(whole) - parts.keys())
    if bare:
        raise ExpressionError(
            "a field outside of an aggregate has no one value",
            got=bare[0],
            next=f"write mean({bare[0]}), or one of {known}",
        )
    return Aggregated(
        parts, kinds, columns, grammar.type_of(whole, kinds), to_rows.compile(whole, types=kinds, tables={})
    )


def _calls(text: str) -> list[tuple[int, int, str, str]]:
    """(start, end, name, argument) of every aggregate in `text`, outermost only; none when it is no expression."""
    if len(text) > grammar.MAX_CHARACTERS:
        return []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError, Warning):
        return []
    found, open_nodes = [], [tree.body]
    starts = [0]
    for one in text.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(one))
    while open_nodes:
        node = open_nodes.pop()
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and _is_aggregate(node):
            begin = starts[node.lineno - 1] + node.col_offset
            end = starts[(node.end_lineno or 1) - 1] + (node.end_col_offset or 0)
            inside = ast.get_source_segment(text, node.args[0]) or ""
            found.append((_signs(text, begin), _signs(text, end), node.func.id, inside))
            continue
        open_nodes += [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]
    return found


def _is_aggregate(node: ast.Call) -> bool:
    """`min(a)` is one, `min(a, b)` is a function of the row."""
    named = isinstance(node.func, ast.Name) and node.func.id in AGGREGATES
    return named and len(node.args) == 1 and not node.keywords


def _signs(text: str, place: int) -> int:
    """A place in bytes as one in signs."""
    return len(text.encode()[:place].decode())


def _part(name: str, inner: Expression, types: Mapping[str, LogicalType]) -> tuple[LogicalType, pl.Expr]:
    takes, gives, make = AGGREGATES[name]
    kind = grammar.type_of(inner, types)
    if kind not in takes or grammar.lookups_of(inner):
        raise inner.source.fault(f"{name} takes no {kind}", allowed=", ".join(takes))
    return gives or kind, make(to_polars.compile(inner, types=types, tables={}))
