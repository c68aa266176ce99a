"""Feeds in files: what is read, and how everything that can't be is told."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.errors import DataError
from kring.sources import csv_text
from kring.sources.file import digest, open_feed, scan

PARQUET_ROWS = pl.DataFrame({"a": [1, 2, None], "b": ["x", "y", "z"]})


def parquet() -> bytes:
    target = io.BytesIO()
    PARQUET_ROWS.write_parquet(target)
    return target.getvalue()


def rows(path: Path) -> dict[str, list[object]]:
    return scan(path).collect(engine="streaming").to_dict(as_series=False)


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("plain.csv", b"a,b\n1,2\n", {"a": ["1"], "b": ["2"]}),
        ("mark.csv", b'\xef\xbb\xbfa,b\r\n1,"x"\r\n,y\r\n"",z\r\n', {"a": ["1", None, ""], "b": ["x", "y", "z"]}),
        ("semicolon.csv", "a;b\n1,5;é\n".encode(), {"a": ["1,5"], "b": ["é"]}),
        ("tab.tsv", b"a\tb\n1\t2", {"a": ["1"], "b": ["2"]}),
        ("pipe.csv", b"a|b\n1|2\n", {"a": ["1"], "b": ["2"]}),
        ("one_column.csv", b"a\n1\n2\n", {"a": ["1", "2"]}),
        ("one_row.csv", b"a,b\n1,2", {"a": ["1"], "b": ["2"]}),
        ("header.csv", b"a,b\n", {"a": [], "b": []}),
        ("header_without_end.csv", b"a,b", {"a": [], "b": []}),
        ("quotes.csv", b'a,"b ""c"""\n"1\n2","x,""y"""\n', {"a": ["1\n2"], 'b "c"': ['x,"y"']}),
        (
            "odd [names]*.csv",
            '"a b",c.d,π,"e,f"\n1,2,3,4\n'.encode(),
            {"a b": ["1"], "c.d": ["2"], "π": ["3"], "e,f": ["4"]},
        ),
        ("zipped.csv.gz", gzip.compress(b"a,b\n1,2\n", mtime=0), {"a": ["1"], "b": ["2"]}),
        ("UPPER.CSV", b"a,b\n1,2\n", {"a": ["1"], "b": ["2"]}),
        ("lines.jsonl", b'{"a":1,"b":"x"}\n{"b":null,"a":2.5}\n', {"a": [1.0, 2.5], "b": ["x", None]}),
        ("lines.ndjson", b'{"a":1}\n{"c":true}\n', {"a": [1, None], "c": [None, True]}),
        ("table.parquet", parquet(), PARQUET_ROWS.to_dict(as_series=False)),
    ],
)
def test_what_is_read(tmp_path: Path, name: str, data: bytes, expected: dict[str, list[object]]) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    assert rows(path) == expected
    assert digest(path) == hashlib.sha256(data).hexdigest()


BAD = [
    # name of the file, its bytes, line (0: none), words of the message
    ("missing.csv", None, 0, "no such file"),
    ("empty.csv", b"", 0, "empty"),
    ("blank.csv", b"\n\n", 1, "first line is empty"),
    ("too_many.csv", b'a,b\n"x\ny",2\n1,2,3\n', 4, "3 fields"),
    ("too_few.csv", b"a,b\n1,2\n3\n", 3, "1 fields"),
    ("empty_line.csv", b"a,b\n1,2\n\n3,4\n", 3, "an empty line"),
    ("empty_line_in_one_column_before.csv", b"a,b\r\n\r\n", 2, "an empty line"),
    ("double.csv", b"a,b,a,b\n1,2,3,4\n", 1, "a, b"),
    ("nameless.csv", b"a,,c\n1,2,3\n", 1, "column 2 of 3"),
    ("control.csv", b"a\x01,b\n1,2\n", 1, "can't be seen"),
    ("newline_in_name.csv", b'"a\nb",c\n1,2\n', 1, "can't be seen"),
    ("utf16_cut.csv", "a,b\n1,2\n".encode("utf-16")[:-1], 0, "UTF-16"),
    ("cyrillic.csv", "имя,b\n1,привет\n".encode("cp1251"), 1, "iconv"),
    ("damaged.csv", "a,b\n1,café\n2,thé\n3,cr".encode() + b"\xe8me\n", 4, "byte 0xe8 at offset 23"),
    ("latin_after_mark.csv", b"\xef\xbb\xbfa\n\xe9\n", 2, "offset 5"),
    ("binary.csv", bytes(range(256)) * 9, 0, "zero byte at offset 0"),
    ("late_binary.csv", b"a,b\n" + b"1,2\n" * 9 + b"\0", 0, "zero byte at offset 40"),
    ("archive.csv", b"PK\x03\x04junk", 0, "zip archive"),
    ("parquet.csv", b"PAR1junk", 0, "Parquet"),
    ("inner_quote.csv", b'a,b\n1,5" pipe\n', 2, "middle of a field"),
    ("after_quote.csv", b'a,b\n1,2\n"x"y,1\n', 3, "middle of a field"),
    ("open_quote.csv", b'a,b\n1,"abc\n2,3\n', 2, "never closed"),
    ("open_header.csv", b'a,"b\n1,2\n', 1, "never closed"),
    ("old_mac.csv", b"a,b\r1,2\r3,4\r", 0, "CR alone"),
    ("cut.csv.gz", gzip.compress(b"a,b\n1,2\n" * 999, mtime=0)[:-9], 0, "damaged"),
    ("no_gzip.csv.gz", b"a,b\n1,2\n", 0, "damaged"),
    ("empty.parquet", b"", 0, "empty"),
    ("text.parquet", b"a,b\n1,2\n1,2\n", 0, "not a Parquet file"),
    ("cut.parquet", parquet()[:-9], 0, "cut off"),
    ("short.parquet", b"PAR1PAR1", 0, "cut off"),
    ("footer.parquet", parquet()[:20] + bytes(30) + parquet()[-8:], 0, "can't be read"),
    ("empty.jsonl", b"", 0, "empty"),
    ("blank.jsonl", b"\n\n", 0, "empty"),
    ("cut.jsonl", b'{"a":1}\n{"a":\n', 2, "not a JSON object"),
    ("list.jsonl", b"[1,2]\n", 1, "not an object"),
    ("latin.jsonl", b'{"a":"\xe9"}\n', 1, "byte 0xe9"),
    ("sheet.xlsx", b"PK\x03\x04", 0, ".parquet"),
    ("nameless", b"a,b\n", 0, ".csv"),
]


