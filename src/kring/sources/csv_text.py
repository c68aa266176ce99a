"""Looks a CSV file over before it is read: encoding, quotes, and the same number of fields in every line.

One pass over the bytes in pieces of some megabytes, so that the first fault is told with its line; what passes
is read by polars the same way.
"""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from kring.errors import DataError
from kring.sources.encodings import HEAD, MARK, UTF_8, WINDOWS, NotUtf8, as_utf8, is_western, wide

PIECE: Final = 1 << 19
"""Bytes that are looked over at a time: so few that they stay in the processor's cache."""

BLOCK: Final = 1 << 22
"""Bytes that are handed on at a time."""

LONGEST: Final = 1 << 26
SEPARATORS: Final = (",", ";", "\t", "|")
QUOTE, NEWLINE, RETURN = 34, 10, 13

SIGNATURES: Final = {
    b"PK": "a zip archive or a spreadsheet",
    b"PAR1": "a Parquet file",
    b"\x1f\x8b": "a gzip archive",
    b"%PDF": "a PDF",
    b"SQLite": "a SQLite database",
    b"\x89PNG": "a picture",
}


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a file is written."""

    separator: str
    columns: tuple[str, ...]
    encoding: str = UTF_8


def look_over(path: Path) -> Dialect:
    """The dialect of a CSV file; `DataError` for the first thing in it that is not such a file."""
    try:
        with open_bytes(path) as file:
            encoding = wide(file.read(HEAD)) or UTF_8
        try:
            return _read_over(path, encoding)
        except NotUtf8:
            with open_bytes(path) as file:
                if file.read(len(MARK)) == MARK or not is_western(iter(partial(file.read, PIECE), b"")):
                    raise
            return _read_over(path, WINDOWS)
    except (EOFError, gzip.BadGzipFile) as error:
        raise DataError("the archive is damaged", got=str(error), next="copy the file again", file=str(path)) from error
    except OSError as error:
        raise DataError("the file can't be read", got=str(error), file=str(path)) from error


def records(path: Path, dialect: Dialect) -> Iterator[bytes]:
    """Whole records after the first one, which holds the names, in UTF-8 and pieces of some megabytes, of a file
    that was looked over."""
    rest, named = b"", False
    with open_bytes(path) as file:
        read = iter(partial(file.read, BLOCK), b"")
        for piece in read if dialect.encoding == UTF_8 else as_utf8(read, encoding=dialect.encoding, path=path):
            rest += piece
            if not named:
                end = _first_record(rest)
                named, rest = end >= 0, rest[end + 1 :]
            done = _whole(rest) if named else 0
            if done:
                yield rest[:done]
                rest = rest[done:]
    if named and rest:
        yield rest


def _read_over(path: Path, encoding: str) -> Dialect:
    with open_bytes(path) as file:
        return _look_over(path, file, encoding)


def open_bytes(path: Path) -> BinaryIO | gzip.GzipFile:
    """The file's bytes, unpacked when its name ends with .gz."""
    try:
        return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")
    except OSError as error:
        raise DataError("the file can't be read", got=str(error), file=str(path)) from error


def pieces(path: Path, file: BinaryIO | gzip.GzipFile, *, encoding: str = UTF_8) -> Iterator[tuple[int, bytes]]:
    """(offset, whole lines) in order, as valid UTF-8 without a byte order mark. `NotUtf8` when `encoding` is UTF-8
    and the file is not."""
    offset, rest = 0, b""
    read = iter(partial(file.read, PIECE), b"")
    for data in read if encoding == UTF_8 else as_utf8(read, encoding=encoding, path=path):
        if not offset and not rest:
            _signed(path, data)
            offset = len(MARK) if data.startswith(MARK) else 0
        rest += data.removeprefix(MARK) if not rest and offset == len(MARK) else data
        cut = rest.rfind(b"\n") + 1
        if not cut and len(rest) > LONGEST:
            raise DataError("a line without end", got=f"{len(rest)} bytes", allowed=f"{LONGEST} bytes", file=str(path))
        if cut:
            _decoded(path, rest[:cut], offset)
            yield offset, rest[:cut]
            offset, rest = offset + cut, rest[cut:]
    if rest:
        _decoded(path, rest, offset)
        yield offset, rest


def _signed(path: Path, data: bytes) -> None:
    for mark, name in SIGNATURES.items():
        if data.startswith(mark):
            raise DataError(
                f"this is {name}, not a text", allowed="text in UTF-8", next="check the file", file=str(path)
            )


def _decoded(path: Path, data: bytes, offset: int) -> None:
    at = data.find(b"\0")
    if at >= 0:
        raise DataError(
            "this is no text file", got=f"a zero byte at offset {offset + at}", next="check the file", file=str(path)
        )
    try:
        data.decode()
    except UnicodeDecodeError as error:
        at = offset + error.start
        line = data.count(b"\n", 0, error.start) + 1
        raise NotUtf8(
            "the file is not in UTF-8",
            got=f"byte 0x{data[error.start]:02x} at offset {at}",
            allowed="UTF-8, with or without a byte order mark",
            next=f"write it in UTF-8: iconv -f ITS_ENCODING -t UTF-8 {path.name} > utf8.{path.name}",
            file=str(path),
            line=0 if offset > 3 else line,
        ) from error


