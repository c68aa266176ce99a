"""CSV in UTF-8: what every program opens, and some would run."""

from __future__ import annotations

import io
from collections.abc import Collection
from typing import Final

import polars as pl

from kring.ports.sink import Table, Target

SIGNS: Final = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet take a text for a formula, when it is the first sign of a cell."""

NUMBER: Final = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"
"""A text that is wholly a number computes nothing."""

QUOTED: Final = (",", '"', "\n", "\r")
"""What makes a text stand in quotes."""

AT_ONCE: Final = 1 << 14
"""Rows that are put into bytes at a time: so few that they are still in the processor's cache when they are written."""

MOMENT: Final = "%Y-%m-%dT%H:%M:%S%.6f%:z"
LOCAL: Final = "%Y-%m-%dT%H:%M:%S%.6f"


class CsvSink:
    """Texts that begin as a formula does get an apostrophe before them, which spreadsheets take for "this is a
    text"; numbers never, also where they are written in a column of texts. Moments are RFC 3339."""

    most_rows = 0

    def unfit(self, schema: pl.Schema) -> dict[str, str]:
        return {name: f"values of type {dtype}" for name, dtype in schema.items() if not plain(dtype)}

    def open_table(self, target: Target, *, schema: pl.Schema) -> Table:
        return CsvTable(target, schema=schema)


class CsvTable:
    """Fulfils `kring.ports.sink.Table`: each part is put into bytes by polars, on all cores, and handed on at once."""

    def __init__(self, target: Target, *, schema: pl.Schema) -> None:
        self._target = target
        target.write((",".join(quoted(harmless(pl.Series(schema.names(), dtype=pl.String)))) + "\n").encode())

    def write(self, rows: pl.DataFrame, *, sure: Collection[str] = ()) -> None:
        cells = rows.select(column if column.name in sure else cells_of(column) for column in rows.get_columns())
        for part in cells.iter_slices(AT_ONCE):
            data = io.BytesIO()
            part.write_csv(data, include_header=False, quote_style="never")
            self._target.write(data.getvalue())

    def finish(self) -> None:
        self._target.flush()

    def abandon(self) -> None:
        """What was handed on is of no use."""


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


def quoted(texts: pl.Series) -> pl.Series:
    """The texts as they stand in a file, where nothing at all means that a value is missing."""
    joined = texts.str.join("").item() or ""
    if not any(sign in joined for sign in QUOTED) and not (texts == "").any():
        return texts
    places = ((texts == "") | texts.str.contains_any(list(QUOTED))).fill_null(False).arg_true()
    found = texts.gather(places).str.replace_all('"', '""', literal=True)
    return texts.scatter(places, '"' + found + '"')


def cells_of(column: pl.Series) -> pl.Series:
    """A column as it stands in a file."""
    if isinstance(column.dtype, pl.Datetime):
        return column.dt.strftime(MOMENT if column.dtype.time_zone else LOCAL)
    if isinstance(column.dtype, pl.Categorical | pl.Enum):
        column = column.cast(pl.String)
    if column.dtype != pl.String or column.null_count() == len(column):
        return column
    return quoted(harmless(column))


SINK: Final = CsvSink()
