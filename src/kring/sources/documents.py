"""Documents that answers are taken from: Markdown, reStructuredText and plain text, by patterns of names."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from kring.errors import DataError
from kring.record.passage import Document, Form, Skipped

FORMS: Final[dict[str, Form]] = {".md": "markdown", ".rst": "markdown", ".txt": "text"}
MOST_BYTES: Final = 4 << 20
MOST_DOCUMENTS: Final = 50_000
BINARY: Final = b"\x00"
OVERRIDES: Final = frozenset("\u202a\u202b\u202d\u202e\u2066\u2067\u2068")
"""Marks that turn the direction in which a text is shown: they are taken out, and that is told."""


@dataclass(frozen=True)
class Library:
    """The documents in the order of their names, the files that are none, and what else is to be told of them."""

    documents: tuple[Document, ...]
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...] = ()


def read_documents(folder: Path, patterns: Sequence[str]) -> Library:
    """Every file in `folder` that one of `patterns` names (`docs/*.md`, `**/*.txt`, `../README.md`).

    Its id is the name as the pattern leads to it, without the steps up. What is empty, too large, no UTF-8, no
    text, of another ending, a link, or the same as another document is skipped with the reason. `DataError` when a
    pattern finds nothing or nothing is left.
    """
    documents: dict[str, Document] = {}
    skipped: list[Skipped] = []
    seen: dict[str, str] = {}
    notes: list[str] = []
    for id, path in _files(folder, patterns):
        found = _read(id, path)
        if isinstance(found, Document) and found.digest in seen:
            found = Skipped(id=id, reason=f"the same as {seen[found.digest]}")
        if isinstance(found, Skipped):
            skipped.append(found)
            continue
        if OVERRIDES & set(found.text):
            notes.append(f"{id} holds marks that turn the direction of a text; they are taken out")
        documents[id] = found
        seen[found.digest] = id
    if not documents:
        raise DataError(
            "there is no document to answer from",
            key="knowledge.documents",
            got="; ".join(f"{each.id}: {each.reason}" for each in skipped[:5]) or "no files",
            allowed=f"{', '.join(FORMS)} files with text in UTF-8",
            next="mend the files or the patterns",
        )
    return Library(tuple(documents.values()), tuple(skipped), tuple(notes))


def _files(folder: Path, patterns: Sequence[str]) -> list[tuple[str, Path]]:
    """Files by id, in the order of their ids, each once."""
    found: dict[str, Path] = {}
    for pattern in patterns:
        steps = PurePosixPath(pattern).parts
        ups = next((at for at, step in enumerate(steps) if step != ".."), len(steps))
        if PurePosixPath(pattern).is_absolute() or ".." in steps[ups:] or ups == len(steps):
            raise DataError(
                "documents are named from the folder of kring.toml",
                key="knowledge.documents",
                got=pattern,
                allowed='patterns such as "docs/*.md" or "../handbook/**/*.txt"',
                next="write the steps up, if any, at the beginning",
            )
        base = folder.joinpath(*steps[:ups])
        files = sorted(path for path in base.glob("/".join(steps[ups:])) if not path.is_dir())
        if not files:
            raise DataError(
                "a pattern of documents finds no file",
                key="knowledge.documents",
                got=pattern,
                next="mend the pattern, or put documents there",
                file=str(base),
            )
        for path in files:
            id = path.relative_to(base).as_posix()
            if os.path.abspath(found.setdefault(id, path)) != os.path.abspath(path):
                raise DataError(
                    "two documents have one name",
                    key="knowledge.documents",
                    got=f"{found[id]} and {path}",
                    next="rename one of them, or choose patterns that keep them apart",
                )
    if len(found) > MOST_DOCUMENTS:
        raise DataError(
            "there are too many documents", key="knowledge.documents", got=f"{len(found):,}", allowed="50,000"
        )
    return sorted(found.items())


def _read(id: str, path: Path) -> Document | Skipped:
    try:
        data = b"" if (reason := _unfit(id, path)) else path.read_bytes()
        text = data.decode("utf-8-sig")
    except OSError as error:
        return Skipped(id=id, reason=f"can't be read: {(error.strerror or str(error)).lower()}")
    except UnicodeDecodeError as error:
        return Skipped(id=id, reason=f"not UTF-8, at byte {error.start:,}")
    if BINARY in data:
        reason = "no text: it holds NUL bytes"
    if reason or not text.strip():
        return Skipped(id=id, reason=reason or "empty")
    form = FORMS[path.suffix.lower()]
    return Document(id=id, text=text, title=path.stem, form=form, digest=hashlib.sha256(data).hexdigest())


def _unfit(id: str, path: Path) -> str:
    """Why the file is not even read; empty when it is."""
    if path.suffix.lower() not in FORMS:
        return f"ends with {path.suffix or 'nothing'}, not with {', '.join(FORMS)}"
    if any(character.isspace() for character in id):
        return "has a blank in its name, and citations are separated by blanks"
    if path.is_symlink():
        return "a link, not a file"
    if not path.is_file():
        return "no plain file"
    size = os.stat(path).st_size
    return f"{size / (1 << 20):,.0f} MiB, more than {MOST_BYTES >> 20}" if size > MOST_BYTES else ""
