"""What every sink must do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import polars as pl
import pytest

from kring.errors import StorageError
from kring.ports.sink import Sink, Table

DANGEROUS = ("=1+1", "+cmd|x", "-x", "@sum", "\t=1", "\r=1", "=", "-", "--5", "+1 2")
ROWS = pl.DataFrame(
    {
        "number": [-1.5, 2.0, None],
        "whole": [-3, 0, 2**40],
        "yes": [True, False, None],
        "text": ["plain", 'a,"b";c', None],
    }
)


class Kept:
    """A target that keeps its bytes, and fails from byte `full` on."""

    def __init__(self, full: int = 1 << 30) -> None:
        self.data = bytearray()
        self._full = full

    def write(self, data: bytes, /) -> int:
        if len(self.data) + len(data) > self._full:
            raise StorageError("the disk is full")
        self.data += data
        return len(data)

    def flush(self) -> None: ...


def _write_all(table: Table, parts: list[pl.DataFrame]) -> None:
    for part in parts:
        table.write(part)
    table.finish()


class SinkSuite(ABC):
    sink: ClassVar[Sink]

    @abstractmethod
    def cells(self, data: bytes) -> list[list[object]]:
        """The headings and the rows of a file; missing cells are None, and texts as they would be shown."""

    def written(self, *parts: pl.DataFrame) -> list[list[object]]:
        target = Kept()
        table = self.sink.open_table(target, schema=parts[0].schema)
        for part in parts:
            table.write(part)
        table.finish()
        table.abandon()
        return self.cells(bytes(target.data))

    def test_what_was_written_is_there_in_order(self) -> None:
        head, *rows = self.written(ROWS, ROWS[1:], ROWS[:0])
        assert head == ROWS.columns
        assert rows == [list(row) for row in (*ROWS.rows(), *ROWS[1:].rows())]

    def test_a_table_without_rows_has_its_headings(self) -> None:
        assert self.written(ROWS[:0]) == [ROWS.columns]

    @pytest.mark.parametrize("text", DANGEROUS)
    def test_no_text_is_a_formula(self, text: str) -> None:
        frame = pl.DataFrame({text: [text, "plain"]})
        for shown in self.written(frame):
            assert shown[0] in (text, f"'{text}", "plain")

    def test_numbers_stay_numbers(self) -> None:
        (_, *rows) = self.written(pl.DataFrame({"a": [-1.5, -1e-300, 3e300], "b": [-(2**62), -1, 2**62]}))
        assert [a for a, _ in rows] == [-1.5, -1e-300, 3e300]
        assert [int(str(b)) if isinstance(b, str) else b for _, b in rows] == [-(2**62), -1, 2**62]

    def test_a_full_disk_is_said(self) -> None:
        frame = pl.DataFrame({"a": [f"{number:x}" * 9 for number in range(50_000)]})
        table = self.sink.open_table(Kept(full=1000), schema=frame.schema)
        with pytest.raises(StorageError, match="the disk is full"):
            _write_all(table, [frame] * 100)
        table.abandon()

    def test_an_abandoned_table_ends(self) -> None:
        table = self.sink.open_table(Kept(), schema=ROWS.schema)
        table.write(ROWS)
        table.abandon()
        table.abandon()

    def test_equal_rows_make_equal_bytes(self) -> None:
        made = []
        for _ in range(2):
            target = Kept()
            table = self.sink.open_table(target, schema=ROWS.schema)
            table.write(ROWS)
            table.finish()
            made.append(bytes(target.data))
        assert made[0] == made[1]
