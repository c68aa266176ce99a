"""The reference page of `kring.toml`, made from the table types."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, get_args, get_origin

import msgspec

from kring.frame.tables import OTHERS, File, fields_of
from kring.frame.wording import allowed, description, extra, shown, split

INTRODUCTION: Final = """# kring.toml

One file describes a system. Every key is typed; an unknown key is an error that names the nearest known one, with
file and line, and all errors are told at once. `kring schema --out kring.schema.json` writes the JSON Schema by which
an editor completes and checks the file while you type. Durations are texts: a whole number and `s`, `m`, `h`, `d` or
`w`.

This page is made from the types that read the file.
"""


def reference() -> str:
    """The whole page as Markdown: one section per table, one row per key."""
    sections = [_section(field) for field in fields_of(File).values()]
    return "\n".join([INTRODUCTION, *sections])


def _section(field: msgspec.structs.FieldInfo) -> str:
    bare, _ = split(field.type)
    heading, text, rows = f"[{field.name}]", description(field.type), []
    if get_origin(bare) is tuple:
        heading, bare = f"[[{field.name}]]", get_args(bare)[0]
    elif get_origin(bare) is dict and isinstance(get_args(bare)[1], type):
        heading, bare = f"[{field.name}.NAME]", get_args(bare)[1]
    if isinstance(bare, type) and issubclass(bare, msgspec.Struct):
        text = " ".join((bare.__doc__ or "").split())
        rows = list(_rows(bare, ""))
    else:
        name, value = get_args(bare)
        rows = [_row("NAME", value, default="", meaning=f"NAME is {allowed(name)}")]
    needed = " Required." if field.required else ""
    lines = [f"## `{heading}`", "", text.removesuffix(".") + "." + needed, ""]
    return "\n".join([*lines, "| key | allowed | default | meaning |", "|---|---|---|---|", *rows, ""])


def _rows(table: type[msgspec.Struct], prefix: str) -> Iterator[str]:
    for field in fields_of(table).values():
        bare, _ = split(field.type)
        name = prefix + field.name
        inner = get_args(bare)[0] if get_origin(bare) is tuple else bare
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            yield _row(name, field.type, default="", meaning=description(field.type))
            yield from _rows(inner, f"{name}[]." if inner is not bare else f"{name}.")
        else:
            yield _row(name, field.type, default=_default(field), meaning=description(field.type))
    if table in OTHERS:
        word, annotation = OTHERS[table]
        yield _row(prefix + word, annotation, default="", meaning=description(annotation))


def _row(name: str, annotation: object, *, default: str, meaning: str) -> str:
    bare, metas = split(annotation)
    words = allowed(annotation) + (", none twice" if extra(metas, "unique") else "")
    if get_origin(bare) is dict:
        words = f"a table, each value {allowed(get_args(bare)[1])}"
    cells = (f"`{name}`", words, default, meaning)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "**required**"
    return "" if field.default in ("", (), msgspec.UNSET, msgspec.NODEFAULT) else f"`{shown(field.default)}`"