def _look_over(path: Path, file: BinaryIO | gzip.GzipFile, encoding: str) -> Dialect:
    dialect: Dialect | None = None
    line, rest = 1, b""
    for _, piece in pieces(path, file, encoding=encoding):
        rest += piece
        dialect = dialect or _dialect(path, rest, encoding)
        if dialect is not None:
            lines = _Lines(path, rest, dialect, line)
            line, rest = line + lines.count, rest[lines.done :]
        if len(rest) > LONGEST:
            raise _unclosed(path, line)
    if dialect is None:
        dialect = _dialect(path, rest + b"\n", encoding) if rest else None
    if dialect is None and rest:
        raise _unclosed(path, line)
    if dialect is None:
        raise DataError(
            "the file is empty", allowed="a line with the names of the columns", next="export it again", file=str(path)
        )
    if rest and _Lines(path, rest + b"\n", dialect, line).done == 0:
        raise _unclosed(path, line)
    return dialect


def _unclosed(path: Path, line: int) -> DataError:
    return DataError("a quote that is opened and never closed", next="close the quote", file=str(path), line=line)


def _first_record(data: bytes) -> int:
    """Where the line end of the first record stands; -1 when it is not whole."""
    inside = False
    for at in range(len(data)):
        inside ^= data[at] == QUOTE
        if data[at] == NEWLINE and not inside:
            return at
    return -1


def _whole(data: bytes) -> int:
    """Where the last whole record ends; 0 when there is none."""
    if b'"' not in data:
        return data.rfind(b"\n") + 1
    signs = np.frombuffer(data, dtype=np.uint8)
    stops = np.flatnonzero((signs == NEWLINE) & ~np.logical_xor.accumulate(signs == QUOTE))
    return int(stops[-1]) + 1 if len(stops) else 0


def _dialect(path: Path, data: bytes, encoding: str) -> Dialect | None:
    """From the first record, once it is there as a whole."""
    end = _first_record(data)
    if end < 0:
        return None
    text = data[:end].decode().removesuffix("\r")
    if "\r" in text:
        raise DataError("lines end with CR alone", allowed="LF or CR LF", next="convert the line ends", file=str(path))
    bare = "".join(text.split('"')[::2])
    separator = max(SEPARATORS, key=bare.count)
    columns = tuple(next(csv.reader([text], delimiter=separator), []))
    check_names(columns, path)
    return Dialect(separator, columns, encoding)


def check_names(columns: tuple[str, ...], path: Path) -> None:
    """`DataError` for column names that are missing, double, or hold signs that can't be seen."""
    if not columns or not any(columns):
        raise DataError("the first line is empty", allowed="the names of the columns", file=str(path), line=1)
    double = [name for name, count in Counter(columns).items() if count > 1]
    if "" in columns:
        message, got = "a column without a name", f"column {columns.index('') + 1} of {len(columns)}"
    elif double:
        message, got = "columns that share a name", ", ".join(double)
    else:
        odd = [name for name in columns if not name.isprintable()]
        message, got = ("a column name with signs that can't be seen", repr(odd[0])) if odd else ("", "")
    if message:
        raise DataError(message, got=got, next="mend the first line of the file", file=str(path), line=1)


class _Lines:
    """The whole records in `data`, which begins at `line`; `done` is where the last of them ends, and `count` the
    number of lines up to there."""

    def __init__(self, path: Path, data: bytes, dialect: Dialect, line: int) -> None:
        self.path, self.data, self.line = path, data, line
        signs = np.frombuffer(data, dtype=np.uint8)
        newlines = signs == NEWLINE
        edges = newlines | (signs == ord(dialect.separator))
        if b'"' in data:
            quotes = signs == QUOTE
            inside = np.logical_xor.accumulate(quotes)
            edges &= ~inside
            self._check_quotes(signs, quotes, inside, dialect)
        places = np.flatnonzero(edges)
        ends = np.flatnonzero(newlines[places])
        stops = places[ends]
        self.done = int(stops[-1]) + 1 if len(stops) else 0
        self.count = int(np.count_nonzero(newlines[: self.done]))
        self._check_counts(stops, np.diff(ends, prepend=-1), len(dialect.columns))

    def _check_counts(self, stops: NDArray[np.int64], counts: NDArray[np.int64], fields: int) -> None:
        bad = np.flatnonzero(counts != fields)
        if not len(bad):
            return
        first = int(bad[0])
        start, stop = int(stops[first - 1]) + 1 if first else 0, int(stops[first])
        line = self.line + self.data.count(b"\n", 0, start)
        if self.data[start:stop].strip(b"\r") == b"":
            raise DataError("an empty line", next="remove it", file=str(self.path), line=line)
        raise DataError(
            "a line with another number of fields than the first one",
            got=f"{int(counts[first])} fields",
            allowed=f"{fields} fields",
            next="put values that hold the separator in quotes",
            file=str(self.path),
            line=line,
        )

    def _check_quotes(
        self, signs: NDArray[np.uint8], quotes: NDArray[np.bool_], inside: NDArray[np.bool_], dialect: Dialect
    ) -> None:
        """Quotes stand around whole fields; a quote inside a field is written twice."""
        edges = np.array([ord(dialect.separator), NEWLINE, QUOTE], dtype=np.uint8)
        opening, closing = np.flatnonzero(quotes & inside), np.flatnonzero(quotes & ~inside)
        before = opening[opening > 0]
        after = closing[closing < len(signs) - 1]
        wrong = [
            *before[~np.isin(signs[before - 1], edges)][:1],
            *after[~np.isin(signs[after + 1], np.append(edges, np.uint8(RETURN)))][:1],
        ]
        if wrong:
            line = self.line + self.data.count(b"\n", 0, int(min(wrong)))
            raise DataError(
                "a quote in the middle of a field",
                next='write it twice ("") and put the whole field in quotes',
                file=str(self.path),
                line=line,
            )
