"""What the columns of a snapshot look like."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final

import polars as pl

from kring.record.contract import Contract, Field, Scalar
from kring.record.snapshot import ColumnProfile

DECILES: Final = tuple(step / 10 for step in range(11))
TOP: Final = 10
LONGEST: Final = 80


def profile(frame: pl.DataFrame, contract: Contract) -> tuple[ColumnProfile, ...]:
    """One profile per column of the contract, from a frame as `kring.data.check.typed` gives it.

    Timestamps are given as integer microseconds UTC, dates as ISO 8601. Of personal columns and identifiers
    only counts are kept.
    """
    fields = [field for field in contract.fields if field.name in frame.columns]
    wanted = [expr for number, field in enumerate(fields) for expr in _wanted(number, field)]
    row = frame.lazy().select(wanted).collect().row(0, named=True) if wanted else {}
    return tuple(
        _profile(frame, field, {key.split(" ")[1]: value for key, value in row.items() if key.startswith(f"{n} ")})
        for n, field in enumerate(fields)
    )


def private(field: Field) -> bool:
    """Whether values of the column may not be shown."""
    return field.identifier or field.personal


def _wanted(number: int, field: Field) -> list[pl.Expr]:
    column = pl.col(field.name)
    parts = {"missing": column.null_count(), "distinct": column.drop_nulls().n_unique()}
    if not private(field) and field.type != "string":
        parts |= {"minimum": column.min(), "maximum": column.max()}
    if field.type in ("number", "integer"):
        parts["zeros"] = (column == 0).sum()
        if not private(field):
            parts["mean"] = column.mean()
            parts["quantiles"] = pl.concat_list([column.quantile(share, interpolation="linear") for share in DECILES])
    return [expr.alias(f"{number} {name}") for name, expr in parts.items()]


def _profile(frame: pl.DataFrame, field: Field, found: dict[str, object]) -> ColumnProfile:
    quantiles = found.get("quantiles")
    deciles = tuple(float(share) for share in quantiles if share is not None) if isinstance(quantiles, list) else ()
    mean = found.get("mean")
    return ColumnProfile(
        name=field.name,
        type=field.type,
        rows=frame.height,
        missing=_count(found, "missing"),
        distinct=_count(found, "distinct"),
        zeros=_count(found, "zeros"),
        mean=mean if isinstance(mean, float) else None,
        minimum=_scalar(found.get("minimum")),
        maximum=_scalar(found.get("maximum")),
        quantiles=deciles,
        top=() if private(field) or field.type in ("number", "integer", "timestamp") else _top(frame[field.name]),
    )


def _count(found: dict[str, object], name: str) -> int:
    value = found.get(name)
    return value if isinstance(value, int) else 0


def _top(column: pl.Series) -> tuple[tuple[str, int], ...]:
    """The most frequent values with their counts; equal counts in the order of the values."""
    counts = column.drop_nulls().alias("value").value_counts(name="count")
    most = counts.sort(["count", "value"], descending=[True, False]).head(TOP)
    return tuple((_word(value), count) for value, count in most.iter_rows())


def _word(value: object) -> str:
    return (str(value).lower() if isinstance(value, bool) else str(value))[:LONGEST]


def _scalar(value: object) -> Scalar:
    if isinstance(value, datetime):
        return int(pl.Series([value]).dt.epoch("us")[0])
    if isinstance(value, date):
        return value.isoformat()
    return value if isinstance(value, bool | int | float | str) else None
