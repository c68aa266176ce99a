"""The Delta Lake table that holds a system's snapshots, one version each.

A version is one Parquet file, whose name is the digest of its bytes. It lies on disk, durable,
before the transaction that makes it visible, so a killed process leaves a file nobody refers to.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import msgspec
import polars as pl
from deltalake import CommitProperties, DeltaTable, Field, PostCommitHookProperties, Schema, TableFeatures
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.schema import PrimitiveType
from deltalake.transaction import AddAction, create_table_with_add_actions

from kring.errors import Conflict, DataError, IntegrityError, StorageError
from kring.ports.files import Files

Columns = tuple[tuple[str, str], ...]
"""Names of the columns and their Delta types, in order."""

PART: Final = re.compile(r"part-[0-9a-f]{64}\.parquet")
FOR_EVER: Final = {
    "delta.enableExpiredLogCleanup": "false",
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.deletedFileRetentionDuration": "interval 36500 days",
}
WITHOUT_ZONE: Final = "timestamp_ntz"

STORED_AS: Final[dict[type[pl.DataType], pl.DataType]] = {
    pl.Categorical: pl.String(),
    pl.Enum: pl.String(),
    pl.Null: pl.String(),
    pl.UInt8: pl.Int16(),
    pl.UInt16: pl.Int32(),
    pl.UInt32: pl.Int64(),
    pl.UInt64: pl.Int64(),
}
DELTA: Final[dict[type[pl.DataType], str]] = {
    pl.Boolean: "boolean",
    pl.Int8: "byte",
    pl.Int16: "short",
    pl.Int32: "integer",
    pl.Int64: "long",
    pl.Float32: "float",
    pl.Float64: "double",
    pl.String: "string",
    pl.Binary: "binary",
    pl.Date: "date",
}


def storable(frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` in the types a Delta table knows: categories as text, unsigned integers as the next
    larger signed ones, times in microseconds, UTC where they have a zone. `DataError` for others."""
    casts = []
    for name, dtype in frame.schema.items():
        target = STORED_AS.get(type(dtype), dtype)
        if isinstance(dtype, pl.Datetime):
            target = pl.Datetime("us", "UTC" if dtype.time_zone else None)
        casts.append(pl.col(name).cast(target))
    try:
        return frame.select(casts).rechunk()
    except pl.exceptions.InvalidOperationError as error:
        raise DataError(
            "this table has numbers too large to be stored",
            got=str(error).splitlines()[0],
            allowed="integers of 64 bits with a sign",
            next="store such numbers as text",
        ) from error


def columns_of(frame: pl.DataFrame) -> Columns:
    """Columns of a storable frame; `DataError` names the columns that can't be stored."""
    found = {name: _delta_type(dtype) for name, dtype in frame.schema.items()}
    wrong = [f"{name} ({frame.schema[name]})" for name, kind in found.items() if not kind]
    if wrong or not found:
        raise DataError(
            "this table has columns that can't be stored" if wrong else "this table has no columns",
            got=", ".join(wrong),
            allowed="booleans, numbers, texts, bytes, dates and timestamps",
            next="leave these columns out of the feed, or write them as text",
        )
    folded = [name.casefold() for name in found]
    twins = [name for name in found if folded.count(name.casefold()) > 1]
    if twins:
        raise DataError(
            "this table has columns whose names differ in capitals only",
            got=", ".join(twins),
            allowed="names that differ in more: readers of tables take these for one column",
            next="rename a column in the feed",
        )
    return tuple(found.items())


def open_table(path: Path, *, version: int | None = None) -> DeltaTable | None:
    """The table at `path` in its newest or the given version; None when none was ever made."""
    if not (path / "_delta_log").is_dir() or not any((path / "_delta_log").glob("*.json")):
        return None
    try:
        return DeltaTable(str(path), version=version)
    except DeltaError as error:
        what = "" if version is None else f" in version {version}"
        raise IntegrityError(
            f"the table of snapshots can't be read{what}",
            got=str(error).splitlines()[0],
            next="put back a copy of its folder _delta_log",
            file=str(path),
        ) from error


def parts_of(table: DeltaTable, path: Path) -> list[str]:
    """Names of the files of this version, sorted. They lie in the table's own folder, or it was changed."""
    names = sorted(uri.rpartition("/")[2] for uri in table.file_uris())
    strange = [name for name in names if not PART.fullmatch(name)]
    if strange:
        raise IntegrityError(
            "the table of snapshots names a file that is none of its own",
            got=repr(strange[0][:100]),
            next="somebody changed this table; put back a copy",
            file=str(path),
        )
    return names


