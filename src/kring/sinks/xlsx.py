"""Excel workbooks: one sheet, texts as texts."""

from __future__ import annotations

import datetime
import math
from collections.abc import Collection
from typing import IO, Any, Final, cast

import polars as pl
import xlsxwriter
from xlsxwriter.worksheet import Worksheet

from kring.errors import DataError, KringError
from kring.ports.sink import Table, Target
from kring.sinks.csv_text import plain

MOST_ROWS: Final = 1_048_575
MOST_COLUMNS: Final = 16_384
MOST_SIGNS: Final = 32_767
EXACT: Final = 1 << 53
"""A workbook holds numbers as floats: whole numbers beyond this are written as texts, so that none changes."""

CREATED: Final = datetime.datetime(1980, 1, 1)
"""Equal rows make equal bytes."""

OPTIONS: Final = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
    "default_date_format": "",
}


class XlsxSink:
    """Numbers are numbers, yes and no are truth values, and all else, moments in RFC 3339 too, is text: nothing
    that a file brings along is ever a formula or a link."""

    most_rows = MOST_ROWS

    def unfit(self, schema: pl.Schema) -> dict[str, str]:
        wide = {name: f"column {MOST_COLUMNS + 1:,} or later" for name in schema.names()[MOST_COLUMNS:]}
        return wide | {name: f"values of type {dtype}" for name, dtype in schema.items() if not plain(dtype)}

    def open_table(self, target: Target, *, schema: pl.Schema) -> Table:
        return XlsxTable(target, schema=schema)


class XlsxTable:
    """Rows go to a temporary file as they come; the workbook is put together in `finish`."""

    def __init__(self, target: Target, *, schema: pl.Schema) -> None:
        self._book = xlsxwriter.Workbook(cast(IO[bytes], _Forward(target)), OPTIONS)
        self._book.set_properties({"created": CREATED})
        self._sheet: Worksheet = self._book.add_worksheet("decisions")
        self._names = schema.names()
        self._row = 0
        for place, name in enumerate(self._names):
            self._put(place, name)

    def write(self, rows: pl.DataFrame, *, sure: Collection[str] = ()) -> None:
        del sure
        for values in rows.iter_rows():
            self._row += 1
            for place, value in enumerate(values):
                if value is not None:
                    self._put(place, value)

    def finish(self) -> None:
        self._book.close()

    def abandon(self) -> None:
        """Close the temporary file without writing a workbook."""
        file = getattr(self._sheet, "row_data_fh", None)
        if file is not None:
            file.close()
        self._book.fileclosed = True

    def _put(self, place: int, value: object) -> None:
        if isinstance(value, bool):
            self._sheet.write_boolean(self._row, place, value)
        elif isinstance(value, int | float) and math.isfinite(value) and (isinstance(value, float) or exact(value)):
            self._sheet.write_number(self._row, place, value)
        else:
            self._put_text(place, _shown(value))

    def _put_text(self, place: int, text: str) -> None:
        if len(text.encode("utf-16-le")) // 2 > MOST_SIGNS:
            raise DataError(
                "a text is too long for a cell of a workbook",
                got=f"{len(text):,} signs in row {self._row:,} of column {self._names[place]}",
                allowed=f"{MOST_SIGNS:,} signs",
                next="write .csv or .parquet, or leave the column out with --keep",
            )
        self._sheet.write_string(self._row, place, text)


class _Forward:
    """A stream that can only be appended to. What comes after a failure goes nowhere: a zip file writes its end
    even then."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._failed = False

    def write(self, data: Any, /) -> int:
        if self._failed:
            return len(data)
        try:
            return self._target.write(bytes(data))
        except KringError:
            self._failed = True
            raise

    def flush(self) -> None:
        self._target.flush()


def exact(number: int) -> bool:
    """Whether a workbook can hold the whole number as it is."""
    return abs(number) <= EXACT


def _shown(value: object) -> str:
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    return str(value)


SINK: Final = XlsxSink()
