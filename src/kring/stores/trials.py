"""Exposures and outcomes of trials in a SQLite file of the system.

The log holds every exposure for as long as logs are kept; here is the first of each unit, for as long as trials are
remembered, so that reading a trial takes as long as it has units.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from kring.errors import StorageError
from kring.ports.trials import Exposed, Report, says_more
from kring.stores.database import open_database, storage, transaction

FORMAT: Final = 1
APPLICATION: Final = 0x4B72_5431

SCHEMA: Final = (
    """CREATE TABLE exposure (
        trial TEXT NOT NULL, unit TEXT NOT NULL, arm TEXT NOT NULL, at INTEGER NOT NULL,
        PRIMARY KEY (trial, unit, arm)) WITHOUT ROWID""",
    """CREATE TABLE report (
        number INTEGER PRIMARY KEY, trial TEXT NOT NULL, unit TEXT NOT NULL, outcome TEXT NOT NULL,
        value REAL NOT NULL, at INTEGER NOT NULL, source TEXT NOT NULL)""",
    "CREATE INDEX report_of ON report (trial, outcome, unit, number)",
    """CREATE TABLE mark (
        writer INTEGER PRIMARY KEY, segment INTEGER NOT NULL, offset INTEGER NOT NULL) WITHOUT ROWID""",
)
EXPOSE: Final = """INSERT INTO exposure (trial, unit, arm, at) VALUES (?, ?, ?, ?)
    ON CONFLICT (trial, unit, arm) DO UPDATE SET at = min(at, excluded.at)"""
MARK: Final = """INSERT INTO mark (writer, segment, offset) VALUES (?, ?, ?)
    ON CONFLICT (writer) DO UPDATE SET segment = excluded.segment, offset = excluded.offset
    WHERE (excluded.segment, excluded.offset) > (segment, offset)"""
LAST: Final = """SELECT value, at FROM report WHERE trial = ? AND outcome = ? AND unit = ?
    ORDER BY number DESC LIMIT 1"""
REPORT: Final = "INSERT INTO report (trial, unit, outcome, value, at, source) VALUES (?, ?, ?, ?, ?, ?)"


def open_trials(path: Path, *, timeout: float = 5.0) -> SqliteTrials:
    """The trials in the file at `path`, which is made when it is missing.

    `NewerFormat` for the file of a newer Kring, `IntegrityError` for one that is damaged or something else, `Busy`
    after `timeout` seconds, `StorageError` when the disk refuses.
    """
    connection = open_database(
        path, application=APPLICATION, format=FORMAT, schema=SCHEMA, journal="WAL", timeout=timeout
    )
    return SqliteTrials(connection, path=path)


class SqliteTrials:
    """Fulfils `kring.ports.trials.Trials`."""

    def __init__(self, connection: sqlite3.Connection, *, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._lock = threading.Lock()
        self._closed = False

    def expose(self, shown: Mapping[str, Sequence[Exposed]], *, cursors: Mapping[int, tuple[int, int]]) -> None:
        with self._writing("keep exposures"):
            for trial, exposed in shown.items():
                self._connection.executemany(EXPOSE, [(trial, *one) for one in exposed])
            self._connection.executemany(MARK, [(writer, *cursor) for writer, cursor in cursors.items()])

    def cursors(self) -> dict[int, tuple[int, int]]:
        with self._using("read how far the log was read"):
            rows = self._connection.execute("SELECT writer, segment, offset FROM mark")
            return {writer: (segment, offset) for writer, segment, offset in rows}

    def report(self, trial: str, reports: Sequence[Report], *, now: int, source: str) -> list[Report | None]:
        with self._writing("keep outcomes"):
            return [self._report(trial, one, now, source) for one in reports]

    def exposures(self, trial: str) -> Iterator[Exposed]:
        query = "SELECT unit, arm, at FROM exposure WHERE trial = ? ORDER BY at, unit"
        yield from (Exposed(*row) for row in self._rows(query, trial))

    def reports(self, trial: str) -> Iterator[Report]:
        query = "SELECT unit, outcome, value, at FROM report WHERE trial = ? ORDER BY number"
        yield from (Report(*row) for row in self._rows(query, trial))

    def forget(self, units: Sequence[str]) -> int:
        with self._writing("forget units"):
            counts = [
                self._connection.execute(f"DELETE FROM {table} WHERE unit = ?", (unit,)).rowcount
                for table in ("exposure", "report")
                for unit in units
            ]
            return sum(counts)

    def close(self) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                self._connection.close()

    def _report(self, trial: str, one: Report, now: int, source: str) -> Report | None:
        row = self._connection.execute(LAST, (trial, one.outcome, one.unit)).fetchone()
        known = Report(one.unit, one.outcome, *row) if row else None
        if says_more(one, known):
            self._connection.execute(REPORT, (trial, one.unit, one.outcome, one.value, one.at or now, source))
        return known

    def _rows(self, query: str, trial: str) -> list[tuple[Any, ...]]:
        with self._using("read a trial"):
            return self._connection.execute(query, (trial,)).fetchall()

    @contextmanager
    def _using(self, action: str) -> Iterator[None]:
        with self._lock, storage(action, self._path):
            if self._closed:
                raise StorageError(f"could not {action}: {self._path.name} was closed", file=str(self._path))
            yield

    @contextmanager
    def _writing(self, action: str) -> Iterator[None]:
        with self._using(action), transaction(self._connection):
            yield
