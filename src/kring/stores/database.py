"""SQLite, opened the one way in which an acknowledged transaction survives a power cut."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Literal

from kring.errors import Busy, IntegrityError, NewerFormat, NoRoom, StorageError, Unavailable

Journal = Literal["WAL", "DELETE"]

BUSY: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
DAMAGED: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
MAGIC: Final = b"SQLite format 3\0"
SMALLEST: Final = 512
"""Bytes of the smallest page, and so of the smallest database."""

SIGNS: Final = ("no such table", "no such column", "Could not decode")
"""What damage sounds like when the file is a database still."""

FULL: Final = {sqlite3.SQLITE_FULL}
BROKEN: Final = {sqlite3.SQLITE_IOERR}
"""Primary result codes of an input or output error: what reached the disk is unknown then."""


def primary(error: sqlite3.Error) -> int:
    """The primary result code of SQLite behind `error`, -1 when there is none."""
    code: int = getattr(error, "sqlite_errorcode", -1)
    return code & 0xFF if code >= 0 else -1


def explain(error: sqlite3.Error, *, action: str, path: Path) -> Unavailable:
    """`error` in our words: `Busy`, `IntegrityError`, `NoRoom` or `StorageError`."""
    if primary(error) in BUSY:
        return Busy(
            f"could not {action}: {path.name} is locked by another process",
            got=str(error),
            next="try again in a moment",
            file=str(path),
        )
    if primary(error) in DAMAGED or any(sign in str(error) for sign in SIGNS):
        return IntegrityError(
            f"could not {action}: {path.name} is damaged or is not what it should be",
            got=str(error),
            next="put back the last backup of this file; do not edit it",
            file=str(path),
        )
    kind = NoRoom if primary(error) in FULL else StorageError
    return kind(
        f"could not {action}: the database {path.name} failed",
        got=str(error),
        next="check that this disk has space and may be written, then run the command again",
        file=str(path),
    )


@contextmanager
def storage(action: str, path: Path) -> Iterator[None]:
    """Turn what SQLite and the disk say inside the block into our errors."""
    try:
        yield
    except sqlite3.Error as error:
        raise explain(error, action=action, path=path) from error
    except OSError as error:
        raise StorageError(
            f"could not {action}", got=str(error), next="check the folder and its disk", file=str(path)
        ) from error


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """One write transaction: all that the block did, durably, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def open_database(
    path: Path, *, application: int, format: int, schema: tuple[str, ...], journal: Journal, timeout: float
) -> sqlite3.Connection:
    """The database at `path`, made with `schema` when it is new: file 0600, missing folders 0700.

    `application` marks whose file it is and `format` which schema it has. `NewerFormat` for a later
    schema, `IntegrityError` for what is no database or another one's, `Busy` after `timeout` seconds.
    """
    with storage("open", path):
        _make_private(path)
        _check_magic(path)
        connection = sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False)
        try:
            _settle(connection, journal=journal, timeout=timeout)
            _check(connection, path, application=application, format=format, schema=schema)
        except BaseException:
            connection.close()
            raise
    return connection


def _check_magic(path: Path) -> None:
    """SQLite takes a file of a few bytes for a new database; we do not. A larger one is left to SQLite, see
    `_make_private`."""
    if not 0 < path.stat().st_size < SMALLEST:
        return
    magic = path.read_bytes()[: len(MAGIC)]
    if magic != MAGIC and not path.with_name(f"{path.name}-journal").exists():
        raise IntegrityError(f"{path.name} is no database", got=repr(magic), next="check the path", file=str(path))


def _make_private(path: Path) -> None:
    """A database that is there is never opened by hand: to close it again would let go of the POSIX locks of every
    connection that this process has to it, and others would take its log away."""
    for folder in reversed([folder for folder in (path.parent, *path.parents) if not folder.exists()]):
        folder.mkdir(mode=0o700, exist_ok=True)
        _sync(folder.parent)
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _settle(connection: sqlite3.Connection, *, journal: Journal, timeout: float) -> None:
    """Journal and durability. Changing the journal does not wait for a lock by itself, so it is tried again."""
    tries = max(1, int(timeout / 0.02))
    for left in reversed(range(tries)):
        try:
            connection.execute(f"PRAGMA journal_mode={journal}")
            break
        except sqlite3.OperationalError as error:
            if primary(error) not in BUSY or not left:
                raise
            time.sleep(0.02)
    connection.execute("PRAGMA synchronous=" + ("FULL" if journal == "WAL" else "EXTRA"))
    connection.execute("PRAGMA secure_delete=ON")
    connection.execute("PRAGMA temp_store=MEMORY")
    connection.execute("PRAGMA trusted_schema=OFF")


def _check(
    connection: sqlite3.Connection, path: Path, *, application: int, format: int, schema: tuple[str, ...]
) -> None:
    if _state(connection) == (0, 0, 0):
        with transaction(connection):
            if _state(connection) == (0, 0, 0):
                for statement in schema:
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id={application}")
                connection.execute(f"PRAGMA user_version={format}")
    found, version, _ = _state(connection)
    if found != application:
        raise IntegrityError(
            f"{path.name} is a database, but not the one that belongs here",
            got=f"application {found}",
            allowed=f"application {application}",
            next="check the path",
            file=str(path),
        )
    if version != format:
        raise NewerFormat(
            f"{path.name} was written by a newer Kring",
            got=f"format {version}",
            allowed=f"format {format}",
            next="install the newer Kring",
            file=str(path),
        )


def _state(connection: sqlite3.Connection) -> tuple[int, int, int]:
    """Application, format and number of tables and the like; all zero in a new file."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (things,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return application, version, things
