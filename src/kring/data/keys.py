"""Keys into other tables: what may be referred to, and the rows that refer to nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kring.contracts.columns import Reading, readings
from kring.contracts.row_rules import text_markers
from kring.data.measure import Measure
from kring.record.contract import Contract, Field, LogicalType, Reference


@dataclass(frozen=True, slots=True)
class Other:
    """Another table: its rows, where they are from and the digest of the file."""

    frame: pl.LazyFrame
    source: str
    digest: str


@dataclass(frozen=True, slots=True)
class Known:
    """What a reference may refer to. `values` are sorted and different; `repeated` counts those that stood
    more than once."""

    values: NDArray[np.generic]
    repeated: int
    kinds: tuple[LogicalType, ...]


KnownKeys: TypeAlias = Mapping[Reference, Known]


def known_keys(contract: Contract, *, own: pl.LazyFrame, others: Mapping[str, Other]) -> dict[Reference, Known]:
    """What each reference of `contract` may refer to, as far as its table is there and has the columns.

    `own` is the feed, for keys into the same table. Holds 8 bytes for each value in the other table.
    """
    promises = {one.table: one for one in (contract, *contract.others)}
    found = {}
    for reference in contract.references:
        if reference.table != contract.table and reference.table not in others:
            continue
        frame = own if reference.table == contract.table else others[reference.table].frame
        fields = {field.name: field for field in promises[reference.table].fields}
        dtypes = frame.collect_schema()
        if all(name in dtypes for name in reference.to):
            kinds = _kinds(contract.fields, reference.columns, fields, reference.to)
            values = _values(frame, promises[reference.table], reference.to, kinds)
            different = np.unique(values)
            found[reference] = Known(different, len(values) - len(different), kinds)
    return found


def unknown(reference: Reference, known: Known, made: Mapping[str, Reading]) -> Measure:
    """The rows whose key is whole and stands not in the other table."""
    key = key_of([made[name].value for name in reference.columns], known.kinds)
    bad = key.map_batches(partial(_absent, known.values), return_dtype=pl.Boolean(), is_elementwise=True)
    return Measure(
        rule=reference.name,
        column=", ".join(reference.columns),
        what=f"refer to nothing in {reference.table}.{', '.join(reference.to)}",
        count=bad.sum(),
        bad=bad,
        shown=reference.columns,
        line=reference.line,
    )


def key_of(values: Sequence[pl.Expr], kinds: Sequence[LogicalType]) -> pl.Expr:
    """A number that is equal for equal keys: of one number, date or time itself, of others a 64-bit hash; null
    when a part is missing."""
    parts = [value.cast(pl.Float64) if kind == "number" else value for value, kind in zip(values, kinds, strict=True)]
    if len(parts) == 1 and kinds[0] not in ("string", "boolean"):
        return parts[0].to_physical()
    whole = pl.all_horizontal([part.is_not_null() for part in parts])
    return pl.when(whole).then((parts[0] if len(parts) == 1 else _struct(parts)).hash())


def _struct(parts: Sequence[pl.Expr]) -> pl.Expr:
    return pl.struct([part.alias(str(number)) for number, part in enumerate(parts)])


def _kinds(
    mine: Collection[Field], columns: Sequence[str], theirs: Mapping[str, Field], to: Sequence[str]
) -> tuple[LogicalType, ...]:
    """The type in which both sides are compared: numbers where one of them is."""
    own = {field.name: field for field in mine}
    pairs = [(own[left].type, theirs[right].type) for left, right in zip(columns, to, strict=True)]
    return tuple("number" if "number" in pair else pair[0] for pair in pairs)


def _values(
    frame: pl.LazyFrame, promise: Contract, columns: Sequence[str], kinds: Sequence[LogicalType]
) -> NDArray[np.generic]:
    fields = [field for field in promise.fields if field.name in columns]
    made = readings(fields, frame.collect_schema(), text_markers(promise))
    key = key_of([made[name].value for name in columns], kinds)
    found = frame.select(key.alias("key")).drop_nulls().collect(engine="streaming")["key"]
    return found.to_numpy()


def _absent(known: NDArray[np.generic], values: pl.Series) -> pl.Series:
    there = values.is_not_null()
    if not len(known):
        return there
    wanted = values.fill_null(0).to_numpy()
    place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return pl.Series(known[place] != wanted) & there
