"""The bytes of a `kring.toml`, parsed, with the places of its keys."""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kring.errors import ConfigError, DataError, NotFound
from kring.frame.places import Places, key_text, places

FILE: Final = "kring.toml"
LARGEST_FILE: Final = 1 << 20
PLACE: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
TWICE: Final = ("Cannot ", "Duplicate ")


@dataclass(frozen=True)
class Source:
    """What was read: `file` as the user would write it, its folder, digest (SHA-256), content and places."""

    file: str
    folder: Path
    digest: str
    table: dict[str, object]
    places: Places


def open_source(path: Path) -> Source:
    """Read and parse `path`, a `kring.toml` or the folder that holds one.

    `NotFound` without such a file, `DataError` for bytes that are no text, `ConfigError` for a text that is not TOML.
    """
    path, data = _bytes(path)
    text = _text(data, file=str(path))
    marked = places(text)
    return Source(
        file=str(path),
        folder=path.parent,
        digest=hashlib.sha256(data).hexdigest(),
        table=_parse(text, marked, file=str(path)),
        places=marked,
    )


def _bytes(path: Path) -> tuple[Path, bytes]:
    try:
        path = path / FILE if path.is_dir() else path
        if not path.exists():
            raise _missing(path)
        if not path.is_file():
            raise DataError(f"{path.name} is not a file", file=str(path), allowed="a text file", next="name the file")
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        reason = (error.strerror or "it can't be read").lower()
        raise DataError(
            f"{path.name} can't be read: {reason}", file=str(path), next="check the path and who may read it"
        ) from error
    except ValueError as error:  # a path with a zero byte in it
        raise _missing(path) from error
    if len(data) > LARGEST_FILE:
        raise DataError(
            f"{path.name} is too large", file=str(path), got="more than 1 MiB", allowed="a text file of at most 1 MiB"
        )
    return path, data


def _missing(path: Path) -> NotFound:
    return NotFound(
        f"there is no {path.name} here" if path.name == FILE else f"there is no {path.name}",
        file=str(path),
        allowed=f"a folder with a {FILE} in it, or the path of that file",
        next=f"name the folder that holds {FILE}, or begin with kring new DIR --from DATA --target COLUMN",
    )


def _text(data: bytes, *, file: str) -> str:
    name = Path(file).name
    if not data.strip():
        raise DataError(f"{name} is empty", file=file, next="kring schema lists the keys; docs/kring-toml.md explains")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{name} is not in UTF-8", file=file, got="UTF-16", allowed="UTF-8", next="save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        got, line = f"byte 0x{data[error.start]:02x}", data.count(b"\n", 0, error.start) + 1
        message, allowed = f"{name} is not a text in UTF-8", "UTF-8"
        raise DataError(message, file=file, line=line, got=got, allowed=allowed, next="save it as UTF-8") from error
    if "\0" in text:
        raise DataError(f"{name} is not a text", file=file, got="a zero byte", allowed="TOML in UTF-8")
    return text


def _parse(text: str, marked: Places, *, file: str) -> dict[str, object]:
    """`text` as a table; `ConfigError` with every key that stands twice, or the first place that is not TOML."""
    deep = ConfigError("keys, tables or lists lie too deep", file=file, line=marked.too_deep or 1, allowed="16 levels")
    if marked.too_deep:
        raise broken(file, [deep])
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise broken(file, [deep]) from error
    except ValueError as error:
        faults = _twice(marked, file=file)
        if not (faults and str(error).startswith(TWICE)):
            faults.append(_syntax(str(error), text, file=file))
        raise broken(file, faults) from error


def _twice(marked: Places, *, file: str) -> list[ConfigError]:
    return [
        ConfigError(
            "this key stands here a second time",
            file=file,
            line=repeat.line,
            key=key_text(repeat.key),
            got=f"first in line {repeat.first}",
            allowed="each key once",
            next=repeat.remedy,
        )
        for repeat in marked.repeats
    ]


def _syntax(message: str, text: str, *, file: str) -> ConfigError:
    place = PLACE.search(message)
    line, column = text.count("\n") + (not text.endswith("\n")), 0
    if place and place[1]:
        line, column = int(place[1]), int(place[2])
    reason = PLACE.sub("", message) if place else "a number is too long"
    rows = text.split("\n")
    return ConfigError(
        f"this is not TOML: {reason[:1].lower()}{reason[1:]}" + (f" (column {column})" if column else ""),
        file=file,
        line=line,
        got=rows[line - 1].strip()[:60] if line <= len(rows) else "",
        allowed="TOML 1.0, see https://toml.io",
        next="texts stand in quotes, tables in [brackets], lists of tables in [[double brackets]]",
    )


def broken(file: str, faults: list[ConfigError]) -> ConfigError:
    """One error for all `faults`, in the order of their lines."""
    count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    faults = sorted(faults, key=lambda fault: (fault.line, fault.key))
    return ConfigError(f"{count} in {Path(file).name}", file=file, faults=tuple(faults))
