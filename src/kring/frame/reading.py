"""Holds a parsed file against its table types, and keeps every fault instead of stopping at the first."""

from __future__ import annotations

import math
from typing import Final, Literal, get_args, get_origin

import msgspec

from kring.errors import ConfigError
from kring.frame.places import Key, key_text
from kring.frame.source import Source
from kring.frame.tables import OTHERS, File, fields_of
from kring.frame.wording import LARGEST, allowed, did_you_mean, extra, is_union, shown, split

DELETE: Final = 127


class Reading:
    """What is right so far (`good`, by key), what is not (`faults`), and where it stands."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.faults: list[ConfigError] = []
        self.good: dict[Key, object] = {}

    def fault(self, key: Key, message: str, *, got: str = "", allowed: str = "", next: str = "") -> None:
        """Keep one fault, at the line of `key` or of the nearest table around it."""
        self.faults.append(
            ConfigError(
                message,
                file=self.source.file,
                line=self.source.places.line(key),
                key=key_text(key),
                got=got,
                allowed=allowed,
                next=next,
            )
        )

    def raw(self, key: Key) -> object:
        """What stands at `key`, right or wrong; None when nothing does."""
        value: object = self.source.table
        for part in key:
            if isinstance(value, list) and isinstance(part, int):
                value = value[part] if part < len(value) else None
            else:
                value = value.get(part) if isinstance(value, dict) else None
        return value

    def text(self, key: Key) -> str:
        """The text at `key` if it is a right one, else an empty text."""
        value = self.good.get(key)
        return value if isinstance(value, str) else ""

    def entries(self, key: Key) -> dict[str, object]:
        """The table at `key`, right or wrong; empty when there is none."""
        value = self.raw(key)
        return value if isinstance(value, dict) else {}

    def length(self, key: Key) -> int:
        """How many items the list at `key` has."""
        value = self.raw(key)
        return len(value) if isinstance(value, list) else 0


def read_types(reading: Reading, file: type[msgspec.Struct] = File) -> None:
    """Fill `reading` with what is right and wrong in each key of a `file` by itself."""
    _table(reading, file, (), reading.source.table)


def _value(reading: Reading, annotation: object, key: Key, value: object) -> None:
    bare, _ = split(annotation)
    if isinstance(value, dict) and isinstance(bare, type) and issubclass(bare, msgspec.Struct):
        _table(reading, bare, key, value)
    elif isinstance(value, dict) and get_origin(bare) is dict:
        _entries(reading, annotation, key, value)
    elif isinstance(value, list) and get_origin(bare) is tuple:
        _items(reading, annotation, key, value)
    else:
        _leaf(reading, annotation, key, value)


def _table(reading: Reading, table: type[msgspec.Struct], key: Key, values: dict[str, object]) -> None:
    fields = fields_of(table)
    for name, value in values.items():
        if name in fields:
            _value(reading, fields[name].type, (*key, name), value)
        elif table in OTHERS and not _misspelt(name, list(fields)):
            _value(reading, OTHERS[table][1], (*key, name), value)
        else:
            _unknown(reading, (*key, name), list(fields))
    for name, field in fields.items():
        if field.required and name not in values:
            _missing(reading, (*key, name), field.type)


def _misspelt(name: str, known: list[str]) -> bool:
    """Whether a key of an open table is one of its own keys but for capitals, hyphens or spaces."""
    return name.lower().replace("-", "_").replace(" ", "_") in known


def _entries(reading: Reading, annotation: object, key: Key, values: dict[str, object]) -> None:
    bare, metas = split(annotation)
    name_type, value_type = get_args(bare)
    if len(values) < max((meta.min_length or 0 for meta in metas), default=0):
        reading.fault(key, "this table is empty", got="{}", next="add what it is for, or remove it")
    for name, value in values.items():
        if not _right(name_type, name):
            reading.fault((*key, name), "this name is not allowed", got=shown(name), allowed=allowed(name_type))
        _value(reading, value_type, (*key, name), value)


def _items(reading: Reading, annotation: object, key: Key, values: list[object]) -> None:
    bare, metas = split(annotation)
    before = len(reading.faults)
    for number, value in enumerate(values):
        _value(reading, get_args(bare)[0], (*key, number), value)
        if extra(metas, "unique") and value in values[:number]:
            reading.fault((*key, number), "this item is listed twice", got=shown(value), next="remove one of the two")
    shortest = max((meta.min_length or 0 for meta in metas), default=0)
    if len(values) < shortest:
        reading.fault(key, "the list is too short", got=shown(values), allowed=f"at least {shortest}")
    elif len(reading.faults) == before:
        reading.good[key] = tuple(values)


def _leaf(reading: Reading, annotation: object, key: Key, value: object) -> None:
    if _right(annotation, value):
        reading.good[key] = value
        return
    reading.fault(
        key,
        "this value is not allowed here",
        got=shown(value),
        allowed=allowed(annotation),
        next=_remedy(annotation, value, key),
    )


def _right(annotation: object, value: object) -> bool:
    """Whether `value` is what `annotation` asks for. Stricter than TOML: no control characters in a
    text, no endless numbers, no whole numbers beyond 64 bits."""
    if isinstance(value, str) and any((sign < " " and sign not in "\n\t") or ord(sign) == DELETE for sign in value):
        return False
    if isinstance(value, float) and not math.isfinite(value):
        return False
    if isinstance(value, int) and not -LARGEST <= value < LARGEST:
        return False
    try:
        msgspec.convert(value, annotation)
    except msgspec.ValidationError:
        return False
    return not isinstance(value, str) or _fits(annotation, value)


def _fits(annotation: object, value: str) -> bool:
    """What patterns can't say: a name has one line, a duration has an end."""
    bare, metas = split(annotation)
    if is_union(bare):
        return any(split(member)[0] is str and _fits(member, value) for member in get_args(bare))
    fits = extra(metas, "fits")
    if any(meta.pattern and meta.pattern.endswith("$") for meta in metas) and "\n" in value:
        return False
    return fits(value) is True if callable(fits) else True


