"""Raw columns read as the types that the contract names; the meaning that `kring.contracts.values` gives rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial, reduce
from operator import or_
from typing import Final

import numpy as np
import polars as pl

from kring.contracts.moments import GROUPS, moment_pattern, to_utc
from kring.contracts.to_polars import DTYPES
from kring.contracts.values import BLANK, EXACT, FALSE, MAX_DIGITS, TRUE
from kring.contracts.zones import DAY_US, DAYS, HOUR_US, MOMENTS, SECOND_US, day_offsets
from kring.record.contract import Field

MOVING: Final = 1 << 62
"""Stands for the offset of a day in which the clock changes."""

MARK: Final = "\x1f"
"""Parts a column's name from what is said of it; no feed has a column with this sign in its name."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One column: its `value` in the type of the contract, null where there is none, and why there is none.

    `null` and `missing` are true where nothing is there (`missing` also for a text that stands for nothing),
    `broken` where something is there that can't be read, `infinite` for NaN and infinities. None: never.
    """

    value: pl.Expr
    null: pl.Expr
    missing: pl.Expr
    broken: pl.Expr | None = None
    infinite: pl.Expr | None = None


def reading(field: Field, dtype: pl.DataType, *, markers: Collection[str] = ()) -> Reading:
    """How the raw column of `dtype` is read as `field`; a dtype that can't be, is broken in every row."""
    column = pl.col(field.name)
    if dtype == pl.String and field.type != "string":
        return _from_text(field, column, markers)
    null = column.is_null()
    if dtype == pl.Null:
        return Reading(value=column.cast(DTYPES[field.type]), null=null, missing=null)
    if field.type == "number" and (dtype.is_numeric() or dtype.is_decimal()):
        if dtype.is_float():
            infinite = column.is_finite().not_()
            value = pl.when(column.is_finite()).then(column).cast(pl.Float64)
            return Reading(value=value, null=null, missing=null, infinite=infinite)
        return Reading(value=column.cast(pl.Float64), null=null, missing=null)
    value, whole = _native(field, column, dtype)
    broken = None if whole else value.is_null() & column.is_not_null()
    return Reading(value=value, null=null, missing=null, broken=broken)


def settled(field: Field, found: Reading) -> Reading:
    """`found` over the columns that `stage` made of it."""
    column = pl.col(field.name)
    simple = found.broken is None and found.infinite is None
    null = column.is_null() if simple else pl.col(f"{field.name}{MARK}null")
    missing = null if found.missing is found.null else pl.col(f"{field.name}{MARK}missing")
    broken = None if found.broken is None else missing.not_() & column.is_null()
    infinite = None if found.infinite is None else pl.col(f"{field.name}{MARK}infinite")
    if broken is not None and infinite is not None:
        broken &= infinite.fill_null(False).not_()
    return Reading(value=column, null=null, missing=missing, broken=broken, infinite=infinite)


def stage(field: Field, found: Reading) -> list[pl.Expr]:
    """The columns that hold a reading: the value under the field's name, what is said of it beside it."""
    columns = [found.value.alias(field.name)]
    if found.broken is not None or found.infinite is not None:
        columns.append(found.null.alias(f"{field.name}{MARK}null"))
    if found.missing is not found.null:
        columns.append(found.missing.alias(f"{field.name}{MARK}missing"))
    if found.infinite is not None:
        columns.append(found.infinite.alias(f"{field.name}{MARK}infinite"))
    return columns


def typed_reading(field: Field) -> Reading:
    """The reading of a column that has the contract's type already; NaN is missing."""
    column = pl.col(field.name)
    null = column.is_null()
    if field.type != "number":
        return Reading(value=column, null=null, missing=null)
    nothing = null | column.is_nan()
    finite = pl.when(column.is_finite()).then(column)
    return Reading(value=finite, null=nothing, missing=nothing, infinite=column.is_infinite())


