"""Texts as they stand in TOML and YAML: one way of quoting that both read, and comments that stay comments."""

from __future__ import annotations

import textwrap
from typing import Final

WIDTH: Final = 112
ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def quote(text: str) -> str:
    """`text` between double quotes; signs that can't be seen are escaped."""
    return '"' + "".join(ESCAPES.get(sign) or (sign if sign.isprintable() else _escaped(sign)) for sign in text) + '"'


def literal(text: str) -> str:
    """`text` for TOML, between single quotes where that saves escapes."""
    plain = text.isprintable() and "'" not in text and ('"' in text or "\\" in text)
    return f"'{text}'" if plain else quote(text)


def scalar(value: object) -> str:
    """A value as TOML and YAML write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value) if isinstance(value, int) else quote(str(value))


def comment(text: str, *, indent: str = "") -> list[str]:
    """`text` as lines of comment, wrapped."""
    plain = "".join(sign if sign.isprintable() else "�" for sign in text)
    return [f"{indent}# {line}" for line in textwrap.wrap(plain, WIDTH - len(indent), break_long_words=True)]


def aside(text: str) -> str:
    """`text` as a comment at the end of a line."""
    return "  # " + "".join(sign if sign.isprintable() else "�" for sign in text)


def _escaped(sign: str) -> str:
    code = ord(sign)
    return f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"
