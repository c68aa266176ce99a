"""Rows of one person taken out of the snapshots that hold them, and out of the files behind them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path

import msgspec
import polars as pl

from kring.data.delta import PART, columns_in, make_version, open_table, parts_of
from kring.data.snapshot import digest_of, encoded, load, table_path
from kring.ports.files import Files
from kring.record.snapshot import Snapshot


def erased(snapshot: Snapshot, person: pl.Expr, *, folder: Path, at: int, files: Files) -> Snapshot:
    """`snapshot` without the rows for which `person` is true, as a new version of its table; the same one when it has
    none. `IntegrityError` when its bytes are not what was taken, `Busy` while another process takes a snapshot."""
    path = table_path(folder, snapshot.table)
    lock = files.append(path / ".lock")
    try:
        frame = load(snapshot, folder=folder)
        kept = frame.filter(~person.fill_null(False))
        table = open_table(path, version=snapshot.delta_version)
        if kept.height == frame.height or table is None:
            return snapshot
        data = encoded(kept)
        sha = hashlib.sha256(data).hexdigest()
        part, columns = f"part-{sha}.parquet", columns_in(table)
        files.write(path / part, data)
        version = make_version(
            path, part=part, size=len(data), rows=kept.height, columns=columns, id=snapshot.id, at=at, files=files
        )
    finally:
        lock.close()
    return msgspec.structs.replace(
        snapshot, delta_version=version, digest=digest_of([(part, sha)], columns), rows=kept.height
    )


def make_newest(snapshot: Snapshot, *, folder: Path, at: int, files: Files) -> None:
    """Let the table's newest version be that of `snapshot` again, when erasing has made later ones of older data."""
    path = table_path(folder, snapshot.table)
    lock = files.append(path / ".lock")
    try:
        pinned, newest = open_table(path, version=snapshot.delta_version), open_table(path)
        if pinned is None or newest is None or parts_of(pinned, path) == parts_of(newest, path):
            return
        (part,), columns = parts_of(pinned, path), columns_in(pinned)
        size = (path / part).stat().st_size
        make_version(
            path, part=part, size=size, rows=snapshot.rows, columns=columns, id=snapshot.id, at=at, files=files
        )
    finally:
        lock.close()


def vacuum(snapshots: Collection[Snapshot], *, folder: Path, table: str, files: Files) -> int:
    """Delete the files of the table that neither its newest version nor any of `snapshots` refers to; how many."""
    path = table_path(folder, table)
    lock = files.append(path / ".lock")
    try:
        versions = {one.delta_version for one in snapshots if one.table == table}
        opened = [open_table(path), *(open_table(path, version=version) for version in versions)]
        kept = {part for one in opened if one is not None for part in parts_of(one, path)}
        gone = [file for file in files.list(path) if PART.fullmatch(file.name) and file.name not in kept]
        for file in gone:
            files.remove(file)
        return len(gone)
    finally:
        lock.close()
