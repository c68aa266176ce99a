"""Feeds in files: CSV (also gzipped), Parquet, JSON lines; one file, a folder or a glob of one kind."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import polars as pl
from polars.io.plugins import register_io_source

from kring.errors import DataError
from kring.sources.csv_text import Dialect, check_names, look_over, open_bytes, pieces, records
from kring.sources.encodings import UTF_8

ENDINGS: Final[Mapping[str, str]] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".csv.gz": "csv",
    ".tsv.gz": "csv",
    ".parquet": "parquet",
    ".jsonl": "json",
    ".ndjson": "json",
}
MAGIC: Final = b"PAR1"


@dataclass(frozen=True)
class Feed:
    """A feed that was looked over: its rows as a lazy `frame`, and its `files` when they are CSV, with how each is
    written."""

    frame: pl.LazyFrame
    files: Sequence[tuple[Path, Dialect]] = ()

    def batches(self, rows: int) -> Iterator[pl.DataFrame]:
        """The same rows in the same order, at most `rows` at a time, and few megabytes of CSV: memory does not grow
        with the feed. Polars raises its own errors when a file is not what it was."""
        if not self.files:
            yield from self.frame.collect_batches(chunk_size=rows, maintain_order=True)
            return
        names = self.frame.collect_schema().names()
        for file, dialect in self.files:
            for frame in _parsed(file, dialect):
                yield from frame.select(names).iter_slices(rows)


def scan(path: Path) -> pl.LazyFrame:
    """The lazy rows of `open_feed`."""
    return open_feed(path).frame


def open_feed(path: Path) -> Feed:
    """The rows of a feed, lazily, in the order of the files (by name) and of the rows in each.

    All columns of a CSV file are texts: typing is the contract's business, so that what can't be typed is
    counted. A CSV file is in UTF-8, UTF-16 or Windows-1252, see `kring.sources.encodings`. `DataError` when
    `path` does not exist, is empty, damaged, in another encoding or not a table, with file, line and remedy.
    Files of one feed have the same columns.
    """
    files = files_of(path)
    if kind_of(files[0]) == "csv":
        written = [(file, look_over(file)) for file in files]
        return Feed(_as_one(files, [_csv(file, dialect) for file, dialect in written]), written)
    read = _parquet if kind_of(files[0]) == "parquet" else _json
    return Feed(_as_one(files, [read(file) for file in files]))


def _as_one(files: list[Path], frames: Sequence[pl.LazyFrame]) -> pl.LazyFrame:
    """The rows of all files; `DataError` when their columns differ."""
    first = frames[0].collect_schema()
    for file, frame in zip(files[1:], frames[1:], strict=True):
        schema = frame.collect_schema()
        if set(schema) != set(first):
            odd = sorted(set(schema) ^ set(first))
            raise DataError(
                "the files of a feed have different columns",
                got=f"{', '.join(odd)} in one of {files[0].name} and {file.name}",
                next="deliver files with the same columns, or name one file",
                file=str(file),
            )
    if len(frames) == 1:
        return frames[0]
    if kind_of(files[0]) == "parquet" and all(frame.collect_schema() == first for frame in frames):
        return pl.scan_parquet(files, glob=False)  # one reader holds fewer rows at a time than several
    return pl.concat([frame.select(first.names()) for frame in frames], how="vertical_relaxed")


def digest(path: Path) -> str:
    """SHA-256 of the file's bytes; of several files, SHA-256 over their digests in order."""
    digests = [_digest(file) for file in files_of(path)]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def files_of(path: Path) -> list[Path]:
    """The files that `path` (a file, a folder or a glob) means, sorted; `DataError` when there are none or
    they are of several kinds."""
    if path.is_file():
        return [path]
    if path.is_dir():
        found = [file for file in path.iterdir() if file.is_file() and not file.name.startswith((".", "_"))]
    else:
        found = [file for file in path.parent.glob(path.name) if file.is_file()] if path.parent.is_dir() else []
    if not found:
        what = "the folder holds no files" if path.is_dir() else "there is no such file"
        raise DataError(what, got=str(path), next="check data.source in kring.toml", file=str(path))
    kinds = {kind_of(file) for file in found}
    if len(kinds) > 1:
        got = ", ".join(sorted(file.name for file in found)[:5])
        raise DataError(
            "files of several kinds", got=got, allowed="one kind", next="name them by a glob", file=str(path)
        )
    return sorted(found)


