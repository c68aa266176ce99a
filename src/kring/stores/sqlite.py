"""The ledger in SQLite: one file, one or more chains, any number of processes at once.

Nothing is ever changed or deleted in the table of events; triggers refuse it. Whoever goes round
them with another tool is found by `verify`: each event holds the digest of the one before, and the
head of the chain is kept apart, so that a missing end is missed.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from kring.errors import Busy, Conflict, IntegrityError, NotFound, StorageError
from kring.record.event import Entry, Event, Head, Lease
from kring.stores.chain import START, link
from kring.stores.database import BROKEN, open_database, primary, storage, transaction

FORMAT: Final = 1
APPLICATION: Final = 0x4B72_4C31
PAGE: Final = 1000
COLUMNS: Final = "seq, kind, id, body, actor, at, prev, digest"

SCHEMA: Final = (
    """CREATE TABLE event (
        system TEXT NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL, body BLOB NOT NULL,
        actor TEXT NOT NULL, at INTEGER NOT NULL, prev BLOB NOT NULL, digest BLOB NOT NULL,
        PRIMARY KEY (system, seq))""",
    "CREATE INDEX event_by_id ON event (system, kind, id, seq)",
    "CREATE INDEX event_by_kind ON event (system, kind, seq)",
    "CREATE TRIGGER event_stays BEFORE UPDATE ON event BEGIN SELECT RAISE(ABORT, 'events are never changed'); END",
    "CREATE TRIGGER event_lasts BEFORE DELETE ON event BEGIN SELECT RAISE(ABORT, 'events are never deleted'); END",
    "CREATE TABLE head (system TEXT PRIMARY KEY, seq INTEGER NOT NULL, digest BLOB NOT NULL)",
    """CREATE TABLE lease (
        system TEXT NOT NULL, name TEXT NOT NULL, holder TEXT NOT NULL, token INTEGER NOT NULL, until INTEGER NOT NULL,
        PRIMARY KEY (system, name))""",
)


def open_ledger(path: Path, *, system: str, timeout: float = 5.0) -> SqliteLedger:
    """The chain of `system` in the file at `path`, which is made when it is missing.

    `timeout` is how many seconds a call waits for another process before it is `Busy`.
    `NewerFormat` for the file of a newer Kring, `IntegrityError` for one that is damaged or no
    ledger, `StorageError` when the disk refuses.
    """
    connection = open_database(
        path, application=APPLICATION, format=FORMAT, schema=SCHEMA, journal="WAL", timeout=timeout
    )
    return SqliteLedger(connection, path=path, system=system)


class SqliteLedger:
    """Fulfils `kring.ports.ledger.Ledger`. May be used by several threads."""

    def __init__(self, connection: sqlite3.Connection, *, path: Path, system: str) -> None:
        self._connection = connection
        self._path = path
        self._system = system
        self._lock = threading.Lock()
        self._closed = False
        self._broken = ""

    def append(self, entries: Sequence[Entry], *, expect_seq: int | None = None, token: int | None = None) -> Head:
        with self._writing("append to the ledger"):
            head = self._head(self._connection)
            if expect_seq is not None and expect_seq != head.seq:
                raise Conflict(
                    "the ledger has moved on since this was decided",
                    got=f"expected the chain to end at {expect_seq}",
                    allowed=f"it ends at {head.seq}",
                    next="read the new events and decide again",
                )
            self._check_token(token)
            return self._extend(head, entries)

    def read(self, *, after: int = 0, kind: str = "") -> Iterator[Event]:
        condition = "AND kind = ?" if kind else ""
        wanted = (kind,) if kind else ()
        query = f"SELECT {COLUMNS} FROM event WHERE system = ? {condition} AND seq > ? ORDER BY seq LIMIT {PAGE}"
        while True:
            with self._reading("read the ledger"):
                rows = self._connection.execute(query, (self._system, *wanted, after)).fetchall()
            for row in rows:
                yield _event(row)
            if len(rows) < PAGE:
                return
            after = rows[-1][0]

    def get(self, kind: str, id: str) -> Event:
        query = f"SELECT {COLUMNS} FROM event WHERE system = ? AND kind = ? AND id = ? ORDER BY seq DESC LIMIT 1"
        with self._reading("read the ledger"):
            row = self._connection.execute(query, (self._system, kind, id)).fetchone()
        if row is None:
            raise NotFound(
                f"the ledger of {self._system} has no {kind} with this id",
                got=repr(id[:60]),
                next="check the id: kring status and kring snapshot list show what there is",
            )
        return _event(row)

    def head(self) -> Head:
        with self._reading("read the ledger"):
            return self._head(self._connection)

    def lease(self, name: str, *, holder: str, ttl: float, now: int) -> Lease:
        with self._writing("take the lease"):
            found = self._connection.execute(
                "SELECT holder, token, until FROM lease WHERE system = ? AND name = ?", (self._system, name)
            ).fetchone()
            if found and found[0] != holder and found[2] > now:
                raise Busy(
                    f"{found[0]} holds the right {name!r}",
                    got=f"{(found[2] - now) / 1e6:.1f} s are left",
                    next="wait until it is given back or runs out",
                )
            same = found is not None and found[0] == holder
            token = found[1] if same else self._last_token() + 1
            until = now + round(ttl * 1e6)
            self._connection.execute(
                "INSERT OR REPLACE INTO lease (system, name, holder, token, until) VALUES (?, ?, ?, ?, ?)",
                (self._system, name, holder, token, until),
            )
        return Lease(name=name, token=token, until=until)

    def leased(self, name: str) -> Lease | None:
        with self._reading("read the lease"):
            found = self._connection.execute(
                "SELECT token, until FROM lease WHERE system = ? AND name = ?", (self._system, name)
            ).fetchone()
        return Lease(name=name, token=found[0], until=found[1]) if found else None

    def verify(self) -> Head:
        """Reads one consistent state, event by event; other processes may append meanwhile."""
        with self._reading("verify the ledger"):
            other = sqlite3.connect(self._path, isolation_level=None)
        with storage("verify the ledger", self._path), closing(other):
            other.execute("BEGIN")
            head = self._head(other)
            prev, seq = START, 0
            query = f"SELECT {COLUMNS} FROM event WHERE system = ? ORDER BY seq"
            for event in map(_event, other.execute(query, (self._system,))):
                seq += 1
                _check_link(event, seq=seq, prev=prev)
                prev = event.digest
            if (seq, prev) != (head.seq, head.digest):
                raise _broken_at(min(seq, head.seq) + 1, f"{seq} events", f"{head.seq} events, as the head says")
        return head

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._connection.close()

    def _extend(self, head: Head, entries: Sequence[Entry]) -> Head:
        rows = []
        for entry in entries:
            seq = head.seq + 1
            digest = link(head.digest, seq, entry)
            rows.append(
                (self._system, seq, entry.kind, entry.id, entry.body, entry.actor, entry.at, head.digest, digest)
            )
            head = Head(seq=seq, digest=digest)
        self._connection.executemany(f"INSERT INTO event (system, {COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        self._connection.execute(
            "INSERT OR REPLACE INTO head (system, seq, digest) VALUES (?, ?, ?)", (self._system, head.seq, head.digest)
        )
        return head

    def _check_token(self, token: int | None) -> None:
        if token is None:
            return
        query = "SELECT 1 FROM lease WHERE system = ? AND token = ?"
        if self._connection.execute(query, (self._system, token)).fetchone() is None:
            raise Conflict(
                "a newer holder has taken over this right",
                got=f"token {token}",
                allowed=f"a token that is still current; the newest is {self._last_token()}",
                next="stop; whoever holds the right now goes on",
            )

    def _last_token(self) -> int:
        query = "SELECT coalesce(max(token), 0) FROM lease WHERE system = ?"
        (token,) = self._connection.execute(query, (self._system,)).fetchone()
        return int(token)

    def _head(self, connection: sqlite3.Connection) -> Head:
        row = connection.execute("SELECT seq, digest FROM head WHERE system = ?", (self._system,)).fetchone()
        return Head(seq=row[0], digest=row[1]) if row else Head(seq=0, digest=START)

    @contextmanager
    def _reading(self, action: str) -> Iterator[None]:
        with self._lock, storage(action, self._path):
            if self._closed:
                raise StorageError(f"could not {action}: it was closed", file=str(self._path))
            yield

    @contextmanager
    def _writing(self, action: str) -> Iterator[None]:
        """One transaction. After an input or output error nothing more is written: what the disk
        holds is known again only when the file is opened anew."""
        with self._reading(action):
            if self._broken:
                raise StorageError(
                    f"could not {action}: this ledger takes no more events after a failed write",
                    got=self._broken,
                    next="check the disk, then start again: what was acknowledged is safe",
                    file=str(self._path),
                )
            try:
                with transaction(self._connection):
                    yield
            except sqlite3.Error as error:
                if primary(error) in BROKEN:
                    self._broken = str(error)
                raise


def _event(row: tuple[int, str, str, bytes, str, int, bytes, bytes]) -> Event:
    seq, kind, id, body, actor, at, prev, digest = row
    return Event(seq=seq, kind=kind, id=id, body=body, actor=actor, at=at, prev=prev, digest=digest)


def _check_link(event: Event, *, seq: int, prev: bytes) -> None:
    if event.seq != seq:
        raise _broken_at(seq, f"event {event.seq} in its place", f"event {seq}")
    if event.prev != prev:
        raise _broken_at(seq, "another predecessor", f"digest {prev.hex()[:16]} of event {seq - 1}")
    entry = Entry(kind=event.kind, id=event.id, body=event.body, actor=event.actor, at=event.at)
    if not isinstance(event.body, bytes) or event.digest != link(prev, seq, entry):
        raise _broken_at(seq, f"{event.kind} {event.id}, not what was appended", "the event as it was appended")


def _broken_at(seq: int, got: str, allowed: str) -> IntegrityError:
    return IntegrityError(
        f"the ledger's chain is broken at event {seq}",
        got=got,
        allowed=allowed,
        next="somebody changed this file; compare it with the last backup",
    )
