"""A file of rows to decide, read as the contract says: what is there, what is missing, what can't be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import polars as pl

from kring.contracts.columns import Reading, readings, settled, stage, typed_reading
from kring.contracts.expression import nearest
from kring.contracts.grammar import fields_of, parse
from kring.contracts.row_rules import text_markers
from kring.contracts.to_polars import DTYPES
from kring.contracts.values import MAX_DIGITS
from kring.decide.policy import outputs_of
from kring.errors import DataError
from kring.flow.cleaning import mends_of_rows
from kring.flow.deciding import PHYSICAL, Opened
from kring.flow.policy_asked import fields_read
from kring.flow.project import Project
from kring.record.batch import Batch
from kring.record.contract import Field, LogicalType
from kring.record.prepare import Prepared
from kring.sources import file as source

CHUNK: Final = 1 << 17
"""Rows that are decided, recorded and written at a time."""


@dataclass(frozen=True)
class Rows:
    """A file under a contract. `mend` is what the recipe does to rows of `feed`, `given` the schema of the columns to
    carry over. `made` says how each known field is read, and `stages` are the columns that hold each reading; `plain`
    are texts that should be numbers."""

    path: Path
    feed: source.Feed
    mend: Callable[[pl.LazyFrame], pl.LazyFrame]
    given: pl.Schema
    made: Mapping[str, Reading]
    stages: Mapping[str, Sequence[pl.Expr]]
    types: Mapping[str, LogicalType]
    plain: frozenset[str]

    def chunks(self) -> Iterator[pl.DataFrame]:
        """The rows in their order, at most `CHUNK` at a time; `DataError` when they can't be read to the end."""
        try:
            for rows in self.feed.batches(CHUNK):
                yield self.mend(rows.lazy()).collect()
        except pl.exceptions.PolarsError as error:
            raise unreadable(self.path, error) from error

    def staged(self, chunk: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
        """The known fields of a chunk in the contract's types, and beside them what is said of how they were read;
        and the columns of texts of which each is a number."""
        columns: list[pl.Expr | pl.Series] = []
        numbers = []
        for name, parts in self.stages.items():
            quick = read_quickly(chunk[name], DTYPES[self.types[name]]) if name in self.plain else None
            if quick is None:
                columns += parts
            else:
                numbers.append(name)
                columns += [quick, *(pl.lit(False).alias(one.meta.output_name()) for one in parts[1:])]
        return chunk.select(columns) if columns else pl.DataFrame(height=chunk.height), numbers

    def count(self) -> int:
        """How many rows there are."""
        try:
            return int(self.feed.frame.select(pl.len()).collect(engine="streaming").item())
        except pl.exceptions.PolarsError as error:
            raise unreadable(self.path, error) from error


def read_quickly(texts: pl.Series, dtype: pl.DataType) -> pl.Series | None:
    """A column of numbers written as texts, when every one of them can be read at once; None to read with care.

    What is read at once is what care would read: care strips blanks and knows more ways to write a number.
    """
    if texts.null_count() or (texts.str.len_bytes().max() or 0) > MAX_DIGITS:  # type: ignore[operator]  # an integer
        return None
    found = texts.cast(dtype, strict=False)
    whole = not found.null_count() and (dtype != pl.Float64() or found.is_finite().all())
    return found if whole else None


def require_files(path: Path) -> None:
    """`DataError` when there is no file to decide at `path`."""
    try:
        source.files_of(path)
    except DataError as error:
        raise DataError(
            error.message, got=error.got, allowed=error.allowed, next="name a file of rows to decide", file=error.file
        ) from error


def open_rows(project: Project, path: Path, *, keep: Sequence[str], opened: Mapping[str, Opened]) -> Rows:
    """Look at the file without reading its rows. `DataError` for a file that is absent, no table, or lacks columns
    that the versions in `opened` read or the contract requires. `keep` are the columns to carry over, else all."""
    require_files(path)
    feed, mend = source.open_feed(path), mends_of_rows(project)
    schema = mend(feed.frame).collect_schema()
    unknown = [name for name in keep if name not in schema]
    if unknown:
        raise DataError(
            f"the file has no column {unknown[0]!r} to keep",
            got=", ".join(schema.names()[:20]),
            next=nearest(unknown[0], schema.names()) or "choose from its columns",
            file=str(path),
        )
    fields = [field for field in project.contract.fields if field.name not in project.known_later]
    refuse_missing(path, schema, needed(project, fields, opened))
    markers = text_markers(project.contract)
    made = readings(fields, schema, markers)
    stages = {
        field.name: stage(field, made[field.name])
        if field.name in made
        else [pl.lit(None, dtype=DTYPES[field.type]).alias(field.name)]
        for field in fields
    }
    return Rows(
        path=path,
        feed=feed,
        mend=mend,
        given=pl.Schema({name: dtype for name, dtype in schema.items() if not keep or name in keep}),
        made={field.name: typed_reading(field) for field in project.contract.fields}
        | {field.name: settled(field, made[field.name]) for field in fields if field.name in made},
        stages=stages,
        types=project.types,
        plain=frozenset(
            field.name
            for field in fields
            if schema.get(field.name) == pl.String()
            and field.type in ("number", "integer")
            and field.name not in markers
        ),
    )


def needed(project: Project, fields: Sequence[Field], opened: Mapping[str, Opened]) -> list[str]:
    """The raw columns that no row can be decided without, in the contract's order."""
    read = {name for one in opened.values() for name in columns_read(one)}
    read |= {field.name for field in fields if field.required} | {project.system.data.subject}
    return [field.name for field in fields if field.name in read]


def columns_read(opened: Opened) -> set[str]:
    """The raw fields that a version and its baseline read, to answer and to judge the answer."""
    manifest, files = opened.loaded.manifest, opened.loaded.files
    links = [link for chain in (manifest.chain, manifest.baseline) for link in chain.links if link.kind == "prepare"]
    columns = [column for link in links for column in msgspec.json.decode(files[link.file], type=Prepared).columns]
    judged = {*fields_read(manifest.chain.policy)} - {*outputs_of(manifest.chain.policy)}
    return judged | {name for column in columns for name in fields_of(parse(column.expression))}


def refuse_missing(path: Path, schema: pl.Schema, wanted: Sequence[str]) -> None:
    """`DataError` that names every column that is not there."""
    missing = [name for name in wanted if name not in schema]
    if missing:
        raise DataError(
            f"the file lacks {len(missing)} of the {len(wanted)} columns that a decision needs: {', '.join(missing)}",
            got=", ".join(schema.names()[:20]),
            allowed=", ".join(wanted),
            next=nearest(missing[0], schema.names()) or "deliver the columns under the contract's names",
            file=str(path),
        )


def as_batch(staged: pl.DataFrame) -> Batch:
    """Staged columns as they are decided; times as integer microseconds, dates as days."""
    columns = {one.name: one.to_physical() if one.dtype.is_temporal() else one for one in staged.get_columns()}
    return Batch(staged.height, {**columns})


def staged_reader(project: Project) -> Callable[[Batch], pl.DataFrame]:
    """The staged columns of a batch as a frame with the contract's types."""
    times = [pl.col(name).cast(DTYPES[kind]) for name, kind in project.types.items() if kind in PHYSICAL]

    def read(batch: Batch) -> pl.DataFrame:
        frame = pl.DataFrame({**batch.columns})
        return frame.with_columns(time for time in times if time.meta.output_name() in frame.columns)

    return read


def unreadable(path: Path, error: Exception) -> DataError:
    return DataError(
        "the file can't be read to its end",
        got=str(error).splitlines()[0][:200],
        next="check the file",
        file=str(path),
    )
