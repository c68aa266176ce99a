"""The same table in every encoding reads the same, all at once and some rows at a time."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kring.errors import DataError
from kring.sources import csv_text
from kring.sources import file as source

TEXT = 'Größe;Wert;"No;te"\n1;2,5;"a ""b""\nc"\n2;3,5;Müller\n3;;\n'
ENCODINGS = ("utf-8", "utf-8-sig", "windows-1252", "latin-1", "utf-16", "utf-16-le", "utf-16-be")


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("ending", [".csv", ".csv.gz"])
def test_every_encoding_reads_the_same(tmp_path: Path, encoding: str, ending: str) -> None:
    path = tmp_path / f"feed{ending}"
    data = TEXT.encode(encoding)
    path.write_bytes(gzip.compress(data) if ending.endswith("gz") else data)
    frame = source.scan(path)
    assert frame.collect().to_dict(as_series=False) == {
        "Größe": ["1", "2", "3"],
        "Wert": ["2,5", "3,5", None],
        "No;te": ['a "b"\nc', "Müller", None],
    }
    assert pl.concat(source.open_feed(path).batches(2)).equals(frame.collect())
    assert frame.select("Wert").head(2).collect().rows() == [("2,5",), ("3,5",)]
    assert frame.filter(pl.col("Größe") == "2").select("No;te").collect(engine="streaming").item() == "Müller"


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.text(st.sampled_from('abcdefghijklmnopqrstuvwxyzé";\n\r\t')), min_size=1, max_size=40),
    st.integers(1, 40),
)
def test_pieces_of_any_size_read_the_same(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], piece: int
) -> None:
    folder = tmp_path_factory.mktemp("pieces")
    rows = "".join(f'{number};"{text.replace(chr(34), chr(34) * 2)}"\n' for number, text in enumerate(texts))
    plain, recoded = folder / "plain.csv", folder / "recoded.csv"
    plain.write_bytes(f"number;a text\n{rows}".encode())
    recoded.write_bytes(f"number;a text\n{rows}".encode("utf-16"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_text, "PIECE", piece)
        patch.setattr(csv_text, "BLOCK", piece)
        found = source.scan(recoded).collect()
        parts = [list(source.open_feed(path).batches(7)) for path in (plain, recoded)]
    assert found.equals(source.scan(plain).collect())
    for batches in parts:
        assert pl.concat(batches).equals(found)
        assert max(batch.height for batch in batches) <= 7


@pytest.mark.parametrize(
    ("text", "encoding"),
    [("имя,x\nпривет,1\n", "cp1251"), ("名前,x\nこんにちは,1\n", "shift-jis")],
    ids=("Cyrillic", "Japanese"),
)
def test_what_is_no_western_text_is_refused(tmp_path: Path, text: str, encoding: str) -> None:
    path = tmp_path / "feed.csv"
    path.write_bytes(text.encode(encoding))
    with pytest.raises(DataError, match="not in UTF-8"):
        source.scan(path)
