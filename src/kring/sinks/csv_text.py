"""CSV in UTF-8: what every program opens, and some would run."""

from __future__ import annotations

from typing import IO, Final, cast

import polars as pl

from kring.ports.sink import Table, Target
from kring.sinks.streaming import StreamedTable

SIGNS: Final = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet take a text for a formula, when it is the first sign of a cell."""

NUMBER: Final = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"
"""A text that is wholly a number computes nothing."""

MOMENT: Final = "%Y-%m-%dT%H:%M:%S%.6f%:z"
LOCAL: Final = "%Y-%m-%dT%H:%M:%S%.6f"


class CsvSink:
    """Texts that begin as a formula does get an apostrophe before them, which spreadsheets take for "this is a
    text"; numbers never, also where they are written in a column of texts. Moments are RFC 3339."""

    most_rows = 0

    def unfit(self, schema: pl.Schema) -> dict[str, str]:
        return {name: f"values of type {dtype}" for name, dtype in schema.items() if not plain(dtype)}

    def open_table(self, target: Target, *, schema: pl.Schema) -> Table:
        return StreamedTable(target, schema=schema, write=_write)


def plain(dtype: pl.DataType) -> bool:
    """Whether one value is one cell."""
    return not (dtype.is_nested() or dtype in (pl.Object, pl.Binary, pl.Unknown))


def harmless(texts: pl.Series) -> pl.Series:
    """The texts, with an apostrophe before those that a spreadsheet would run; the same series where there are none."""
    if not may_run(texts):
        return texts
    places = texts.str.head(1).is_in(SIGNS).fill_null(False).arg_true()
    found = texts.gather(places)
    runs = found.str.contains(NUMBER).not_()
    if not runs.any():
        return texts
    return texts.scatter(places.filter(runs), "'" + found.filter(runs))


def may_run(texts: pl.Series) -> bool:
    """Whether any text begins below `0` or from `=` to `@`, as all `SIGNS` do: looked for first, since it is quick."""
    return bool((texts < "0").any() or ((texts >= "=") & (texts < "A")).any())


def _text(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if isinstance(dtype, pl.Categorical | pl.Enum):
        column = column.cast(pl.String)
    if isinstance(dtype, pl.Datetime):
        return column.dt.strftime(MOMENT if dtype.time_zone else LOCAL)
    if not isinstance(dtype, pl.Categorical | pl.Enum | pl.String):
        return column
    return column.map_batches(harmless, return_dtype=pl.String, is_elementwise=True)


def _write(rows: pl.LazyFrame, target: Target) -> None:
    schema = rows.collect_schema()
    headings = harmless(pl.Series(schema.names()))
    written = rows.select(
        _text(name, schema[name]).alias(heading) for name, heading in zip(schema, headings, strict=True)
    )
    written.sink_csv(cast(IO[bytes], target), maintain_order=True)


SINK: Final = CsvSink()
