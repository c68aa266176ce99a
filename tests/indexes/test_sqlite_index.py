"""The SQLite index: what every index does, and that nothing which lies in it is ever executed."""

from __future__ import annotations

import hashlib
import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from kring.errors import IntegrityError, Unavailable
from kring.indexes.sqlite import build_index, open_index
from kring.ports.index import Index
from kring.record.passage import Passage, Ranking
from kring.testing.index import DOCUMENTS, PASSAGES, IndexSuite


class TestSqlite(IndexSuite):
    def build(self, passages: Sequence[Passage], documents: Mapping[str, str]) -> bytes:
        return build_index(passages, documents=documents, ranking=Ranking())

    def open(self, data: bytes) -> Index:
        return open_index(data)


DATA = build_index(PASSAGES, documents=DOCUMENTS, ranking=Ranking(k=3, enough=0.4))


def changed(*statements: str) -> bytes:
    """The index after somebody has been at it with SQL."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
        database.deserialize(DATA)
        for statement in statements:
            database.execute(statement)
        return database.serialize()


def test_another_process_makes_the_same_bytes() -> None:
    script = (
        "import hashlib; from kring.indexes.sqlite import build_index; from kring.record.passage import Ranking;"
        "from kring.testing.index import DOCUMENTS, PASSAGES;"
        "data = build_index(PASSAGES, documents=DOCUMENTS, ranking=Ranking(k=3, enough=0.4));"
        "print(hashlib.sha256(data).hexdigest())"
    )
    told = subprocess.check_output([sys.executable, "-c", script], text=True, env={"PYTHONHASHSEED": "7"})
    assert told.strip() == hashlib.sha256(DATA).hexdigest()


def test_it_ranks_as_it_was_built() -> None:
    index = open_index(DATA)
    assert index.ranking == Ranking(k=3, enough=0.4)
    assert len(index.search("harbour berth water dogs closed")) == 3


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIEW spy AS SELECT * FROM passage",
        "CREATE TRIGGER spy AFTER INSERT ON word BEGIN SELECT load_extension('x'); END",
        "CREATE TABLE spy (x)",
        "CREATE INDEX spy ON passage (upper(text))",
        "CREATE VIRTUAL TABLE spy USING fts5(x)",
        "ALTER TABLE word ADD COLUMN spy TEXT DEFAULT 'x'",
        "ALTER TABLE passage RENAME TO spy",
        "DROP TABLE document",
    ],
)
def test_a_schema_that_is_not_ours_is_refused(statement: str) -> None:
    with pytest.raises(IntegrityError, match="not an index of Kring"):
        open_index(changed(statement))


def test_a_view_in_place_of_a_table_is_never_run(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    data = changed(
        "DROP TABLE word",
        f"CREATE VIEW word AS SELECT writefile('{canary}', 'x') AS word, load_extension('{canary}') AS places",
    )
    with pytest.raises(IntegrityError):
        open_index(data)
    assert not canary.exists()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE setting SET format = 2",
        'UPDATE setting SET ranking = \'{"k": "many"}\'',
        "UPDATE setting SET ranking = '{\"run\": 1}'",
        "UPDATE setting SET bounds = x'00000000'",
        "UPDATE setting SET bounds = x'0000'",
        "UPDATE setting SET bounds = 'text'",
        "DELETE FROM setting",
        "DELETE FROM passage WHERE number = 1",
    ],
)
def test_settings_that_fit_nothing_are_refused(statement: str) -> None:
    with pytest.raises(IntegrityError):
        open_index(changed(statement))


@pytest.mark.parametrize("places", ["x'FFFFFF7F'", "x'FFFFFFFF'", "x'00'", "x''", "'text'", "NULL", "1"])
def test_places_outside_the_passages_are_no_answer(places: str) -> None:
    index = open_index(changed(f"UPDATE word SET places = {places} WHERE word = 'harbour'"))
    with pytest.raises(Unavailable):
        index.search("harbour")


def test_an_opened_index_can_only_be_read() -> None:
    index = open_index(DATA)
    database = index._database
    assert database is not None
    for statement in (
        "DELETE FROM word",
        "CREATE TABLE spy (x)",
        "PRAGMA query_only = OFF",
        "ATTACH DATABASE ':memory:' AS other",
        "SELECT load_extension('x')",
        "SELECT upper(text) FROM passage",
    ):
        with pytest.raises(sqlite3.DatabaseError):
            database.execute(statement)
    assert database.serialize() == DATA


def test_every_damaged_page_is_told_or_does_no_harm() -> None:
    for place in range(0, len(DATA), 97):
        data = bytearray(DATA)
        data[place] ^= 0xFF
        try:
            index = open_index(bytes(data))
            index.search("What does a berth cost in the harbour?")
            index.documents()
        except Unavailable:  # IntegrityError is one
            continue