def _native(field: Field, column: pl.Expr, dtype: pl.DataType) -> tuple[pl.Expr, bool]:
    """The value of a column that is no text, and whether every value can be read."""
    wanted = DTYPES[field.type]
    nothing = pl.when(column.is_null() & column.is_not_null()).then(pl.lit(None, dtype=wanted)), False
    if field.type == "string":
        whole = isinstance(dtype, pl.String | pl.Categorical | pl.Enum)
        return (column.cast(wanted), True) if whole else nothing
    if field.type == "integer":
        return _whole(column, dtype) if dtype.is_numeric() else nothing
    if field.type == "boolean":
        if dtype == pl.Boolean:
            return column, True
        return (pl.when((column == 0) | (column == 1)).then(column == 1), False) if dtype.is_numeric() else nothing
    if field.type == "number" or not isinstance(dtype, pl.Date | pl.Datetime):
        return nothing
    return _from_clock(field, column, dtype)


def _whole(column: pl.Expr, dtype: pl.DataType) -> tuple[pl.Expr, bool]:
    if dtype.is_integer():
        fits = dtype not in (pl.UInt64, pl.Int128, pl.UInt128)
        return (column if dtype == pl.Int64 else column.cast(pl.Int64, strict=False)), fits
    number = column.cast(pl.Float64)
    whole = (number == number.floor()) & number.is_between(-EXACT, EXACT)
    return pl.when(whole).then(number).cast(pl.Int64, strict=False), False


def _from_clock(field: Field, column: pl.Expr, dtype: pl.Date | pl.Datetime) -> tuple[pl.Expr, bool]:
    if field.type == "date":
        days = column
        if isinstance(dtype, pl.Datetime):
            wall = column if dtype.time_zone is None else column.dt.convert_time_zone("UTC")
            wall = wall.dt.replace_time_zone(None)
            days = pl.when(wall == wall.dt.truncate("1d")).then(wall.dt.date())
        return _bounded(days, DAYS), False
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
        moment = column.dt.convert_time_zone("UTC")
    else:
        moment = _to_utc(column.cast(pl.Datetime("us")), field.timezone)
    return _bounded(moment.dt.cast_time_unit("us"), MOMENTS), False


def _bounded(value: pl.Expr, bounds: range) -> pl.Expr:
    return pl.when(value.to_physical().is_between(bounds.start, bounds.stop, closed="left")).then(value)


def _to_utc(wall: pl.Expr, zone: str) -> pl.Expr:
    """Wall time of `zone` as a moment: the earlier one of two, null where the clock never showed it."""
    if zone == "UTC":
        return wall.dt.replace_time_zone("UTC")
    return wall.map_batches(partial(_zoned, zone), return_dtype=DTYPES["timestamp"], is_elementwise=True)


