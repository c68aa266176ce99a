"""Lookup tables: what history says about a key, from nothing but what was known at a moment.

The value of a key is the mean of its rows, shrunk towards the mean of all rows by `prior` pseudo-rows
(the posterior mean of a normal prior; Efron and Morris 1975): (sum + prior · overall) / (n + prior).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kring.contracts.expression import Expression, FieldName, LookupCall, Node, Source, nearest
from kring.contracts.grammar import fields_of, parse
from kring.contracts.terms import resolve
from kring.contracts.to_polars import DTYPES, compile, typed
from kring.errors import DataError
from kring.record.contract import LogicalType
from kring.record.prepare import LookupSpec, LookupTable

Floats: TypeAlias = NDArray[np.float64]
Types: TypeAlias = Mapping[str, LogicalType]


def build(
    spec: LookupSpec, frame: pl.DataFrame, *, known_at: str, cutoff: int, types: Types | None = None
) -> LookupTable:
    """The table as of `cutoff` (microseconds UTC), from rows with a value that were known at or before it.

    `known_at` names the column that says when a row's value became known. `types` are the contract's; without
    them those of the columns hold. The default is the mean of all rows, None when there are none. `DataError`
    for columns that are absent or of a wrong type, `ExpressionError` for a key that does not parse.
    """
    keys, history = _history(spec, frame, known_at=known_at, types=types)
    known = history.filter(pl.col("at") <= cutoff)
    overall = _means(known)[-1:]
    last = known.group_by("code").agg(pl.col("sum", "count").last())
    table = keys.unique("code").join(last, on="code").drop("code").sort(keys.columns[1:])
    values = _shrunk(table["sum"].to_numpy(), table["count"].to_numpy(), overall, spec.prior)
    if not (np.isfinite(values).all() and np.isfinite(overall).all()):
        raise DataError(
            f"the values of {spec.value!r} are too large for a mean",
            got=f"a sum beyond {np.finfo(np.float64).max:.1e}",
            next="divide the column by a constant first",
            key=f"lookup.{spec.name}.value",
        )
    return LookupTable(
        name=spec.name,
        key=spec.key,
        keys=tuple(table.drop("sum", "count").rows()),
        values=tuple(values.tolist()),
        default=float(overall[0]) if known.height else None,
        cutoff=cutoff,
        rows=known.height,
    )


def as_of(spec: LookupSpec, frame: pl.DataFrame, *, known_at: str, time: str, types: Types | None = None) -> pl.Series:
    """For each row what the table said at the row's own `time`: equal to `build` with that cut-off, looked up.

    float64 of the frame's height; null where nothing was known yet and where the row has no time. So a row counts
    in its own value only if its outcome was known at its time.
    """
    keys, history = _history(spec, frame, known_at=known_at, types=types)
    moments = _moments(frame, time)
    if history.is_empty():
        return pl.Series(spec.name, [None] * frame.height, dtype=pl.Float64)
    seen = np.searchsorted(history["at"].to_numpy(), moments.fill_null(0).to_numpy(), side="right")
    overall = np.concatenate([[np.nan], _means(history)])[seen]
    last = _latest(history["code"].to_numpy(), keys["code"].to_numpy(), seen)
    shrunk = _shrunk(history["sum"].to_numpy()[last], history["count"].to_numpy()[last], overall, spec.prior)
    values = np.where(last < 0, overall, shrunk)
    values[moments.is_null().to_numpy() | ~np.isfinite(values)] = np.nan
    return pl.Series(spec.name, values, nan_to_null=True)


def key_nodes(spec: LookupSpec, fields: Collection[str]) -> tuple[Node, ...]:
    """The parts of a key: each text is the name of a field, else an expression."""
    where = f"lookup.{spec.name}.key"
    return tuple(FieldName(text) if text in fields else parse(text, key=where).root for text in spec.key)


def _history(
    spec: LookupSpec, frame: pl.DataFrame, *, known_at: str, types: Types | None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Two frames. The key of every row: its `code` and its parts. And the rows with a known value, in the order
    in which they became known: `at`, `code`, `value`, and up to and with each the key's `sum` and `count`."""
    keys = _keys(spec, frame, types or _types_of(frame))
    distinct = keys.unique(maintain_order=True).with_row_index("code").with_columns(pl.col("code").cast(pl.Int64))
    coded = keys.join(distinct, on=keys.columns, how="left", nulls_equal=True, maintain_order="left")
    coded = coded.select("code", *keys.columns)
    rows = pl.DataFrame([_moments(frame, known_at).alias("at"), coded["code"], _value(spec, frame)])
    history = rows.drop_nulls().sort("at", maintain_order=True)
    return coded, history.with_columns(
        sum=pl.col("value").cum_sum().over("code"), count=pl.col("value").cum_count().over("code").cast(pl.Float64)
    )