def kind_of(file: Path) -> str:
    """`csv`, `parquet` or `json`, by the end of the name."""
    name = file.name.lower()
    for ending, kind in ENDINGS.items():
        if name.endswith(ending):
            return kind
    raise DataError(
        "a kind of file that is not read",
        got=file.suffix or file.name,
        allowed=", ".join(ENDINGS),
        next="export it as Parquet or CSV",
        file=str(file),
    )


def _csv(file: Path, dialect: Dialect) -> pl.LazyFrame:
    schema = dict.fromkeys(dialect.columns, pl.String())
    if dialect.encoding != UTF_8:
        return _recoded(file, dialect, pl.Schema(schema))
    frame = pl.scan_csv(
        file,
        separator=dialect.separator,
        has_header=False,
        skip_lines=1,
        schema=schema,
        glob=False,
        raise_if_empty=False,
    )
    return _schema_known(file, frame)


def _parsed(file: Path, dialect: Dialect) -> Iterator[pl.DataFrame]:
    """The rows of a CSV file, some megabytes at a time, all columns texts."""
    schema = dict.fromkeys(dialect.columns, pl.String())
    for piece in records(file, dialect):
        yield pl.read_csv(piece, separator=dialect.separator, has_header=False, schema=schema)


def _recoded(file: Path, dialect: Dialect, schema: pl.Schema) -> pl.LazyFrame:
    """A file in another encoding than UTF-8, read some megabytes at a time."""

    def read(
        with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        del batch_size
        for whole in _parsed(file, dialect):
            frame = whole if n_rows is None else whole.head(n_rows)
            n_rows = None if n_rows is None else n_rows - frame.height
            frame = frame if predicate is None else frame.filter(predicate)
            yield frame if with_columns is None else frame.select(with_columns)
            if n_rows == 0:
                return

    return register_io_source(read, schema=schema)


def _parquet(file: Path) -> pl.LazyFrame:
    size = file.stat().st_size
    if not size:
        raise DataError("the file is empty", next="export it again", file=str(file))
    with file.open("rb") as opened:
        head = opened.read(4)
        opened.seek(max(0, size - 4))
        tail = opened.read(4)
    if head != MAGIC:
        raise DataError(
            "this is not a Parquet file", got=f"it begins with {head!r}", next="check the file", file=str(file)
        )
    if tail != MAGIC or size < 12:
        raise DataError("the Parquet file is cut off", got=f"{size} bytes", next="copy it again", file=str(file))
    frame = _schema_known(file, pl.scan_parquet(file, glob=False))
    check_names(tuple(frame.collect_schema().names()), file)
    return frame


def _json(file: Path) -> pl.LazyFrame:
    empty = True
    with open_bytes(file) as opened:
        for _, piece in pieces(file, opened):
            empty = empty and not piece.strip()
    if empty:
        raise DataError("the file is empty", allowed="one JSON object per line", next="export it again", file=str(file))
    try:
        frame = pl.scan_ndjson(file, infer_schema_length=None)
        check_names(tuple(frame.collect_schema().names()), file)
    except pl.exceptions.PolarsError as error:
        raise _json_fault(file) or _unreadable(file, error) from error
    return frame


def _json_fault(file: Path) -> DataError | None:
    """The first line that is not a JSON object."""
    with file.open("rb") as opened:
        for number, line in enumerate(opened, start=1):
            try:
                value = msgspec.json.decode(line)
                fault = "" if isinstance(value, dict) else "not an object"
            except msgspec.DecodeError as error:
                fault = str(error)
            if fault:
                return DataError(
                    "a line that is not a JSON object",
                    got=f"{line[:60].decode(errors='replace').strip()} ({fault})",
                    allowed='{"column": value, ...}',
                    file=str(file),
                    line=number,
                )
    return None


def _schema_known(file: Path, frame: pl.LazyFrame) -> pl.LazyFrame:
    try:
        frame.collect_schema()
    except pl.exceptions.PolarsError as error:
        raise _unreadable(file, error) from error
    return frame


def _unreadable(file: Path, error: Exception) -> DataError:
    return DataError(
        "the file can't be read", got=str(error).splitlines()[0][:200], next="check the file", file=str(file)
    )


def _digest(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise DataError("the file can't be read", got=str(error), file=str(file)) from error
