"""An index as one SQLite database in memory: built to bytes, and read from bytes that somebody has verified.

A database may hold more than data: views, triggers, expressions that call functions. So the bytes are opened
without trust in their schema, which must be ours to the letter, and from then on only reading is allowed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from kring.errors import IntegrityError, KringError, Unavailable
from kring.record.passage import Found, Passage, Ranking
from kring.retrieval.ranking import Places, best, lay_out, normalised, rarity, scores
from kring.retrieval.words import asked, telling, words

FORMAT: Final = 1
SCHEMA: Final = {
    "setting": "CREATE TABLE setting (format INTEGER, ranking TEXT, bounds BLOB)",
    "document": "CREATE TABLE document (id TEXT PRIMARY KEY, digest TEXT)",
    "passage": "CREATE TABLE passage (number INTEGER PRIMARY KEY, id TEXT, title TEXT, text TEXT)",
    "word": "CREATE TABLE word (word TEXT PRIMARY KEY, places BLOB)",
}
HEADER: Final = b"SQLite format 3\x00"
WRITER: Final = slice(96, 100)
"""Where the header names the SQLite that wrote it: blanked, so that equal content has equal bytes."""

READING: Final = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ})
PLACES: Final = np.dtype("<i4")


def build_index(passages: Sequence[Passage], *, documents: Mapping[str, str], ranking: Ranking) -> bytes:
    """The bytes of an index over `passages`; `documents` are the SHA-256 of what they were split from, by id."""
    fields = [words(text) for passage in passages for text in (passage.title, passage.text)]
    places, bounds = lay_out(fields)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
        database.execute("PRAGMA page_size = 4096")
        database.execute("BEGIN")
        for table in SCHEMA.values():
            database.execute(table)
        settings = (FORMAT, msgspec.json.encode(ranking, order="sorted").decode(), bounds.astype(PLACES).tobytes())
        database.execute("INSERT INTO setting VALUES (?, ?, ?)", settings)
        database.executemany("INSERT INTO document VALUES (?, ?)", sorted(documents.items()))
        rows = ((number, each.id, each.title, each.text) for number, each in enumerate(passages))
        database.executemany("INSERT INTO passage VALUES (?, ?, ?, ?)", rows)
        database.executemany(
            "INSERT INTO word VALUES (?, ?)",
            ((word, places[word].astype(PLACES).tobytes()) for word in sorted(places)),
        )
        database.execute("COMMIT")
        data = bytearray(database.serialize())
    data[WRITER] = bytes(4)
    return bytes(data)


class SqliteIndex:
    """One opened index. Safe to share between threads."""

    def __init__(self, database: sqlite3.Connection, *, ranking: Ranking, layout: Places) -> None:
        self._database: sqlite3.Connection | None = database
        self.ranking = ranking
        self._layout = layout
        self._norm = normalised(layout, ranking)

    def search(self, question: str) -> list[Found]:
        """The best `k` passages, best first. `Unavailable` when the index is closed or damaged."""
        terms = asked(question)
        places = {word: at for word in terms if (at := self._places(word)) is not None}
        total = scores(terms, places, layout=self._layout, norm=self._norm, ranking=self.ranking)
        return [
            Found(passage=self._passage(number), score=float(total[number]))
            for number in best(total, k=self.ranking.k).tolist()
        ]

    def weights(self, words: Sequence[str]) -> list[float]:
        """The rarity of each word among the passages, times how telling it is."""
        return [telling(word) * rarity(self._layout.n, self._holding(word)) for word in words]

    def documents(self) -> dict[str, str]:
        """SHA-256 by id."""
        return {str(id): str(digest) for id, digest in self._rows("SELECT id, digest FROM document ORDER BY id")}

    def close(self) -> None:
        """Free the bytes."""
        if self._database is not None:
            self._database.close()
        self._database = None

    def _places(self, word: str) -> NDArray[np.int32] | None:
        for (data,) in self._rows("SELECT places FROM word WHERE word = ?", word):
            places = _numbers(data)
            if len(places) and places.min() >= 0 and places.max() < self._layout.bounds[-1]:
                return places
            raise damaged(f"places of the word {word!r} outside the passages")
        return None

    def _holding(self, word: str) -> int:
        places = self._places(word)
        return 0 if places is None else int(np.count_nonzero(self._layout.counts(places, title_weight=1.0)))

    def _passage(self, number: int) -> Passage:
        for id, title, text in self._rows("SELECT id, title, text FROM passage WHERE number = ?", number):
            return Passage(id=str(id), title=str(title), text=str(text))
        raise damaged(f"no passage {number}")

    def _rows(self, query: str, *values: object) -> list[tuple[object, ...]]:
        if self._database is None:
            raise Unavailable("the index is closed", next="open the version again")
        try:
            return self._database.execute(query, values).fetchall()
        except (sqlite3.Error, UnicodeEncodeError) as error:
            raise Unavailable("the index can't be read", got=str(error)) from error


def open_index(data: bytes) -> SqliteIndex:
    """The index in `data`. `IntegrityError` for bytes that `build_index` did not make."""
    if not data.startswith(HEADER):
        raise damaged(f"bytes that begin with {data[:16]!r}")
    database = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    try:
        database.deserialize(data)
        _distrust(database)
        format, ranking, bounds = database.execute("SELECT format, ranking, bounds FROM setting").fetchone()
        if format != FORMAT:
            raise damaged(f"format {format}")
        layout = Places(_bounds(bounds))
        (count,) = database.execute("SELECT count(*) FROM passage").fetchone()
        if count != layout.n:
            raise damaged(f"{count} passages with the places of {layout.n}")
        return SqliteIndex(database, ranking=msgspec.json.decode(ranking, type=Ranking), layout=layout)
    except (sqlite3.Error, msgspec.MsgspecError, TypeError, ValueError) as error:
        database.close()
        raise damaged(str(error)) from error
    except KringError:
        database.close()
        raise


def _distrust(database: sqlite3.Connection) -> None:
    """No schema but ours, sound pages, and nothing but reading from here on."""
    for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "query_only = ON"):
        database.execute(f"PRAGMA {pragma}")
    found = dict(database.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL OR type <> 'index'"))
    if found != SCHEMA:
        raise damaged(", ".join(sorted(map(str, found.keys() ^ SCHEMA.keys()))) or "tables of another form")
    (sound,) = database.execute("PRAGMA quick_check(1)").fetchone()
    if sound != "ok":
        raise damaged(str(sound))
    database.set_authorizer(_may)


def _may(action: int, subject: str | None, detail: str | None, base: str | None, trigger: str | None) -> int:
    """Reading our tables, and counting rows: nothing else."""
    del base
    counting = action == sqlite3.SQLITE_FUNCTION and detail == "count"
    reading = action in READING and trigger is None and (subject is None or subject in SCHEMA)
    return sqlite3.SQLITE_OK if counting or reading else sqlite3.SQLITE_DENY


def _numbers(data: object) -> NDArray[np.int32]:
    if not isinstance(data, bytes) or len(data) % PLACES.itemsize:
        raise damaged("places that are no numbers")
    return np.frombuffer(data, dtype=PLACES).astype(np.int32, copy=False)


def _bounds(data: object) -> NDArray[np.int32]:
    bounds = _numbers(data)
    if len(bounds) % 2 != 1 or bounds[0] != 0 or (np.diff(bounds) < 1).any():
        raise damaged("bounds out of order")
    return bounds


def damaged(got: str) -> IntegrityError:
    return IntegrityError(
        "this is not an index of Kring",
        got=" ".join(got.split())[:300],
        allowed="the bytes that training has made",
        next="train the candidate again and release it",
    )