def _means(history: pl.DataFrame) -> Floats:
    """The mean of the first 1, 2, 3 … rows."""
    with np.errstate(over="ignore"):
        means: Floats = history["value"].to_numpy().cumsum() / np.arange(1, history.height + 1)
    return means


def _shrunk(total: Floats, count: Floats, overall: Floats, prior: float) -> Floats:
    with np.errstate(over="ignore", invalid="ignore"):
        return (total + prior * overall) / (count + prior)


def _latest(known: NDArray[np.int64], codes: NDArray[np.int64], seen: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each of `codes` its last place among the first `seen` of `known`, -1 where it is not there.

    One search over pairs (code, place), written as one number.
    """
    width = len(known) + 1
    order = np.argsort(known, kind="stable")
    found = np.searchsorted((known * width + np.arange(len(known)))[order], codes * width + seen, side="left") - 1
    place = order[found]
    return np.where((found >= 0) & (known[place] == codes), place, -1)


def _keys(spec: LookupSpec, frame: pl.DataFrame, types: Types) -> pl.DataFrame:
    """The parts of the key as columns `0`, `1` …; dates as days."""
    nodes = key_nodes(spec, types)
    whole = Expression(LookupCall(spec.name, nodes), Source(", ".join(spec.key), key=f"lookup.{spec.name}.key"))
    resolve(whole, types)
    columns = typed(frame, types, fields=sorted(fields_of(whole)))
    return columns.select(
        compile(Expression(node, whole.source), types=types, tables={}).to_physical().alias(str(place))
        for place, node in enumerate(nodes)
    )


def _value(spec: LookupSpec, frame: pl.DataFrame) -> pl.Series:
    column = _column(frame, spec.value)
    if not (column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null)):
        raise DataError(
            f"a lookup can't take the mean of {spec.value!r}",
            got=str(column.dtype),
            allowed="a number, an integer or a boolean",
            key=f"lookup.{spec.name}.value",
        )
    value = column.cast(pl.Float64)
    return value.set(~value.is_finite(), None).alias("value")


def _moments(frame: pl.DataFrame, name: str) -> pl.Series:
    """A column of timestamps as microseconds UTC."""
    _column(frame, name)
    return typed(frame, {name: "timestamp"}, fields=[name]).to_series().to_physical()


def _column(frame: pl.DataFrame, name: str) -> pl.Series:
    if name not in frame.columns:
        hint = nearest(name, frame.columns)
        raise DataError(f"there is no column {name!r}", got=", ".join(frame.columns[:20]), next=hint)
    return frame[name]


def _types_of(frame: pl.DataFrame) -> dict[str, LogicalType]:
    """The contract's word for each column's type; columns that have none are left out."""
    kinds: dict[str, LogicalType] = {}
    for name, dtype in frame.schema.items():
        if dtype.is_numeric():
            kinds[name] = "integer" if dtype.is_integer() else "number"
        for kind, wanted in DTYPES.items():
            if dtype.base_type() is wanted.base_type():
                kinds[name] = kind
        if dtype in (pl.Categorical, pl.Enum):
            kinds[name] = "string"
    return kinds
