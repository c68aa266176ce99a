"""Accepted states of the data: taken once, pinned for ever, checked on the bytes when loaded.

A snapshot is one version of the Delta table `<folder>/<system>`. Its digest is SHA-256 over the
sorted (path, file SHA-256) pairs and the schema, so equal data has an equal digest.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Final

import msgspec
import polars as pl

from kring.data.delta import (
    Columns,
    columns_in,
    columns_of,
    make_version,
    open_table,
    parts_of,
    settle,
    storable,
    sweep,
)
from kring.errors import DataError, IntegrityError, NotFound, Refused, StorageError
from kring.ports.files import Files
from kring.record.finding import CheckReport
from kring.record.snapshot import ColumnProfile, Snapshot

ROW_GROUP: Final = 100_000
LEVEL: Final = 3


def take(
    frame: pl.DataFrame,
    *,
    report: CheckReport,
    profile: tuple[ColumnProfile, ...],
    folder: Path,
    system: str,
    source: str,
    commit: str,
    at: int,
    as_of: int,
    time: str,
    id: str,
    tokenised: tuple[str, ...],
    files: Files,
) -> Snapshot:
    """Store `frame` as the newest version of the table `system` in `folder`, whole or not at all.

    When the newest version holds the same data, it is pinned again and nothing is written. `time`
    names the column whose span is recorded (empty: none); `at` and `as_of` are microseconds UTC.
    `Refused` for a report that says `fail`; `DataError` for columns that can't be stored; `Busy`
    while another process takes a snapshot of this system; `StorageError` when the disk refuses.
    """
    if report.result == "fail":
        raise Refused(
            "data that broke its contract can't become a snapshot",
            got=f"{sum(finding.result == 'fail' for finding in report.findings)} broken rules in {report.source}",
            allowed=f"what {report.contract} promises",
            next="mend the feed, or change the contract with those who deliver it",
        )
    stored = storable(frame)
    columns = columns_of(stored)
    first, last = _span(stored, time)
    version, digest = _put(stored, columns, path=table_path(folder, system), id=id, at=at, files=files)
    return Snapshot(
        id=id,
        system=system,
        table=system,
        delta_version=version,
        digest=digest,
        rows=stored.height,
        columns=profile,
        report=report,
        source=source,
        commit=commit,
        first=first,
        last=last,
        at=at,
        as_of=as_of,
        tokenised=tokenised,
    )


def load(snapshot: Snapshot, *, folder: Path) -> pl.DataFrame:
    """The rows of `snapshot`, in the order in which they were stored, read from the very bytes whose
    digest was checked. `IntegrityError` when anything differs, `NotFound` without the table."""
    frames = [pl.read_parquet(io.BytesIO(data)) for data in _pinned(snapshot, folder)]
    return pl.concat(frames)


def restore(snapshot: Snapshot, *, folder: Path, commit: str, at: int, id: str, files: Files) -> Snapshot:
    """Make the data of `snapshot` the newest version of its table again, as a snapshot of its own with the same
    digest. The bytes are verified first; they are not written again.

    `IntegrityError` when they are not what was taken or gone, `NotFound` without the table, `Busy` while another
    process takes a snapshot of this system.
    """
    path = table_path(folder, snapshot.table)
    lock = files.append(path / ".lock")
    try:
        (data,) = _pinned(snapshot, folder)
        pinned, newest = open_table(path, version=snapshot.delta_version), open_table(path)
        if pinned is None or newest is None:
            raise NotFound(f"there is no table of snapshots of {snapshot.system}", file=str(path))
        columns, (part,) = columns_in(pinned), parts_of(pinned, path)
        version = newest.version()
        if parts_of(newest, path) != [part] or columns_in(newest) != columns:
            version = make_version(
                path, part=part, size=len(data), rows=snapshot.rows, columns=columns, id=id, at=at, files=files
            )
    finally:
        lock.close()
    return msgspec.structs.replace(
        snapshot, id=id, delta_version=version, commit=commit, at=at, restored=snapshot.restored or snapshot.id
    )


def verify(snapshot: Snapshot, *, folder: Path) -> None:
    """`IntegrityError` when the pinned version is not what it was, `NotFound` without the table."""
    _pinned(snapshot, folder)


def encoded(frame: pl.DataFrame) -> bytes:
    """The file that holds the rows: equal rows, equal bytes."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd", compression_level=LEVEL, statistics=True, row_group_size=ROW_GROUP)
    return buffer.getvalue()