def _zoned(zone: str, wall: pl.Series) -> pl.Series:
    """By the zones that rows use too: polars brings its own edition of the database, which differs here and there.

    On a day without a change of the clock, nor one the day before or after, one offset holds for all.
    """
    clock = wall.to_physical().fill_null(0).to_numpy()
    days, place = np.unique(clock // DAY_US, return_inverse=True)
    offsets = np.array([_steady(zone, int(day)) for day in days], dtype=np.int64)[place]
    moments = pl.Series(clock - offsets)
    moving = np.flatnonzero(offsets == MOVING)
    if len(moving):
        moments = moments.scatter(moving, pl.Series([to_utc(int(at), zone) for at in clock[moving]], dtype=pl.Int64))
    return moments.zip_with(wall.is_not_null(), pl.Series([None], dtype=pl.Int64)).cast(DTYPES["timestamp"])


def _steady(zone: str, day: int) -> int:
    if day - 1 not in DAYS or day + 1 not in DAYS:
        return MOVING
    found = {offset for near in (day - 1, day, day + 1) for offset in day_offsets(zone, near)[::2]}
    return found.pop() if len(found) == 1 else MOVING


def _from_text(field: Field, column: pl.Expr, markers: Collection[str]) -> Reading:
    text = column.str.strip_chars(BLANK)
    null = column.is_null() | (text == "")
    missing = null | column.is_in(sorted(markers)) if markers else null
    there = missing.not_()
    value, infinite = _parsed(field, text)
    value = pl.when(there).then(value) if markers else value
    broken = there & value.is_null()
    if infinite is None:
        return Reading(value=value, null=null, missing=missing, broken=broken)
    infinite = there & infinite
    return Reading(value=value, null=null, missing=missing, broken=broken & infinite.not_(), infinite=infinite)


def _parsed(field: Field, text: pl.Expr) -> tuple[pl.Expr, pl.Expr | None]:
    """The value of a stripped text, and where it is NaN or infinite."""
    if field.type == "boolean":
        word = text.str.to_lowercase()
        return pl.when(word.is_in(TRUE)).then(True).when(word.is_in(FALSE)).then(False), None
    if field.type in ("date", "timestamp"):
        return _moment(field, text), None
    short = pl.when(text.str.len_bytes() <= MAX_DIGITS).then(text)
    if field.decimal == ",":
        short = pl.when(short.str.contains(".", literal=True).not_()).then(short.str.replace(",", ".", literal=True))
    number = short.cast(pl.Float64, strict=False)
    if field.type == "number":
        return pl.when(number.is_finite()).then(number), number.is_finite().not_().fill_null(False)
    written_as_float = pl.when(text.str.contains("[.eE]")).then(number)
    return pl.coalesce(short.cast(pl.Int64, strict=False), _whole(written_as_float, pl.Float64())[0]), None


def _moment(field: Field, text: pl.Expr) -> pl.Expr:
    return text.map_batches(partial(_moments, field), return_dtype=DTYPES[field.type], is_elementwise=True)


def _moments(field: Field, text: pl.Series) -> pl.Series:
    """The texts of one batch as dates or timestamps: captured once, then put together step by step."""
    pattern = moment_pattern(field.format, "date" if field.type == "date" else "timestamp") or ""
    frame = pl.select(text.str.extract_groups(f"^(?:{pattern})$").struct.unnest())
    day = pl.concat_str("y", "M", "d", separator="-").str.to_date("%Y-%m-%d", strict=False)
    if field.type == "date":
        return frame.select(_bounded(day, DAYS)).to_series()
    frame = frame.with_columns(
        pl.lit(None, dtype=pl.String).alias(name) for name in GROUPS if name not in frame.columns
    )
    units = {"h": HOUR_US, "m": 60 * SECOND_US, "s": SECOND_US}
    clock = pl.sum_horizontal([pl.col(name).cast(pl.Int64).fill_null(0) * unit for name, unit in units.items()])
    fraction = pl.col("f").fill_null("").str.pad_end(6, "0").str.slice(0, 6).cast(pl.Int64)
    frame = frame.select("z", wall=day.cast(pl.Int64) * DAY_US + clock + fraction)
    if frame["z"].null_count():
        local = _to_utc(pl.col("wall").cast(pl.Datetime("us")), field.timezone)
    else:
        local = pl.lit(None, dtype=DTYPES["timestamp"])
    moment = (pl.col("wall") - _shift(pl.col("z"))).cast(DTYPES["timestamp"])
    frame = frame.select(at=pl.when(pl.col("z").is_null()).then(local).otherwise(moment))
    return frame.select(_bounded(pl.col("at"), MOMENTS)).to_series()


def _shift(offset: pl.Expr) -> pl.Expr:
    digits = offset.str.slice(1).str.replace(":", "", literal=True).str.pad_end(4, "0")
    hours, minutes = digits.str.slice(0, 2).cast(pl.Int64), digits.str.slice(2, 2).cast(pl.Int64)
    shift = hours * HOUR_US + minutes * 60 * SECOND_US
    return pl.when(offset.str.starts_with("-")).then(-shift).otherwise(shift)


def any_of(parts: Collection[pl.Expr]) -> pl.Expr:
    """True where any part is."""
    return reduce(or_, parts)


def readings(
    fields: Collection[Field], dtypes: Mapping[str, pl.DataType], markers: Mapping[str, Collection[str]]
) -> dict[str, Reading]:
    """The reading of every field that the feed has."""
    return {
        field.name: reading(field, dtypes[field.name], markers=markers.get(field.name, ()))
        for field in fields
        if field.name in dtypes
    }
