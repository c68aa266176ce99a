"""The keys behind the tokens, in a SQLite file of their own: 0600, in a folder of 0700.

A subject's row is found by HMAC-SHA256(master key, value), so that the file names nobody. Its token
is HMAC-SHA256(subject key, "kring token"): with the row gone, nobody can make it again.
"""

from __future__ import annotations

import hmac
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from kring.errors import StorageError
from kring.metrics.ids import crockford
from kring.ports.random import Random
from kring.stores.database import open_database, storage, transaction

FORMAT: Final = 1
APPLICATION: Final = 0x4B72_5631
KEY_BYTES: Final = 16
TOGETHER: Final = 500
TOKEN: Final = "t_"

SCHEMA: Final = (
    "CREATE TABLE master (one INTEGER PRIMARY KEY CHECK (one = 1), key BLOB NOT NULL, unclean INTEGER NOT NULL)",
    "CREATE TABLE subject (lookup BLOB PRIMARY KEY, key BLOB NOT NULL) WITHOUT ROWID",
)


def open_vault(path: Path, *, random: Random, timeout: float = 5.0) -> SqliteVault:
    """The vault at `path`, made with a master key when it is new.

    `NewerFormat` for the file of a newer Kring, `IntegrityError` for one that is damaged or no
    vault, `Busy` after `timeout` seconds, `StorageError` when the disk refuses.
    """
    connection = open_database(
        path, application=APPLICATION, format=FORMAT, schema=SCHEMA, journal="DELETE", timeout=timeout
    )
    try:
        return SqliteVault(connection, path=path, random=random)
    except BaseException:
        connection.close()
        raise


class SqliteVault:
    """Fulfils `kring.ports.vault.Vault`. May be used by several threads."""

    def __init__(self, connection: sqlite3.Connection, *, path: Path, random: Random) -> None:
        self._connection = connection
        self._path = path
        self._random = random
        self._lock = threading.Lock()
        self._closed = False
        with self._using("open the vault"):
            self._master = self._take_master()
            self._clean()

    def tokens(self, values: Sequence[str]) -> list[str]:
        places = {value: self._lookup(value) for value in dict.fromkeys(values)}
        with self._using("make tokens"):
            keys = self._keys(list(places.values()))
            missing = sorted(place for place in places.values() if place not in keys)
            if missing:
                keys.update(self._make(missing))
        made = {value: _token(keys[place]) for value, place in places.items()}
        return [made[value] for value in values]

    def keys(self, values: Sequence[str], *, make: bool = True) -> list[bytes | None]:
        places = {value: self._lookup(value) for value in dict.fromkeys(values)}
        with self._using("read keys"):
            keys = self._keys(list(places.values()))
            missing = sorted(place for place in places.values() if place not in keys)
            if missing and make:
                keys.update(self._make(missing))
        return [keys.get(places[value]) for value in values]

    def known(self, value: str) -> str:
        with self._using("look up a subject"):
            key = self._keys([self._lookup(value)]).get(self._lookup(value))
        return _token(key) if key else ""

    def forget(self, value: str) -> bool:
        """The file is written anew, so that no byte of the key is left in it. When that fails
        (`StorageError`), the key is deleted all the same, and the next call or opening cleans up."""
        with self._using("forget a subject"):
            with transaction(self._connection):
                places = [(place,) for place in self._places_of(value)]
                done = self._connection.executemany("DELETE FROM subject WHERE lookup = ?", places).rowcount
                if done:
                    self._connection.execute("UPDATE master SET unclean = 1")
            self._clean()
        return done > 0

    def _places_of(self, value: str) -> set[bytes]:
        """Where the keys of a subject lie, given its value or its token."""
        places = {self._lookup(value)}
        places |= {self._lookup(_token(key)) for key in self._keys(list(places)).values()}
        if value.startswith(TOKEN):
            rows = self._connection.execute("SELECT lookup, key FROM subject")
            places |= {place for place, key in rows if _token(key) == value}
        return places

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._connection.close()

    def _clean(self) -> None:
        (unclean,) = self._connection.execute("SELECT unclean FROM master").fetchone()
        if unclean:
            self._connection.execute("VACUUM")
            self._connection.execute("UPDATE master SET unclean = 0")

    def _take_master(self) -> bytes:
        query = "SELECT key FROM master"
        found = self._connection.execute(query).fetchone()
        if found is None:
            fresh = self._random.bytes(32)
            self._connection.execute("INSERT OR IGNORE INTO master (one, key, unclean) VALUES (1, ?, 0)", (fresh,))
            found = self._connection.execute(query).fetchone()
        return bytes(found[0])

    def _lookup(self, value: str) -> bytes:
        return hmac.digest(self._master, value.encode("utf-8", "surrogatepass"), "sha256")

    def _keys(self, places: Sequence[bytes]) -> dict[bytes, bytes]:
        """Keys of the subjects that are known."""
        found: dict[bytes, bytes] = {}
        for begin in range(0, len(places), TOGETHER):
            some = places[begin : begin + TOGETHER]
            marks = ",".join("?" * len(some))
            query = f"SELECT lookup, key FROM subject WHERE lookup IN ({marks})"
            found.update(self._connection.execute(query, some).fetchall())
        return found

    def _make(self, places: Sequence[bytes]) -> dict[bytes, bytes]:
        """New keys, durably; where another process was faster, its keys."""
        chance = self._random.bytes(KEY_BYTES * len(places))
        rows = [(place, chance[at * KEY_BYTES : (at + 1) * KEY_BYTES]) for at, place in enumerate(places)]
        with transaction(self._connection):
            self._connection.executemany("INSERT OR IGNORE INTO subject (lookup, key) VALUES (?, ?)", rows)
            return self._keys(places)

    @contextmanager
    def _using(self, action: str) -> Iterator[None]:
        with self._lock, storage(action, self._path):
            if self._closed:
                raise StorageError(f"could not {action}: the vault was closed", file=str(self._path))
            yield


def _token(key: bytes) -> str:
    return TOKEN + crockford(int.from_bytes(hmac.digest(key, b"kring token", "sha256")[:16], "big"))
