"""A few of the rows that broke a rule, so that people see what is meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl

from kring.contracts.columns import MARK
from kring.data.measure import Measure
from kring.record.contract import Contract

MOST: Final = 5
LONGEST: Final = 80
HIDDEN: Final = "(hidden)"

INDEX: Final = f"{MARK}row"


def staged_with_raw(
    feed: pl.LazyFrame, stages: Sequence[pl.Expr], names: Sequence[str], *, only: pl.Expr | None = None
) -> pl.LazyFrame:
    """The staged columns of `feed`, the row numbers (from 0) and the raw columns beside them; `only` says which
    rows are left."""
    raw = [pl.col(name).alias(f"{name}{MARK}raw") for name in names]
    numbered = feed.with_row_index(INDEX)
    rows = numbered if only is None else numbered.filter(only)
    return rows.select(pl.col(INDEX), *stages, *raw)


def examples(
    staged: pl.LazyFrame, broken: Mapping[int, tuple[Measure, int]], contract: Contract
) -> dict[int, tuple[str, ...]]:
    """At most five examples for each broken measure (with its number of bad rows), as `row 17: -5`.

    One pass that ends as soon as there are enough; values of personal columns and identifiers are hidden.
    """
    flags = {number: _bad(measure, staged) for number, (measure, _) in broken.items()}
    shown = sorted({name for measure, _ in broken.values() for name in measure.shown})
    hidden = {field.name for field in contract.fields if field.identifier or field.personal}
    rows = staged.select(
        pl.col(INDEX),
        *(pl.col(f"{name}{MARK}raw").alias(name) for name in shown),
        *(bad.fill_null(False).alias(f"{MARK}{number}") for number, bad in flags.items()),
    ).filter(pl.any_horizontal(f"{MARK}{number}" for number in flags))
    wanted = {number: min(MOST, count + (measure.key is not None)) for number, (measure, count) in broken.items()}
    found: dict[int, list[str]] = {number: [] for number in broken}
    for batch in rows.collect_batches(maintain_order=True, lazy=True, engine="streaming"):
        for number, (measure, _) in broken.items():
            need = wanted[number] - len(found[number])
            some = batch.filter(pl.col(f"{MARK}{number}")).head(need) if need > 0 else batch.clear()
            found[number] += [_told(row, measure.shown, hidden) for row in some.iter_rows(named=True)]
        if all(len(found[number]) >= wanted[number] for number in broken):
            break
    return {number: tuple(texts) for number, texts in found.items()}


def _bad(measure: Measure, staged: pl.LazyFrame) -> pl.Expr:
    if measure.key is None:
        return pl.lit(False) if measure.bad is None else measure.bad
    key = measure.key
    repeated = staged.select(key.alias("key")).drop_nulls().group_by("key").len().filter(pl.col("len") > 1)
    some = repeated.sort("key").head(MOST).collect(engine="streaming")["key"]
    return key.is_in(some.implode())


def _told(row: Mapping[str, object], shown: Sequence[str], hidden: set[str]) -> str:
    values = {name: HIDDEN if name in hidden else _text(row[name]) for name in shown}
    text = values[shown[0]] if len(shown) == 1 else ", ".join(f"{name} = {value}" for name, value in values.items())
    return f"row {row[INDEX]}: {text[:LONGEST]}"


def _text(value: object) -> str:
    if value is None:
        return "(nothing)"
    return repr(value) if value == "" else str(value)
