"""Sealed segments of the decision log as Delta Lake tables, for other programs to read: `decisions`, `outcomes` and
`exposures`.

A segment is one partition of each. Putting it there again replaces it by the same rows, so whoever died on the way may
begin anew. The log stays what counts; what is sealed in it is sealed here.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
import polars as pl
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError

from kring.errors import StorageError
from kring.metrics.ids import decision_id, decision_ids
from kring.metrics.prices import per_row
from kring.ports.decision_log import Logged
from kring.ports.files import Files
from kring.record.decision import Decisions, Outcomes
from kring.record.exposure import Exposure

MOMENT: Final = pl.Datetime("us", "UTC")
DECISIONS: Final = pl.Schema(
    {
        "id": pl.String(),
        "at": MOMENT,
        "version": pl.String(),
        "answered_by": pl.String(),
        "arm": pl.String(),
        "kind": pl.String(),
        "subject": pl.String(),
        "inputs": pl.String(),
        "outputs": pl.String(),
        "sealed": pl.String(),
        "guards": pl.String(),
        "fallback": pl.String(),
        "latency_us": pl.Int64(),
        "cost": pl.Float64(),
        "batch": pl.String(),
        "refers": pl.String(),
        "segment": pl.String(),
    }
)
OUTCOMES: Final = pl.Schema(
    {"id": pl.String(), "at": MOMENT, "value": pl.String(), "source": pl.String(), "segment": pl.String()}
)
EXPOSURES: Final = pl.Schema(
    {
        "at": MOMENT,
        "flag": pl.String(),
        "variant": pl.String(),
        "reason": pl.String(),
        "subject": pl.String(),
        "version": pl.String(),
        "trial": pl.String(),
        "generation": pl.Int64(),
        "segment": pl.String(),
    }
)
TABLES: Final = {"decisions": DECISIONS, "outcomes": OUTCOMES, "exposures": EXPOSURES}

Row = tuple[object, ...]


def put_segment(folder: Path, *, id: str, frames: Iterable[Logged], files: Files) -> tuple[int, int]:
    """Write the frames of segment `id` into the tables in `folder`, durably: how many decisions (shadow copies
    included) and outcomes. `StorageError` when the disk or the table refuses."""
    found: dict[str, list[Row]] = {name: [] for name in TABLES}
    for logged in frames:
        record = logged.record
        if isinstance(record, Decisions):
            found["decisions"] += _decisions(logged, record, id)
        elif isinstance(record, Outcomes):
            found["outcomes"] += _outcomes(record, id)
        elif isinstance(record, Exposure):
            found["exposures"] += _exposures(record, id)
    for name, rows in found.items():
        if rows:
            _put(folder / name, pl.DataFrame(rows, schema=TABLES[name], orient="row"), id=id, files=files)
    return len(found["decisions"]), len(found["outcomes"])


def drop_segment(folder: Path, *, id: str) -> None:
    """Take the rows of a segment out of the tables, and delete the files that held them."""
    for name in TABLES:
        path = str(folder / name)
        try:
            if DeltaTable.is_deltatable(path):
                table = DeltaTable(path)
                table.delete(f"segment = '{id}'")
                table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
        except (DeltaError, OSError) as error:
            raise StorageError(
                "could not delete from the tables of decisions", got=str(error).splitlines()[0], file=path
            ) from error


def _decisions(logged: Logged, record: Decisions, segment: str) -> Iterable[Row]:
    ids = decision_ids(logged.place, record.n)
    for row, id in enumerate(ids):
        yield (
            id,
            record.at,
            record.version,
            record.answered_by,
            record.arm,
            record.kind,
            record.subjects[row] if record.subjects else "",
            _json({name: column[row] for name, column in record.inputs.items()}),
            _json({name: column[row] for name, column in record.outputs.items()}),
            _json(record.sealed),
            _json(record.guards.get(row, [])),
            record.fallback,
            record.latency_us,
            per_row(record.cost, record.n),
            record.batch,
            decision_id(record.refers[row]) if record.refers else "",
            segment,
        )


def _outcomes(record: Outcomes, segment: str) -> Iterable[Row]:
    for id, value in zip(record.ids, record.values, strict=True):
        yield decision_id(id), record.at, _json(value), record.source, segment


def _exposures(record: Exposure, segment: str) -> Iterable[Row]:
    columns = (record.flags, record.variants, record.reasons, record.subjects, record.versions, record.trials)
    for row in zip(*columns, strict=True):
        yield record.at, *row, record.generation, segment


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _put(path: Path, rows: pl.DataFrame, *, id: str, files: Files) -> None:
    before = set(path.rglob("*.*")) if path.exists() else set()
    try:
        if DeltaTable.is_deltatable(str(path)):
            # a table of before may lack a column: there it is null
            write_deltalake(str(path), rows, mode="overwrite", predicate=f"segment = '{id}'", schema_mode="merge")
        else:
            write_deltalake(str(path), rows, mode="append", partition_by=["segment"])
    except (DeltaError, OSError) as error:
        raise StorageError(
            "could not write to the tables of decisions",
            got=str(error).splitlines()[0],
            next="check that this disk has space and may be written; the log itself is whole",
            file=str(path),
        ) from error
    for file in sorted(set(path.rglob("*.*")) - before):
        if file.is_file():
            appender = files.append(file)
            try:
                appender.sync()
            finally:
                appender.close()