def _put(frame: pl.DataFrame, columns: Columns, *, path: Path, id: str, at: int, files: Files) -> tuple[int, str]:
    """Version and digest. The lock keeps a second process from sweeping away what this one writes."""
    data = encoded(frame)
    sha = hashlib.sha256(data).hexdigest()
    part = f"part-{sha}.parquet"
    lock = files.append(path / ".lock")
    try:
        sweep(path, files=files)
        table = open_table(path)
        if table is not None and parts_of(table, path) == [part] and columns_in(table) == columns:
            version = table.version()
            settle(path, version=version, part=part, files=files)
        else:
            files.write(path / part, data)
            version = make_version(
                path, part=part, size=len(data), rows=frame.height, columns=columns, id=id, at=at, files=files
            )
    finally:
        lock.close()
    return version, digest_of([(part, sha)], columns)


def _pinned(snapshot: Snapshot, folder: Path) -> list[bytes]:
    """The bytes of the pinned version's files, whose digest is the snapshot's."""
    path = table_path(folder, snapshot.table)
    table = open_table(path, version=snapshot.delta_version)
    if table is None:
        raise NotFound(
            f"there is no table of snapshots of {snapshot.system}",
            file=str(path),
            next="put back the folder, or take a new snapshot with kring check",
        )
    parts = [(name, _bytes(path / name, snapshot)) for name in parts_of(table, path)]
    sums = [(name, hashlib.sha256(data).hexdigest()) for name, data in parts]
    if digest_of(sums, columns_in(table)) != snapshot.digest:
        changed = [name for name, sha in sums if sha not in name]
        raise IntegrityError(
            f"snapshot {snapshot.id} is not what was taken",
            got=f"other bytes in {changed[0]}" if changed else "other files or columns in its version",
            allowed=f"digest {snapshot.digest}",
            next="put back a copy of this table, or take a new snapshot with kring check",
            file=str(path),
        )
    return [data for _, data in parts]


def _bytes(path: Path, snapshot: Snapshot) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise IntegrityError(
            f"a file of snapshot {snapshot.id} is missing",
            next="put back a copy of this file, or take a new snapshot with kring check",
            file=str(path),
        ) from error
    except OSError as error:
        raise StorageError(
            f"could not read {path.name}", got=str(error), next="check the disk", file=str(path)
        ) from error


def digest_of(parts: list[tuple[str, str]], columns: Columns) -> str:
    """SHA-256 of the canonical JSON of the sorted (path, file SHA-256) pairs and the (name, type) pairs."""
    return hashlib.sha256(msgspec.json.encode((sorted(parts), columns))).hexdigest()


def _span(frame: pl.DataFrame, time: str) -> tuple[int, int]:
    """First and last moment in the column `time`, in microseconds UTC; zeros without one."""
    if not time or time not in frame.columns:
        return 0, 0
    if not isinstance(frame.schema[time], pl.Datetime | pl.Date):
        raise DataError(
            "the time column holds no timestamps",
            got=str(frame.schema[time]),
            allowed="a timestamp or a date",
            key=time,
            next="declare the column as a timestamp in the contract",
        )
    first, last = frame.select(
        low=pl.col(time).min().dt.timestamp("us"), high=pl.col(time).max().dt.timestamp("us")
    ).row(0)
    return first or 0, last or 0


def table_path(folder: Path, name: str) -> Path:
    """The folder of the table of that name."""
    if not name or name.startswith(".") or Path(name).name != name:
        raise DataError(
            "this name can't be the name of a table",
            got=repr(name[:60]),
            allowed="letters, digits, - and _",
            key="system.name",
        )
    return folder / name
