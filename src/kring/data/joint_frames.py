"""Repairs that read several columns, applied to a feed."""

from __future__ import annotations

from typing import Final

import polars as pl

from kring.decide.joint import Joint, Row
from kring.record.recipe import Dependency, Split

FLAG: Final = "\x1fchanged "
"""Begins the names of the columns that say where a repair changed something; no feed has such a column."""


class JointFrames(Joint):
    """The same repairs over the batches of a feed."""

    def over(self, feed: pl.LazyFrame, *, told: bool) -> pl.LazyFrame:
        """The feed, each batch at the price of the distinct combinations of the columns that are read in the
        rows that may change."""
        schema = dict(feed.collect_schema())
        full = schema | {FLAG + one.id: pl.Boolean() for one in self.repairs} if told else schema

        def batch(frame: pl.DataFrame) -> pl.DataFrame:
            return self._batch(frame, told=told)

        return feed.map_batches(batch, schema=full, streamable=True)

    def _batch(self, frame: pl.DataFrame, *, told: bool) -> pl.DataFrame:
        reads = list(self.reads)
        suspects = frame.select(self._suspect(name, frame).alias(name) for name in self._targets())
        mask = (
            suspects.select(pl.any_horizontal(pl.all())).to_series()
            if frame.height
            else pl.Series([], dtype=pl.Boolean)
        )
        texts = frame.select(pl.col(reads).cast(pl.String))
        rows = texts.filter(mask).unique(maintain_order=True)
        after, flags = self._mended(rows.to_dicts())
        new = pl.DataFrame(after, schema={name: pl.String() for name in reads}).select(
            pl.all().name.prefix("\x1fnew "), pl.Series("\x1fhit", [True] * rows.height, dtype=pl.Boolean)
        )
        marks = pl.DataFrame(flags, schema={FLAG + one.id: pl.Boolean() for one in self.repairs})
        table = pl.concat([rows, new, marks], how="horizontal")
        joined = texts.join(table, on=reads, how="left", nulls_equal=True, maintain_order="left")
        hit = joined["\x1fhit"].fill_null(False)
        columns = [
            pl.when(hit).then(typed(joined[f"\x1fnew {name}"], frame.schema[name])).otherwise(frame[name]).alias(name)
            for name in reads
        ]
        marked = [joined[FLAG + one.id].fill_null(False) for one in self.repairs] if told else []
        return frame.with_columns(columns).with_columns(marked)

    def _mended(self, rows: list[Row]) -> tuple[list[Row], list[dict[str, bool]]]:
        flags: list[dict[str, bool]] = []
        for row in rows:
            hits: list[str] = []
            self.mend(row, changed=hits.append)
            flags.append({FLAG + one.id: one.id in hits for one in self.repairs})
        return rows, flags

    def _targets(self) -> list[str]:
        found = dict.fromkeys(one.into if isinstance(one, Split) else one.column for one in self.repairs)
        return list(found)

    def _suspect(self, name: str, frame: pl.DataFrame) -> pl.Series:
        """Where a column that is repaired may change, as long as no other column does."""
        value = frame[name].cast(pl.String)
        found = pl.Series([False] * frame.height, dtype=pl.Boolean)
        if any(one.into == name for one in self._splits):
            found = found | value.is_null()
        for repair in self._depends:
            if repair.column == name:
                found = found | self._contradicted(repair, value, frame)
        return found

    def _contradicted(self, repair: Dependency, value: pl.Series, frame: pl.DataFrame) -> pl.Series:
        """Where a table says something else, and the repair may listen to it."""
        said = pl.Series([False] * frame.height, dtype=pl.Boolean)
        for name, table in repair.by.items():
            if name in frame.columns:
                vote = frame[name].cast(pl.String).replace_strict(table, default=None, return_dtype=pl.String)
                said = said | (vote.is_not_null() & vote.ne_missing(value))
        if repair.over == "unknown":
            said = said & ~value.is_in(list(self._known[repair.column])).fill_null(False)
        return said if repair.fill else said & value.is_not_null()


def typed(texts: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Texts as `dtype`; null where one is none of it."""
    if dtype == pl.Boolean:
        return texts.replace_strict({"true": True, "false": False}, default=None, return_dtype=dtype)
    return texts.cast(dtype, strict=False)