def columns_in(table: DeltaTable) -> Columns:
    """Columns of this version, as the table itself says."""
    return tuple((field.name, _name(field)) for field in table.schema().fields)


def make_version(
    path: Path, *, part: str, size: int, rows: int, columns: Columns, id: str, at: int, files: Files
) -> int:
    """Make `part` the whole content of a new version, durably. Returns the version's number.

    `Conflict` when another program writes to the table, `StorageError` when the disk refuses.
    """
    schema = Schema([Field(name, PrimitiveType(kind), nullable=True) for name, kind in columns])
    stats = msgspec.json.encode({"numRecords": rows}).decode()
    add = AddAction(part, size, {}, at // 1000, True, stats)
    properties = CommitProperties(custom_metadata={"kring.snapshot": id}, max_commit_retries=0)
    hooks = PostCommitHookProperties(create_checkpoint=True, cleanup_expired_logs=False)
    table = open_table(path)
    try:
        if table is None:
            create_table_with_add_actions(
                str(path),
                schema,
                [add],
                configuration=FOR_EVER,
                commit_properties=properties,
                post_commithook_properties=hooks,
            )
            version = 0
        else:
            table = _able(table, columns, path)
            table.create_write_transaction(
                [add], "overwrite", schema, commit_properties=properties, post_commithook_properties=hooks
            )
            version = table.version() + 1
    except CommitFailedError as error:
        raise Conflict(
            "another program wrote to the table of snapshots",
            got=str(error).splitlines()[0],
            next="run the command again",
            file=str(path),
        ) from error
    except (DeltaError, OSError) as error:
        raise StorageError(
            "could not write to the table of snapshots",
            got=str(error).splitlines()[0],
            next="check that this disk has space and may be written, then run the command again",
            file=str(path),
        ) from error
    settle(path, version=version, part=part, files=files)
    return version


def settle(path: Path, *, version: int, part: str, files: Files) -> None:
    """Make the transaction of `version` durable: its file, and the folders that hold the two files."""
    for file in (path / "_delta_log" / f"{version:020}.json", path / part):
        appender = files.append(file)
        try:
            appender.sync()
        finally:
            appender.close()


def sweep(path: Path, *, files: Files) -> None:
    """Delete what killed processes left: files to which no version refers. Nothing, when a part of
    the table's history is missing."""
    here = files.list(path)
    for file in here:
        if file.name.startswith(".part-") and file.name.endswith(".part"):
            files.remove(file)
    parts = {file.name: file for file in here if PART.fullmatch(file.name)}
    if not parts:
        return
    logs = [file for file in files.list(path / "_delta_log") if re.fullmatch(r"\d{20}\.json", file.name)]
    if [int(log.stem) for log in logs] != list(range(len(logs))):
        return
    for log in logs:
        for line in files.read(log).splitlines():
            parts.pop(_added(line), None)
    for file in parts.values():
        files.remove(file)


def _added(line: bytes) -> str:
    """The file that a line of a transaction adds; empty when it adds none."""
    if b'"add"' not in line:
        return ""
    try:
        action = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
        return msgspec.json.decode(action["add"], type=_Add).path if "add" in action else ""
    except msgspec.MsgspecError as error:
        raise IntegrityError("the table of snapshots has a damaged history", got=str(error)) from error


class _Add(msgspec.Struct):
    path: str


def _able(table: DeltaTable, columns: Columns, path: Path) -> DeltaTable:
    """Timestamps without a zone are a feature that a table must declare before it holds any."""
    if not any(kind == WITHOUT_ZONE for _, kind in columns):
        return table
    if "timestampNtz" in (table.protocol().reader_features or []):
        return table
    table.alter.add_feature(TableFeatures.TimestampWithoutTimezone, allow_protocol_versions_increase=True)
    return DeltaTable(str(path))


def _delta_type(dtype: pl.DataType) -> str:
    if isinstance(dtype, pl.Datetime):
        return "timestamp" if dtype.time_zone else WITHOUT_ZONE
    if isinstance(dtype, pl.Decimal):
        return f"decimal({dtype.precision},{dtype.scale})"
    return DELTA.get(type(dtype), "")


def _name(field: Field) -> str:
    return field.type.type if isinstance(field.type, PrimitiveType) else str(field.type)
