"""Compiles an expression to polars. What comes out equals `kring.contracts.to_rows` on every row, bit by bit.

Arithmetic runs in numpy, because polars multiplies by the reciprocal where a column is divided by a constant;
logarithm, exponential and letter case run through the same functions as rows do.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kring.contracts import to_rows
from kring.contracts.expression import Expression, Source, nearest
from kring.contracts.tables import Tables, entries, table_of
from kring.contracts.terms import Term, resolve
from kring.contracts.to_rows import BLANKS
from kring.contracts.zones import DAY_US, DAYS, HOUR_US, MOMENTS, day_offsets
from kring.errors import DataError
from kring.record.contract import LogicalType

Floats: TypeAlias = NDArray[np.float64]

DTYPES: Final[Mapping[LogicalType, pl.DataType]] = {
    "string": pl.String(),
    "date": pl.Date(),
    "timestamp": pl.Datetime("us", "UTC"),
    "number": pl.Float64(),
    "integer": pl.Int64(),
    "boolean": pl.Boolean(),
}

KEY_DTYPES: Final[Mapping[LogicalType, pl.DataType]] = {**DTYPES, "date": pl.Int32()}


def compile(expression: Expression, *, types: Mapping[str, LogicalType], tables: Tables) -> pl.Expr:
    """A polars expression over a frame whose columns have the types in `DTYPES` (see `typed`).

    A table given as a column's name reads the looked-up value from that column. `ExpressionError` when types
    or tables don't fit.
    """
    return _expr(resolve(expression, types), tables, expression.source)


def typed(frame: pl.DataFrame, types: Mapping[str, LogicalType], *, fields: Sequence[str]) -> pl.DataFrame:
    """The columns `fields` of `frame`, cast to the types in `DTYPES`.

    Whole numbers are accepted as floats (others become null), times in any unit and zone (UTC where none is
    named) or as integer microseconds, dates also as days since 1970-01-01. `DataError` for a column that is
    absent or can't be what its type says.
    """
    for name in fields:
        if name not in frame.columns:
            raise DataError(
                f"there is no column {name!r}",
                got=", ".join(frame.columns[:20]),
                allowed=f"a column {name!r} of type {types[name]}",
                next=nearest(name, frame.columns),
            )
    schema = frame.schema
    if all(schema[name] == DTYPES[types[name]] for name in fields):
        return frame.select(fields)
    return frame.select(_cast(name, schema[name], types[name]) for name in fields)


def _cast(name: str, dtype: pl.DataType, kind: LogicalType) -> pl.Expr:
    column, wanted = pl.col(name), DTYPES[kind]
    if dtype == wanted:
        return column
    if dtype == pl.Null or (kind == "string" and isinstance(dtype, (pl.Categorical, pl.Enum))):
        return column.cast(wanted)
    if kind in ("number", "integer") and dtype.is_numeric():
        whole = kind == "number" or dtype.is_integer()
        return (column if whole else pl.when(column == column.floor()).then(column)).cast(wanted, strict=False)
    if kind in ("timestamp", "date") and dtype.is_integer():
        return column.cast(pl.Int32 if kind == "date" else pl.Int64, strict=False).cast(wanted)
    if kind == "timestamp" and isinstance(dtype, pl.Datetime):
        moment = column.dt.replace_time_zone("UTC") if dtype.time_zone is None else column.dt.convert_time_zone("UTC")
        return moment.dt.cast_time_unit("us")
    raise DataError(
        f"column {name!r} is of type {dtype}",
        allowed=f"{kind}, as {wanted}",
        next="correct the type in the contract or in the source",
    )


def _expr(term: Term, tables: Tables, source: Source) -> pl.Expr:
    if not term.reads():
        return pl.lit(to_rows.cell(term, tables, source)({}), dtype=DTYPES[term.type])
    if term.op == "field":
        return _field(str(term.value), term.type)
    if term.op in NUMERIC:
        leaves: list[Term] = []
        return _in_numpy(_fused(term, leaves), [_expr(leaf, tables, source) for leaf in leaves])
    parts = [_expr(part, tables, source) for part in term.arguments]
    if term.op == "lookup":
        return _lookup(term, parts, tables, source)
    return BUILDERS[term.op](term, parts)


def _field(name: str, kind: LogicalType) -> pl.Expr:
    column = pl.col(name)
    if kind == "number":
        column = column.cast(pl.Float64)
        return pl.when(column.is_finite()).then(column)
    if kind == "integer":
        return column.cast(pl.Int64)
    if kind in ("timestamp", "date"):
        bounds = MOMENTS if kind == "timestamp" else DAYS
        return pl.when(column.to_physical().is_between(bounds.start, bounds.stop, closed="left")).then(column)
    return column


def _fused(term: Term, leaves: list[Term]) -> Callable[[Sequence[Floats]], Floats]:
    """A function of the values of `leaves`, which are collected on the way; NaN stands for null."""
    if term.op not in NUMERIC:
        leaves.append(term)
        place = len(leaves) - 1
        return lambda arrays: arrays[place]
    operation = NUMERIC[term.op](term)
    parts = [_fused(part, leaves) for part in term.arguments]

    def run(arrays: Sequence[Floats]) -> Floats:
        result = operation(*[part(arrays) for part in parts])
        return np.where(np.isfinite(result), result, np.nan)

    return run


def _in_numpy(function: Callable[[Sequence[Floats]], Floats], parts: Sequence[pl.Expr]) -> pl.Expr:
    def run(series: Sequence[pl.Series]) -> pl.Series:
        with np.errstate(all="ignore"):
            return pl.Series(function([one.to_numpy() for one in series]), nan_to_null=True)

    return pl.map_batches(parts, run, return_dtype=pl.Float64, is_elementwise=True)


def _same(operation: Callable[..., Floats]) -> Callable[[Term], Callable[..., Floats]]:
    return lambda _: operation


def _each(function: Callable[[float], float]) -> Callable[..., Floats]:
    """`function` value by value, so that it is exactly the one that rows use."""

    def guarded(x: float) -> float:
        try:
            return function(x)
        except (ValueError, OverflowError):
            return math.nan

    return lambda array: np.fromiter(map(guarded, array.tolist()), np.float64, len(array))


def _floor_divide(a: Floats, b: Floats) -> Floats:
    quotient: Floats = np.floor(a / b) + 0.0  # no negative zero, as in rows
    return quotient


def _remainder(a: Floats, b: Floats) -> Floats:
    return a - b * _floor_divide(a, b)


def _least(*values: Floats) -> Floats:
    least = values[0]
    for value in values[1:]:
        least = np.where(np.isnan(value) | ~(np.isnan(least) | (least <= value)), value, least)
    return least


def _most(*values: Floats) -> Floats:
    most = values[0]
    for value in values[1:]:
        most = np.where(np.isnan(value) | ~(np.isnan(most) | (most >= value)), value, most)
    return most


def _round_digits(term: Term) -> Callable[..., Floats]:
    scale = 10.0 ** int(term.value or 0)
    return lambda x: (np.rint(x * scale) + 0.0) / scale


NUMERIC: Final[Mapping[str, Callable[[Term], Callable[..., Floats]]]] = {
    "+": _same(np.add),
    "-": _same(np.subtract),
    "*": _same(np.multiply),
    "/": _same(np.divide),
    "//": _same(_floor_divide),
    "%": _same(_remainder),
    "negative": _same(np.negative),
    "abs": _same(np.abs),
    "sqrt": _same(np.sqrt),
    "log": _same(_each(math.log)),
    "exp": _same(_each(math.exp)),
    "min": _same(_least),
    "max": _same(_most),
    "clip": _same(lambda x, low, high: _least(_most(x, low), high)),
    "round digits": _round_digits,
}


def _hours_between(_: Term, parts: list[pl.Expr]) -> pl.Expr:
    start, end = (part.to_physical() for part in parts)
    return _in_numpy(lambda arrays: arrays[0] / HOUR_US, [(end - start).cast(pl.Float64)])


def _part(term: Term, parts: list[pl.Expr]) -> pl.Expr:
    """A part of the wall clock in a zone; a date is the same day everywhere."""
    (moment,) = parts
    zone = str(term.value)
    if term.arguments[0].type == "timestamp" and zone != "UTC":
        moment = moment.to_physical().map_batches(
            lambda at: _local(zone, at), return_dtype=pl.Datetime("us"), is_elementwise=True
        )
    picked: pl.Expr = getattr(moment.dt, term.op)()
    return picked.cast(pl.Int64)


def _local(zone: str, at: pl.Series) -> pl.Series:
    """The wall clock of `zone` for microseconds UTC; one look at the zone's rules per day that occurs."""
    moments = at.fill_null(0).to_numpy()
    days, place = np.unique(moments // DAY_US, return_inverse=True)
    offsets = np.array([day_offsets(zone, int(day)) for day in days], dtype=np.int64).reshape(-1, 3)
    before, change, after = offsets[place].T
    return (at + pl.Series(np.where(moments < change, before, after))).cast(pl.Datetime("us"))


def _mapped(function: Callable[[str], str]) -> Callable[[Term, list[pl.Expr]], pl.Expr]:
    """`function` once per distinct text, so that it is exactly the one that rows use."""

    def run(texts: pl.Series) -> pl.Series:
        known = texts.drop_nulls().unique()
        if known.is_empty():
            return texts
        return texts.replace_strict(known, [function(text) for text in known], default=None, return_dtype=pl.String)

    return lambda _, parts: parts[0].map_batches(run, return_dtype=pl.String, is_elementwise=True)


def _compared(
    forward: Callable[[pl.Expr, pl.Expr], pl.Expr], turned: Callable[[pl.Expr, pl.Expr], pl.Expr]
) -> Callable[[Term, list[pl.Expr]], pl.Expr]:
    """A comparison with its constant on the right: on the left polars 2.1 loses the length of the other side
    where all its values are equal."""
    return lambda term, parts: forward(*parts) if term.arguments[0].reads() else turned(parts[1], parts[0])


def _in(term: Term, parts: list[pl.Expr]) -> pl.Expr:
    members = pl.Series([part.value for part in term.arguments[1:]], dtype=DTYPES[term.arguments[0].type])
    return parts[0].is_in(members.implode())


BUILDERS: Final[Mapping[str, Callable[[Term, list[pl.Expr]], pl.Expr]]] = {
    "to number": lambda _, parts: parts[0].cast(pl.Float64),
    "hours_between": _hours_between,
    **dict.fromkeys(("hour", "minute", "day", "weekday", "month", "year"), _part),
    "round": lambda _, parts: parts[0].round(mode="half_to_even").cast(pl.Int64, strict=False),
    "floor": lambda _, parts: parts[0].floor().cast(pl.Int64, strict=False),
    "ceil": lambda _, parts: parts[0].ceil().cast(pl.Int64, strict=False),
    "==": _compared(operator.eq, operator.eq),
    "!=": _compared(operator.ne, operator.ne),
    "<": _compared(operator.lt, operator.gt),
    "<=": _compared(operator.le, operator.ge),
    ">": _compared(operator.gt, operator.lt),
    ">=": _compared(operator.ge, operator.le),
    "and": lambda _, parts: pl.all_horizontal(parts),
    "or": lambda _, parts: pl.any_horizontal(parts),
    "not": lambda _, parts: ~parts[0],
    "in": _in,
    "is_null": lambda _, parts: parts[0].is_null(),
    "where": lambda _, parts: pl.when(parts[0]).then(parts[1]).otherwise(parts[2]),
    "coalesce": lambda _, parts: pl.coalesce(parts),
    "lower": _mapped(str.lower),
    "upper": _mapped(str.upper),
    "strip": lambda _, parts: parts[0].str.strip_chars(BLANKS),
    "length": lambda _, parts: parts[0].str.len_chars().cast(pl.Int64),
    "starts_with": lambda _, parts: parts[0].str.starts_with(parts[1]),
    "ends_with": lambda _, parts: parts[0].str.ends_with(parts[1]),
    "contains": lambda _, parts: parts[0].str.contains(parts[1], literal=True),
    "concat": lambda _, parts: pl.concat_str(parts),
    "text": lambda _, parts: parts[0].cast(pl.String),
}


def _lookup(term: Term, parts: Sequence[pl.Expr], tables: Tables, source: Source) -> pl.Expr:
    table = table_of(term, tables, source)
    if isinstance(table, str):
        return _field(table, "number")
    known = entries(table, term)
    names = [str(place) for place in range(len(parts))]
    frame = pl.DataFrame(
        {name: [key[place] for key in known] for place, name in enumerate(names)},
        schema={name: KEY_DTYPES[part.type] for name, part in zip(names, term.arguments, strict=True)},
    ).with_columns(pl.Series("value", list(known.values()), dtype=pl.Float64), known=pl.lit(True))
    value = pl.when(pl.col("known")).then("value").otherwise(pl.lit(table.default, dtype=pl.Float64))

    def run(keys: Sequence[pl.Series]) -> pl.Series:
        wanted = pl.DataFrame([key.to_physical().alias(name) for name, key in zip(names, keys, strict=True)])
        found = wanted.join(frame, on=names, how="left", nulls_equal=True, maintain_order="left")
        return found.select(pl.when(value.is_finite()).then(value)).to_series()

    return pl.map_batches(parts, run, return_dtype=pl.Float64, is_elementwise=True)
