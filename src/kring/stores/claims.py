"""Idempotency keys of one serving machine in a SQLite file that all its processes share.

The file is an index of the decision log, and of what is not in the log yet. A transaction is not made durable by
itself (`synchronous=NORMAL`): after a power cut the newest ones may be gone, but never one without all that came after
it. So the cursor that is written with every settled claim, and stands with each claim as it was when it was won, says
from where on the log has to be read again, and the log, which is durable before anybody is answered, gives back
whatever was lost.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from kring.errors import Busy, StorageError
from kring.metrics.claims import BYTES, Tag, read_tag
from kring.metrics.ids import decision_block
from kring.ports.claims import KEPT_US, Claim, Claimed, Differs, Owner, Pending, Taken, Won
from kring.ports.decision_log import DecisionLog, Logged
from kring.ports.files import Files
from kring.record.decision import Decisions
from kring.stores.database import open_database, storage, transaction
from kring.stores.file import open_log

FORMAT: Final = 1
APPLICATION: Final = 0x4B72_4331
PRUNED_AT_ONCE: Final = 2000

SCHEMA: Final = (
    """CREATE TABLE claim (
        name TEXT PRIMARY KEY, digest TEXT NOT NULL, system TEXT NOT NULL, writer INTEGER NOT NULL,
        at INTEGER NOT NULL, segment INTEGER NOT NULL, offset INTEGER NOT NULL, ids BLOB) WITHOUT ROWID""",
    "CREATE INDEX claim_at ON claim (at)",
    "CREATE INDEX claim_pending ON claim (system, writer) WHERE ids IS NULL",
    """CREATE TABLE mark (
        system TEXT NOT NULL, writer INTEGER NOT NULL, segment INTEGER NOT NULL, offset INTEGER NOT NULL,
        PRIMARY KEY (system, writer)) WITHOUT ROWID""",
)
COLUMNS: Final = "name, digest, system, writer, at, segment, offset, ids"
INSERT: Final = f"""INSERT INTO claim ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, NULL)
    ON CONFLICT (name) DO UPDATE SET digest = excluded.digest, system = excluded.system, writer = excluded.writer,
    at = excluded.at, segment = excluded.segment, offset = excluded.offset, ids = NULL
    WHERE ids IS NOT NULL AND at < ? RETURNING 1"""
RECOVER: Final = f"""INSERT INTO claim ({COLUMNS}) VALUES (?, ?, ?, ?, ?, 0, 0, ?)
    ON CONFLICT (name) DO UPDATE SET digest = excluded.digest, at = excluded.at, ids = excluded.ids
    WHERE ids IS NULL AND system = excluded.system AND writer = excluded.writer"""


def open_claims(path: Path, *, timeout: float = 5.0) -> SqliteClaims:
    """The claims in the file at `path`, which is made when it is missing.

    `NewerFormat` for the file of a newer Kring, `IntegrityError` for one that is damaged or something else, `Busy`
    after `timeout` seconds, `StorageError` when the disk refuses.
    """
    connection = open_database(
        path, application=APPLICATION, format=FORMAT, schema=SCHEMA, journal="WAL", timeout=timeout
    )
    with storage("open", path):
        connection.execute("PRAGMA synchronous=NORMAL")
    return SqliteClaims(connection, path=path)


def adopt(claims: SqliteClaims, *, folder: Path, files: Files, system: str, now: int) -> int:
    """Take over every writer of the log in `folder` that left claims of `system` behind and that no process has open
    any more; the number of claims that were settled or released."""
    done = 0
    for writer in claims.owners(system):
        try:
            log = open_log(folder, files=files, writer=writer, system=system)
        except Busy:
            continue
        try:
            done += sum(claims.take_over(log, owner=Owner(system, writer), now=now))
        finally:
            log.close()
    return done


class SqliteClaims:
    """Fulfils `kring.ports.claims.Claims`."""

    def __init__(self, connection: sqlite3.Connection, *, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._lock = threading.Lock()
        self._closed = False

    def claim_many(self, asked: Sequence[Claim], *, owner: Owner, now: int) -> list[Claimed]:
        with self._writing("claim requests"):
            self._prune(now)
            mark = self._marked(owner)
            return [self._claim(one, owner, now, mark) for one in asked]

    def settle_many(
        self, settled: Sequence[tuple[str, Sequence[bytes]]], *, owner: Owner, cursor: tuple[int, int]
    ) -> None:
        rows = [(b"".join(ids), name) for name, ids in settled]
        with self._writing("settle claims"):
            self._connection.executemany("UPDATE claim SET ids = ? WHERE name = ? AND ids IS NULL", rows)
            self._mark(owner, cursor)

    def release(self, names: Sequence[str]) -> None:
        with self._writing("release claims"):
            rows = [(name,) for name in names]
            self._connection.executemany("DELETE FROM claim WHERE name = ? AND ids IS NULL", rows)

    def look(self, names: Sequence[str]) -> list[Taken | Pending | None]:
        with self._using("look up claims"):
            return [_state(row) if (row := self._row(name)) else None for name in names]

    def take_over(self, log: DecisionLog, *, owner: Owner, now: int) -> tuple[int, int]:
        """Durable before this returns, and with it all that any process wrote before."""
        with self._using("take over claims"):
            query = "SELECT segment, offset FROM claim WHERE system = ? AND writer = ? AND ids IS NULL"
            left = self._connection.execute(query, (owner.system, owner.writer)).fetchall()
            begin = min([self._marked(owner), *left])
        oldest, end = now - KEPT_US, log.cursor()
        found = recorded(log.read(after=max(begin, log.cursor(oldest))), oldest)
        rows = [(tag.name, tag.digest, owner.system, owner.writer, at, ids) for tag, at, ids in found]
        with self._writing("take over claims", durably=True):
            settled = sum(self._connection.execute(RECOVER, row).rowcount for row in rows)
            released = self._connection.execute(
                "DELETE FROM claim WHERE system = ? AND writer = ? AND ids IS NULL", (owner.system, owner.writer)
            )
            self._mark(owner, end)
        return settled, released.rowcount

    def owners(self, system: str) -> list[int]:
        query = "SELECT DISTINCT writer FROM claim WHERE system = ? AND ids IS NULL ORDER BY writer"
        with self._using("look up claims"):
            return [writer for (writer,) in self._connection.execute(query, (system,))]

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._connection.close()

    def _claim(self, asked: Claim, owner: Owner, now: int, mark: tuple[int, int]) -> Claimed:
        values = (asked.name, asked.digest, owner.system, owner.writer, now, *mark, now - KEPT_US)
        if self._connection.execute(INSERT, values).fetchall():
            return Won()
        row = self._row(asked.name)
        assert row is not None
        return Differs() if row[0] != asked.digest else _state(row)

    def _row(self, name: str) -> tuple[str, str, int, bytes | None] | None:
        query = "SELECT digest, system, writer, ids FROM claim WHERE name = ?"
        row: tuple[str, str, int, bytes | None] | None = self._connection.execute(query, (name,)).fetchone()
        return row

    def _marked(self, owner: Owner) -> tuple[int, int]:
        query = "SELECT segment, offset FROM mark WHERE system = ? AND writer = ?"
        row: tuple[int, int] | None = self._connection.execute(query, (owner.system, owner.writer)).fetchone()
        return row or (0, 0)

    def _mark(self, owner: Owner, cursor: tuple[int, int]) -> None:
        """Never back: of two settlements at once the later one may come first."""
        self._connection.execute(
            """INSERT INTO mark (system, writer, segment, offset) VALUES (?, ?, ?, ?)
            ON CONFLICT (system, writer) DO UPDATE SET segment = excluded.segment, offset = excluded.offset
            WHERE (excluded.segment, excluded.offset) > (segment, offset)""",
            (owner.system, owner.writer, *cursor),
        )

    def _prune(self, now: int) -> None:
        """Some of what nobody need know any more; the rest goes with the next calls."""
        self._connection.execute(
            f"""DELETE FROM claim WHERE name IN (
                SELECT name FROM claim WHERE at < ? AND ids IS NOT NULL LIMIT {PRUNED_AT_ONCE})""",
            (now - KEPT_US,),
        )

    @contextmanager
    def _using(self, action: str) -> Iterator[None]:
        with self._lock, storage(action, self._path):
            if self._closed:
                raise StorageError(f"could not {action}: it was closed", file=str(self._path))
            yield

    @contextmanager
    def _writing(self, action: str, *, durably: bool = False) -> Iterator[None]:
        with self._using(action):
            if durably:
                self._connection.execute("PRAGMA synchronous=FULL")
            try:
                with transaction(self._connection):
                    yield
            finally:
                if durably:
                    self._connection.execute("PRAGMA synchronous=NORMAL")


def recorded(frames: Iterable[Logged], oldest: int) -> list[tuple[Tag, int, bytes]]:
    """The requests whose rows all stand in `frames`: a tag, the moment, and the ids in the order of the rows. A group
    that was torn when the process died may hold some rows of a request and not the others: it was never answered."""
    rows: dict[tuple[str, str, int], dict[int, bytes]] = defaultdict(dict)
    moments: dict[tuple[str, str, int], int] = {}
    for logged in frames:
        record = logged.record
        if isinstance(record, Decisions) and record.keys and record.at >= oldest:
            for text, id in zip(record.keys, decision_block(logged.place, record.n), strict=True):
                if tag := read_tag(text):
                    request = (tag.name, tag.digest, tag.rows)
                    rows[request][tag.row] = id.tobytes()
                    moments[request] = record.at
    return [
        (Tag(name, digest, 0, n), moments[name, digest, n], b"".join(ids[row] for row in range(n)))
        for (name, digest, n), ids in rows.items()
        if sorted(ids) == list(range(n))
    ]


def _state(row: tuple[str, str, int, bytes | None]) -> Taken | Pending:
    _, system, writer, ids = row
    return Pending(Owner(system, writer)) if ids is None else Taken(_split(ids))


def _split(ids: bytes) -> tuple[bytes, ...]:
    return tuple(ids[at : at + BYTES] for at in range(0, len(ids), BYTES))