@pytest.mark.parametrize(("name", "data", "line", "words"), BAD, ids=[row[0] for row in BAD])
def test_what_can_not_be_read(tmp_path: Path, name: str, data: bytes | None, line: int, words: str) -> None:
    path = tmp_path / name
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(DataError) as caught:
        scan(path)
    assert words in str(caught.value)
    assert caught.value.line == line
    assert name in caught.value.file


def test_damaged_pages_are_told_when_they_are_reached(tmp_path: Path) -> None:
    data = bytearray(parquet())
    data[4:60] = bytes(56)
    (tmp_path / "a.parquet").write_bytes(data)
    with pytest.raises(pl.exceptions.PolarsError):
        scan(tmp_path / "a.parquet").collect(engine="streaming")


def test_several_files_are_one_feed_in_the_order_of_their_names(tmp_path: Path) -> None:
    (tmp_path / "2.csv").write_text("b;a\n4;3\n")
    (tmp_path / "1.csv").write_text("a,b\n1,2\n")
    (tmp_path / ".hidden").write_text("no")
    assert rows(tmp_path) == {"a": ["1", "3"], "b": ["2", "4"]}
    assert rows(tmp_path / "*.csv") == rows(tmp_path)
    both = "".join(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in ("1.csv", "2.csv"))
    assert digest(tmp_path) == digest(tmp_path / "?.csv") == hashlib.sha256(both.encode()).hexdigest()


def test_batches_of_several_files_hold_the_rows_of_all(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("n,t\n1,x\n2,y\n3,z\n")
    (tmp_path / "b.csv").write_text("t;n\nv;4\n")
    feed = open_feed(tmp_path)
    assert [batch.rows() for batch in feed.batches(2)] == [[("1", "x"), ("2", "y")], [("3", "z")], [("4", "v")]]
    assert feed.frame.collect().height == 4
    PARQUET_ROWS.write_parquet(tmp_path / "c.parquet")
    batches = list(open_feed(tmp_path / "c.parquet").batches(2))
    assert pl.concat(batches).equals(PARQUET_ROWS)
    assert max(batch.height for batch in batches) <= 2


def test_several_parquet_files(tmp_path: Path) -> None:
    PARQUET_ROWS.write_parquet(tmp_path / "1.parquet")
    PARQUET_ROWS.write_parquet(tmp_path / "2.parquet")
    assert rows(tmp_path)["a"] == [1, 2, None, 1, 2, None]
    PARQUET_ROWS.cast({"a": pl.Float64}).write_parquet(tmp_path / "3.parquet")
    assert len(rows(tmp_path)["a"]) == 9


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "holds no files"),
        ({"a.csv": "a,b\n", "b.csv": "a,c\n"}, "b, c in one of a.csv and b.csv"),
        ({"a.csv": "a,b\n", "b.jsonl": '{"a":1}\n'}, "several kinds"),
        ({"a.csv": "a,b\n", "b.csv": "a,b\n1\n"}, "b.csv:2"),
    ],
)
def test_folders_that_are_no_feed(tmp_path: Path, files: dict[str, str], words: str) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(DataError) as caught:
        scan(tmp_path)
    assert words in str(caught.value)


@pytest.mark.parametrize("path", ["no/such/folder/x.csv", "*.csv"])
def test_paths_that_mean_nothing(tmp_path: Path, path: str) -> None:
    with pytest.raises(DataError, match="no such file"):
        scan(tmp_path / path)
    with pytest.raises(DataError, match="no such file"):
        digest(tmp_path / path)


CELLS = st.text(st.sampled_from('ab,;"\n é'), max_size=4)
TABLES = st.integers(2, 4).flatmap(
    lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=8)
)


@given(table=TABLES, piece=st.integers(1, 40))
def test_any_table_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, table: list[list[str]], piece: int
) -> None:
    path = tmp_path_factory.mktemp("csv") / "any.csv"
    names = [f"c{number}" for number in range(len(table[0]))]
    quoted = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in [names, *table]]
    path.write_bytes("\n".join(quoted).encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_text, "PIECE", piece)  # small pieces: every cut is tried
        found = scan(path).collect(engine="streaming")
    assert [list(row) for row in found.iter_rows()] == table


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fall(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("any")
    for name in ("x.csv", "x.jsonl", "x.parquet", "x.csv.gz"):
        (folder / name).write_bytes(data)
        with contextlib.suppress(DataError):
            scan(folder / name)