def _remedy(annotation: object, value: object, key: Key) -> str:
    """What was probably meant."""
    bare, _ = split(annotation)
    if isinstance(value, str):
        return _text_remedy(annotation, value)
    if isinstance(value, dict):
        return _table_remedy(bare, value, key)
    if isinstance(value, (bool, int, float)) and abs(value) < LARGEST and _right(annotation, shown(value)):
        return f'write "{shown(value)}" in quotes'
    return ""


def _text_remedy(annotation: object, value: str) -> str:
    bare, _ = split(annotation)
    if get_origin(bare) is Literal:
        return did_you_mean(value, get_args(bare))
    if get_origin(bare) is tuple and _right(annotation, [value]):
        return f"write [{shown(value)}] in brackets"
    for meant, truth in (("true", True), ("false", False)):
        if value.strip().lower() == meant and _right(annotation, truth):
            return f"write {meant} without quotes"
    return f"write {value.strip()} without quotes" if _number(annotation, value) else ""


def _table_remedy(bare: object, value: dict[str, object], key: Key) -> str:
    if get_origin(bare) is tuple:
        return f"write [[{key_text(key)}]] in double brackets"
    if key[0] == "gate":
        return f'put the whole name in quotes: "{key[-1]}.{next(iter(value), "*")}"'
    return ""


def _number(annotation: object, value: str) -> bool:
    """Whether the text holds a number that would be right without its quotes."""
    for kind in (int, float):
        try:
            if _right(annotation, kind(value)):
                return True
        except ValueError:
            continue
    return False


def _unknown(reading: Reading, key: Key, known: list[str]) -> None:
    name = str(key[-1])
    homes = [table for table, keys in _HOMES.items() if name in keys]
    elsewhere = f"`{name}` belongs in [{homes[0]}]" if homes and len(key) > 1 else ""
    next = elsewhere if homes and len(homes) == 1 and elsewhere else ""
    reading.fault(
        key,
        f"there is no {'key' if len(key) > 1 else 'table'} of this name",
        got=shown(name),
        allowed=", ".join(known),
        next=did_you_mean(name, known, otherwise=next or elsewhere or "remove it"),
    )


def _missing(reading: Reading, key: Key, annotation: object) -> None:
    what = "table" if len(key) == 1 else "key"
    example = "[[candidate]]" if key == ("candidate",) else f"[{key[0]}]" if len(key) == 1 else key_text(key[-1:])
    reading.fault(key, f"this {what} is missing", allowed=allowed(annotation), next=f"add {example}")


def _known_keys(table: type[msgspec.Struct]) -> dict[str, frozenset[str]]:
    """The keys of each plain table."""
    known = {}
    for field in fields_of(table).values():
        bare, _ = split(field.type)
        if isinstance(bare, type) and issubclass(bare, msgspec.Struct):
            known[field.name] = frozenset(fields_of(bare))
    return known


_HOMES: Final = _known_keys(File)
