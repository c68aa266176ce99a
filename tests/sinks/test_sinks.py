"""Formats of files of answers: the same cells come back, and no text is ever a formula."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from typing import ClassVar
from xml.etree import ElementTree

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.errors import DataError
from kring.ports.sink import Sink
from kring.sinks import csv_text, parquet, xlsx
from kring.testing.sink import DANGEROUS, Kept, SinkSuite

NUMBER = re.compile(csv_text.NUMBER)
SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)
STARTS = st.sampled_from(["", *csv_text.SIGNS, "'", '"', "5", "é"])


def read_csv(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(), newline="")))


def guess(text: str) -> object:
    """What a program that reads a CSV cell takes it for."""
    if text in ("", "true", "false"):
        return {"": None, "true": True, "false": False}[text]
    return float(text) if NUMBER.match(text) else text


class TestCsv(SinkSuite):
    sink: ClassVar[Sink] = csv_text.SINK

    def cells(self, data: bytes) -> list[list[object]]:
        return [[guess(cell) for cell in row] for row in read_csv(data)]

    def test_numbers_stay_numbers(self) -> None:
        target = Kept()
        frame = pl.DataFrame({"a": [-1.5, -1e-300], "b": [-(2**62), -1], "c": ["-5", "+1.5e3"]})
        table = self.sink.open_table(target, schema=frame.schema)
        table.write(frame)
        table.finish()
        (_, *rows) = read_csv(bytes(target.data))
        assert [(float(a), int(b), c) for a, b, c in rows] == frame.rows()

    @given(st.lists(st.builds(str.__add__, STARTS, TEXTS), min_size=1, max_size=20))
    def test_texts_come_back_and_none_is_a_formula(self, texts: list[str]) -> None:
        target = Kept()
        frame = pl.DataFrame({"n": range(len(texts)), "text": texts})
        table = self.sink.open_table(target, schema=frame.schema)
        table.write(frame)
        table.finish()
        shown = [row[1] for row in read_csv(bytes(target.data))[1:]]
        for text, cell in zip(texts, shown, strict=True):
            runs = text.startswith(csv_text.SIGNS) and not NUMBER.match(text)
            assert cell == (f"'{text}" if runs else text)
            assert not cell.startswith(csv_text.SIGNS) or NUMBER.match(cell)

    def test_what_is_sure_to_be_a_number_is_written_as_it_is(self) -> None:
        target = Kept()
        frame = pl.DataFrame({"a": ["-5", "+1.50", "1e3"], "b": ["=1", 'x"y', "a,b"]})
        table = self.sink.open_table(target, schema=frame.schema)
        table.write(frame, sure=["a"])
        table.finish()
        assert bytes(target.data).decode() == 'a,b\n-5,\'=1\n+1.50,"x""y"\n1e3,"a,b"\n'

    def test_an_empty_text_is_not_a_missing_one(self) -> None:
        target = Kept()
        frame = pl.DataFrame({"n": [1, 2], "text": ["", None]})
        table = self.sink.open_table(target, schema=frame.schema)
        table.write(frame)
        table.finish()
        assert bytes(target.data) == b'n,text\n1,""\n2,\n'

    def test_categories_are_texts_too(self) -> None:
        frame = pl.DataFrame({"a": pl.Series(["=1", "b"], dtype=pl.Categorical)})
        assert self.written(frame)[1:] == [["'=1"], ["b"]]


class TestParquet(SinkSuite):
    sink: ClassVar[Sink] = parquet.SINK

    def cells(self, data: bytes) -> list[list[object]]:
        frame = pl.read_parquet(io.BytesIO(data))
        return [list(frame.columns), *(list(row) for row in frame.rows())]


class TestXlsx(SinkSuite):
    sink: ClassVar[Sink] = xlsx.SINK

    def cells(self, data: bytes) -> list[list[object]]:
        book = zipfile.ZipFile(io.BytesIO(data))
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
        assert "<f>" not in sheet
        assert "hyperlink" not in sheet
        rows = ElementTree.fromstring(sheet).iter(f"{SHEET}row")
        found = [[self.cell(cell) for cell in row.iter(f"{SHEET}c")] for row in map(self.filled, rows)]
        width = max(len(row) for row in found)
        return [row + [None] * (width - len(row)) for row in found]

    def filled(self, row: ElementTree.Element) -> ElementTree.Element:
        """The row with a cell in every column."""
        whole = ElementTree.Element(row.tag)
        for cell in row.iter(f"{SHEET}c"):
            place = ord(cell.attrib["r"][0]) - ord("A")
            for _ in range(place - len(whole)):
                ElementTree.SubElement(whole, f"{SHEET}c")
            whole.append(cell)
        return whole

    def cell(self, cell: ElementTree.Element) -> object:
        value, text = cell.find(f"{SHEET}v"), cell.find(f"{SHEET}is/{SHEET}t")
        if text is not None:
            assert cell.attrib["t"] == "inlineStr"
            return re.sub("_x([0-9A-F]{4})_", lambda found: chr(int(found[1], 16)), text.text or "")
        if value is None:
            return None
        number = float(value.text or "")
        return bool(number) if cell.attrib.get("t") == "b" else number

    def test_a_text_that_no_cell_can_hold_is_refused(self) -> None:
        frame = pl.DataFrame({"long": ["a" * 32_767, "b" * 32_768]})
        table = self.sink.open_table(Kept(), schema=frame.schema)
        with pytest.raises(DataError, match="too long for a cell") as refused:
            table.write(frame)
        assert "row 2 of column long" in refused.value.got
        table.abandon()


@pytest.mark.parametrize("sink", [csv_text.SINK, xlsx.SINK])
def test_columns_without_a_cell_are_named(sink: Sink) -> None:
    schema = pl.Schema({"a": pl.Int64(), "many": pl.List(pl.Int64()), "raw": pl.Binary()})
    assert sorted(sink.unfit(schema)) == ["many", "raw"]
    assert parquet.SINK.unfit(schema) == {}


def test_a_workbook_has_bounds() -> None:
    assert xlsx.SINK.most_rows == 1_048_575
    wide = pl.Schema({f"c{number}": pl.Int64() for number in range(16_385)})
    assert list(xlsx.SINK.unfit(wide)) == ["c16384"]


def test_every_sign_lies_where_it_is_looked_for_first() -> None:
    for sign in (*csv_text.SIGNS, *DANGEROUS):
        assert csv_text.may_run(pl.Series(["abc", sign]))
    assert not csv_text.may_run(pl.Series(["abc", "5", "Zoë", "é", None, "'=1"][:5]))
