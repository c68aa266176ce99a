"""What the columns of a snapshot look like."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final

import numpy as np
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
    return tuple(_profile(frame[field.name], field) for field in contract.fields if field.name in frame.columns)


def private(field: Field) -> bool:
    """Whether values of the column may not be shown."""
    return field.identifier or field.personal


def _profile(column: pl.Series, field: Field) -> ColumnProfile:
    number = field.type in ("number", "integer")
    shown = not private(field)
    present = column.drop_nulls()
    return ColumnProfile(
        name=field.name,
        type=field.type,
        rows=len(column),
        missing=len(column) - len(present),
        distinct=present.n_unique(),
        zeros=int((present == 0).sum()) if number else 0,
        mean=_mean(present) if number and shown else None,
        minimum=_scalar(present.min()) if shown and field.type != "string" else None,
        maximum=_scalar(present.max()) if shown and field.type != "string" else None,
        quantiles=_deciles(present) if number and shown else (),
        top=() if not shown or number or field.type == "timestamp" else _top(column),
    )


def _mean(present: pl.Series) -> float | None:
    mean = present.mean()
    return mean if isinstance(mean, float) else None


def _deciles(present: pl.Series) -> tuple[float, ...]:
    """The deciles, between neighbouring values in proportion; none without values."""
    if present.is_empty():
        return ()
    return tuple(np.quantile(present.to_numpy().astype(np.float64), DECILES).tolist())


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
