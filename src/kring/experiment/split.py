"""Holds rows out: what is learned from was known before the first held-out decision."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import polars as pl

from kring.errors import DataError
from kring.record.run import SplitPart
from kring.record.system import Split

LEAST_ROWS: Final = 10
FEW_VALUES: Final = 100
"""Targets with no more values than these are drawn value by value."""

SEED: Final = 20_130
"""Which rows are held out at random does not depend on the seed of a training."""

NO_TIME: Final = "no decision time"
NO_OUTCOME: Final = "no outcome"
NOT_KNOWN: Final = "outcome not known at the cut"


def split(
    frame: pl.DataFrame, *, time: str, known_at: str, target: str, split: Split, group: str = ""
) -> tuple[pl.DataFrame, pl.DataFrame, tuple[SplitPart, SplitPart]]:
    """(train, test, parts): rows in the frame's order, each part with what was left out and why.

    `time` and `known_at` are timestamps, or integers in microseconds UTC. By time, the decisions of
    the last `test_us` microseconds (else the last `test_share` of the rows, cut at a whole moment)
    are held out; rows whose outcome was not known at the first of them are not learned from. By
    order, the last `test_share` of the rows are; at random, that share of the rows of each outcome
    where outcomes are few; by group, whole groups of the column `group` up to that share. The draw is
    the same each time for the same frame. Held-out rows without an outcome stay, for
    coverage. `DataError` when a part is too small or has one outcome only.
    """
    _require(frame, [name for name in (time, known_at, target, group) if name])
    if split.by == "time" and not time:
        raise DataError(
            "a split by time needs the column of decision times",
            next='name it as data.time, or hold out by order: split = { by = "order" }',
            key="data.split",
        )
    timed, untimed = _timed(frame, time) if split.by == "time" else (frame, 0)
    held_out = _held_out(timed, time=time, target=target, group=group, split=split)
    train, test = timed.filter(~held_out), timed.filter(held_out)
    if not train.height or not test.height:
        raise _too_small("train" if not train.height else "test", 0, frame.height)
    early, late = _known(train, test, time=time, known_at=known_at, by=split.by)
    learned = early.filter(_has(target, frame))
    dropped = {NO_TIME: untimed, NOT_KNOWN: late, NO_OUTCOME: early.height - learned.height}
    parts = (_part("train", learned, time=time, dropped=dropped), _part("test", test, time=time, dropped={}))
    _require_enough(learned, "train", target, frame.height)
    _require_enough(test.filter(_has(target, frame)), "test", target, frame.height)
    return learned, test, parts


def micros(frame: pl.DataFrame, name: str) -> pl.Series:
    """A column of times as integer microseconds UTC."""
    column = frame[name]
    if isinstance(column.dtype, pl.Datetime):
        return column.dt.epoch("us")
    if column.dtype == pl.Date:
        return column.cast(pl.Datetime("us")).dt.epoch("us")
    if column.dtype.is_integer() or column.dtype == pl.Null:
        return column.cast(pl.Int64)
    raise DataError(
        f"{name} is no time",
        got=str(column.dtype),
        allowed="timestamps, dates, or integers in microseconds UTC",
        key=name,
    )


def _require(frame: pl.DataFrame, names: list[str]) -> None:
    for name in names:
        if name not in frame.columns:
            raise DataError(f"there is no column {name} to split by", got=", ".join(frame.columns), key=name)


def _timed(frame: pl.DataFrame, time: str) -> tuple[pl.DataFrame, int]:
    timed = frame.filter(frame[time].is_not_null())
    return timed, frame.height - timed.height


def _held_out(frame: pl.DataFrame, *, time: str, target: str, group: str, split: Split) -> pl.Series:
    """True for the held-out rows."""
    if split.by == "time":
        return _last_span(frame, time, split)
    if split.by == "order":
        return _last_rows(frame, split)
    return _drawn_rows(frame[target], split) if split.by == "random" else _drawn_groups(frame[group], split)


def _drawn_rows(target: pl.Series, split: Split) -> pl.Series:
    """A share of the rows at random: of each value alike, where there are few."""
    rank = pl.Series(np.random.default_rng(SEED).permutation(len(target)))
    few = target.n_unique() <= FEW_VALUES
    rows = pl.DataFrame({"value": target if few else pl.Series([0]).new_from_index(0, len(target)), "rank": rank})
    place = rows.select(pl.col("rank").rank("ordinal").over("value") / pl.len().over("value")).to_series()
    return place > 1 - split.test_share


def _drawn_groups(group: pl.Series, split: Split) -> pl.Series:
    """Whole groups at random, until they hold the share; rows without a group are one."""
    sizes = group.alias("group").value_counts(name="rows").sort("group")
    drawn = sizes[np.random.default_rng(SEED).permutation(sizes.height)]
    before = drawn["rows"].cum_sum() - drawn["rows"]
    chosen = drawn.filter(before < split.test_share * len(group))["group"]
    return group.is_in(chosen.implode(), nulls_equal=True)


def _last_span(frame: pl.DataFrame, time: str, split: Split) -> pl.Series:
    """True for the held-out rows; rows of one moment are all on the same side."""
    times = micros(frame, time)
    if not len(times):
        return times > 0
    if split.test_us:
        return times > _whole(times.max()) - split.test_us
    position = len(times) - max(1, math.ceil(len(times) * split.test_share))
    return times >= _whole(times.sort()[max(0, position)])


def _last_rows(frame: pl.DataFrame, split: Split) -> pl.Series:
    first = frame.height - math.ceil(frame.height * split.test_share)
    return pl.Series("held_out", range(frame.height), dtype=pl.Int64) >= first


def _known(train: pl.DataFrame, test: pl.DataFrame, *, time: str, known_at: str, by: str) -> tuple[pl.DataFrame, int]:
    """Training rows whose outcome was known when the first held-out decision was made, and how many were not."""
    if by != "time" or not known_at:
        return train, 0
    cut = _whole(micros(test, time).min())
    known = (micros(train, known_at) <= cut).fill_null(value=False)
    kept = train.filter(known)
    return kept, train.height - kept.height


def _has(target: str, frame: pl.DataFrame) -> pl.Expr:
    present = pl.col(target).is_not_null()
    return present & pl.col(target).is_not_nan() if frame[target].dtype.is_float() else present


def _part(name: str, rows: pl.DataFrame, *, time: str, dropped: dict[str, int]) -> SplitPart:
    times = micros(rows, time).drop_nulls() if time else pl.Series([], dtype=pl.Int64)
    return SplitPart(
        name="train" if name == "train" else "test",
        rows=rows.height,
        first=_whole(times.min()) if len(times) else 0,
        last=_whole(times.max()) if len(times) else 0,
        dropped=tuple((why, count) for why, count in dropped.items() if count),
    )


def _require_enough(rows: pl.DataFrame, part: str, target: str, total: int) -> None:
    if rows.height < LEAST_ROWS:
        raise _too_small(part, rows.height, total)
    if rows[target].n_unique() < 2:
        raise DataError(
            f"every row of the {part} part has the same outcome",
            got=f"{target} = {rows[target][0]!r} in {rows.height:,} rows",
            allowed="at least two different outcomes",
            next=_advice(part),
            key=target,
        )


def _too_small(part: str, rows: int, total: int) -> DataError:
    return DataError(
        f"the {part} part is too small",
        got=f"{rows} rows with a known outcome, of {total:,} rows in all",
        allowed=f"at least {LEAST_ROWS}",
        next=_advice(part),
        key="data.split",
    )


def _advice(part: str) -> str:
    if part == "train":
        return "give more data, hold out less (data.split), or check when outcomes become known"
    return "give more data, or hold out more (data.split)"


def _whole(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"a moment in microseconds is an int, got {value!r}")
    return value
