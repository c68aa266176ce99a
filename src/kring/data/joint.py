"""Repairs that read several columns of a row: what stands in the wrong column, what other columns decide."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import polars as pl

from kring.data.near import masked, slips
from kring.record.recipe import Dependency, Repair, Split

FLAG: Final = "\x1fchanged "
"""Begins the names of the columns that say where a repair changed something; no feed has such a column."""

Mend = Callable[[str], str | None]
Row = dict[str, str | None]


class Joint:
    """The repairs of several columns among `repairs` whose columns are all among `columns`.

    `mends` are the repairs of single columns: what is moved into a column goes through them too. Over `unknown`, a
    value that became known stays; over `any`, a column that decides is never itself decided over `any`: so the
    rounds of `mend` end.
    """

    def __init__(self, repairs: Sequence[Repair], *, columns: Sequence[str], mends: Mapping[str, Mend]) -> None:
        names = frozenset(columns)
        self._mends = mends
        self._splits = [one for one in repairs if isinstance(one, Split) and {one.column, one.into} <= names]
        self._depends = [
            one for one in repairs if isinstance(one, Dependency) and one.column in names and names & one.by.keys()
        ]
        self.repairs: list[Split | Dependency] = [*self._splits, *self._depends]
        self._known = {
            one.column: frozenset(one.known).union(*(table.values() for table in one.by.values()))
            for one in self._depends
        }
        self.reads = tuple(
            dict.fromkeys(
                name
                for one in self.repairs
                for name in (one.column, *([one.into] if isinstance(one, Split) else one.by))
                if name in names
            )
        )

    def mend(self, row: Row, *, changed: Callable[[str], None] = lambda _: None) -> Row:
        """The row when nothing more is to be changed; `changed` hears the id of each repair that did something."""
        for _ in range(2 * len(self.repairs) + 2):
            if not (self._split(row, changed) | self._depend(row, changed)):
                break
        return row

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
            pl.when(hit)
            .then(joined[f"\x1fnew {name}"].cast(frame.schema[name], strict=False))
            .otherwise(frame[name])
            .alias(name)
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

    def _split(self, row: Row, changed: Callable[[str], None]) -> bool:
        done = False
        for repair in self._splits:
            value = row[repair.column]
            if value is None or row[repair.into] is not None:
                continue
            head, _, tail = value.rpartition(" ")
            head = head.rstrip(" ,;")
            if head and tail in repair.tails:
                row[repair.column] = self._cell(repair.column, head)
                row[repair.into] = self._cell(repair.into, tail)
                changed(repair.id)
                done = True
        return done

    def _depend(self, row: Row, changed: Callable[[str], None]) -> bool:
        done = False
        for repair in self._depends:
            value = row[repair.column]
            right = self._decided(repair, value, row)
            if right is not None and right != value:
                row[repair.column] = right
                changed(repair.id)
                done = True
        return done

    def _decided(self, repair: Dependency, value: str | None, row: Row) -> str | None:
        """What the other columns say that the value should be; None to leave it as it is."""
        if value is None and not repair.fill:
            return None
        if repair.over == "unknown" and value in self._known[repair.column]:
            return None
        votes = (table.get(row.get(name) or "") for name, table in repair.by.items())
        allowed = [vote for vote in votes if vote is not None and self._allowed(repair, value, vote)]
        return self._cell(repair.column, Counter(allowed).most_common(1)[0][0]) if allowed else None

    def _allowed(self, repair: Dependency, value: str | None, vote: str) -> bool:
        if value is None or repair.over == "any":
            return True
        return masked(value, vote, signs=repair.signs) if repair.signs else slips(value, vote) > 0

    def _cell(self, column: str, text: str) -> str | None:
        mend = self._mends.get(column)
        return mend(text) if mend else text
