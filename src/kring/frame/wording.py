"""Words for types and values: what was got, what is allowed, what was probably meant."""

from __future__ import annotations

import difflib
import json
import types
from collections.abc import Iterable
from typing import Annotated, Final, Literal, Union, get_args, get_origin

import msgspec

LONGEST: Final = 60
LARGEST: Final = 2**63
PLAIN: Final[dict[object, str]] = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
}


def nearest(name: str, known: Iterable[str]) -> str:
    """The known word that is most like `name`, or an empty text."""
    by_lower = {word.lower(): word for word in known}
    found = difflib.get_close_matches(name.lower()[:LONGEST], by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else ""


def did_you_mean(name: str, known: Iterable[str], *, otherwise: str = "") -> str:
    """A question with the nearest known word, else `otherwise`."""
    word = nearest(name, known)
    return f"did you mean `{word}`?" if word else otherwise


def shown(value: object) -> str:
    """`value` as it would stand in the file, cut to a length that fits into a message."""
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, str):
        text = json.dumps(value[: LONGEST + 1], ensure_ascii=False)
    elif isinstance(value, int) and abs(value) >= LARGEST:
        text = f"a number of {value.bit_length()} bits"
    elif isinstance(value, (list, tuple)):
        text = "[" + ", ".join(shown(item) for item in value[:LONGEST]) + "]"
    elif isinstance(value, dict):
        text = "a table"
    else:
        text = str(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def split(annotation: object) -> tuple[object, tuple[msgspec.Meta, ...]]:
    """The type itself and what is said about it; `UNSET` (may be left out) is dropped from unions."""
    metas: tuple[msgspec.Meta, ...] = ()
    while get_origin(annotation) is Annotated:
        annotation, *more = get_args(annotation)
        metas = (*metas, *(meta for meta in more if isinstance(meta, msgspec.Meta)))
    if is_union(annotation):
        members = [member for member in get_args(annotation) if member is not msgspec.UnsetType]
        if len(members) == 1:
            inner, inner_metas = split(members[0])
            return inner, (*metas, *inner_metas)
    return annotation, metas


def is_union(annotation: object) -> bool:
    return get_origin(annotation) in (Union, types.UnionType)


def extra(metas: tuple[msgspec.Meta, ...], name: str) -> object:
    """What `Meta.extra` says under `name`, or None."""
    return next((meta.extra[name] for meta in metas if meta.extra and name in meta.extra), None)


def description(annotation: object) -> str:
    """The outermost description of a type."""
    return next((meta.description for meta in reversed(split(annotation)[1]) if meta.description), "")


def allowed(annotation: object) -> str:
    """What may stand where `annotation` is asked for, in words."""
    bare, metas = split(annotation)
    said = extra(metas, "allowed")
    if isinstance(said, str):
        return said
    if get_origin(bare) is Literal:
        return _either([f'"{word}"' for word in get_args(bare)])
    if is_union(bare):
        members = [member for member in get_args(bare) if member is not msgspec.UnsetType]
        every = set(members) == set(PLAIN)
        return "true, false, a number or a text" if every else _either([allowed(member) for member in members])
    if get_origin(bare) is tuple:
        return f"a list, each item {allowed(get_args(bare)[0])}"
    return PLAIN[bare] + _limits(metas) if bare in PLAIN else "a table"


def _either(words: list[str]) -> str:
    return " or ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)


def _limits(metas: tuple[msgspec.Meta, ...]) -> str:
    limits = [
        f"{words} {limit:g}"
        for meta in metas
        for words, limit in (("above", meta.gt), ("at least", meta.ge), ("below", meta.lt), ("at most", meta.le))
        if limit is not None
    ]
    return " " + " and ".join(limits) if limits else ""
