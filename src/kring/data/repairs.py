"""A recipe applied to a feed, at the price of its distinct values; a row is repaired by `kring.decide.repairs`.

Repeated rows go last, when everything else was repaired.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import polars as pl

from kring.data.joint_frames import FLAG, JointFrames
from kring.decide.joint import Mend
from kring.decide.repairs import Cell, column_mends, whole_mend
from kring.record.recipe import Change, Duplicates, Repair, Scale


def apply(feed: pl.LazyFrame, repairs: Sequence[Repair]) -> pl.LazyFrame:
    """`feed` repaired, lazily, with its columns and types; what a repair says of columns that the feed lacks is
    left out. All but `duplicates` streams."""
    return _applied(feed, repairs, told=False)


def changes(feed: pl.LazyFrame, repairs: Sequence[Repair]) -> tuple[Change, ...]:
    """How many cells each repair changes in `feed`, in one pass."""
    if not repairs:
        return ()
    whole = [repair for repair in repairs if not isinstance(repair, Duplicates)]
    made = _applied(feed, whole, told=True)
    flags = [name for name in made.collect_schema().names() if name.startswith(FLAG)]
    counted = made.select(pl.len().alias("rows"), *(pl.col(name).sum() for name in flags)).collect(engine="streaming")
    rows = int(counted["rows"][0])
    told = {repair.id: int(counted[FLAG + repair.id][0]) for repair in whole if FLAG + repair.id in flags}
    for repair in repairs:
        if isinstance(repair, Duplicates):
            told[repair.id] = rows - apply(feed, repairs).select(pl.len()).collect(engine="streaming").item()
    return tuple(Change(repair=repair.id, cells=told.get(repair.id, 0), rows=rows) for repair in repairs)


def _applied(feed: pl.LazyFrame, repairs: Sequence[Repair], *, told: bool) -> pl.LazyFrame:
    """With `told`, a column `FLAG` + id beside the feed's says where each repair changed something."""
    schema = feed.collect_schema()
    mends = {name: made for name, made in column_mends(repairs).items() if name in schema}
    feed = feed.with_columns(
        expression for name, made in mends.items() for expression in _mended(name, made, dtype=schema[name], told=told)
    )
    joint = JointFrames(
        repairs,
        columns=tuple(schema.names()),
        mends={name: whole_mend(made) for name, made in mends.items()},
    )
    if joint.repairs:
        feed = joint.over(feed, told=told)
    if any(isinstance(repair, Duplicates) and set(repair.key) <= set(schema) for repair in repairs):
        feed = feed.unique(keep="first", maintain_order=True)
    return feed


def _mended(name: str, mends: Sequence[tuple[Cell, Mend]], *, dtype: pl.DataType, told: bool) -> Iterator[pl.Expr]:
    """The column as it will be, and where each repair changed it."""
    column = pl.col(name)
    if dtype == pl.String:
        whole = whole_mend(mends)
        yield column.map_batches(_over_distinct(whole), return_dtype=pl.String(), is_elementwise=True)
        if told:
            for repair, _ in mends:
                hit = column.map_batches(_hits(mends, repair.id), return_dtype=pl.Boolean(), is_elementwise=True)
                yield hit.alias(FLAG + repair.id)
    elif dtype.is_numeric():
        for repair, _ in mends:
            if isinstance(repair, Scale):
                inside = (column.abs() >= repair.low) & (column.abs() < repair.high)
                yield pl.when(inside).then((pl.col(name) * repair.factor).cast(dtype)).otherwise(pl.col(name))
                if told:
                    yield inside.fill_null(False).alias(FLAG + repair.id)


def _over_distinct(mend: Mend) -> Callable[[pl.Series], pl.Series]:
    """`mend` of a whole column at the price of its distinct values."""

    def mended(values: pl.Series) -> pl.Series:
        old = values.drop_nulls().unique()
        new = pl.Series([mend(text) for text in old.to_list()], dtype=pl.String)
        moved = old.ne_missing(new)
        return values.replace(old.filter(moved), new.filter(moved)) if moved.any() else values

    return mended


def _hits(mends: Sequence[tuple[Cell, Mend]], id: str) -> Callable[[pl.Series], pl.Series]:
    """Where the repair `id` changes something on the way through all of them."""
    heard: set[str] = set()
    mend = whole_mend(mends, changed=heard.add)

    def hit(text: str) -> bool:
        heard.clear()
        mend(text)
        return id in heard

    def marked(values: pl.Series) -> pl.Series:
        old = values.drop_nulls().unique()
        return values.is_in([text for text in old.to_list() if hit(text)]).fill_null(False)

    return marked
