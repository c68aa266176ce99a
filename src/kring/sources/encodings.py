"""What a text file is encoded in, told from its bytes, and its bytes as UTF-8.

UTF-8 is the rule. UTF-16 is known by its byte order mark or its zeros. What is not UTF-8 is taken for
Windows-1252 (which holds Latin-1) when it looks like a Western text; anything else is refused, never guessed.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from kring.errors import DataError

UTF_8: Final = "utf-8"
WINDOWS: Final = "windows-1252"
MARK: Final = codecs.BOM_UTF8
WIDE: Final = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}

HEAD: Final = 4096
ZEROS: Final = 0.3
"""From this share of zeros among every second byte on, a file is taken for UTF-16 without a mark."""

FOREIGN: Final = 0.2
"""From this share of bytes beyond ASCII among the letters on, a text is not Western."""

HIGH: Final = bytes(range(0x80, 0x100))
LETTERS: Final = bytes([*range(0x41, 0x5B), *range(0x61, 0x7B)])


class NotUtf8(DataError):
    """A byte that UTF-8 does not have there."""


def wide(head: bytes) -> str:
    """`utf-16-le` or `utf-16-be` when `head`, the first bytes of a file, says so; else an empty text."""
    for mark, name in WIDE.items():
        if head.startswith(mark):
            return name
    for name, first in (("utf-16-le", 1), ("utf-16-be", 0)):
        zeros, others = head[first:HEAD:2].count(0), head[1 - first : HEAD : 2].count(0)
        if zeros > ZEROS * len(head[first:HEAD:2]) and not others:
            return name
    return ""


def is_western(data: Iterable[bytes]) -> bool:
    """Whether the pieces, which are not UTF-8, read as a text in Windows-1252.

    A file in UTF-8 with a damaged byte is none: it holds more letters in UTF-8 than bytes that are wrong there.
    """
    high = letters = sound = 0
    for piece in data:
        if piece.isascii():
            letters += len(piece) - len(piece.translate(None, LETTERS))
            continue
        try:
            piece.decode(WINDOWS)
        except UnicodeDecodeError:
            return False
        high += len(piece) - len(piece.translate(None, HIGH))
        letters += len(piece) - len(piece.translate(None, LETTERS))
        kept = piece.decode(UTF_8, "ignore").encode()
        sound += len(kept) - len(kept.translate(None, HIGH))
    return sound < high - sound and high <= FOREIGN * (high + letters)


def as_utf8(data: Iterable[bytes], *, encoding: str, path: Path) -> Iterator[bytes]:
    """The pieces in UTF-8, without a byte order mark. `DataError` for what `encoding` can't mean."""
    decoder = codecs.getincrementaldecoder(encoding)()
    first = True
    try:
        for piece in data:
            text = decoder.decode(piece)
            yield (text.removeprefix("\ufeff") if first else text).encode()
            first = first and not text
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError as error:
        raise DataError(
            f"the file is no text in {encoding.upper()}",
            got=str(error)[:200],
            next="export it in UTF-8",
            file=str(path),
        ) from error
