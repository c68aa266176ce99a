"""The recipe as a file: `clean.toml`, written for people and read back with the line of every fault."""

from __future__ import annotations

import hashlib
import json
import math
import re
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, TypeVar

import msgspec

from kring.errors import ConfigError
from kring.record.recipe import Dependency, Duplicates, Repair, Scale, Split, Values

FILE: Final = "clean.toml"
LARGEST: Final = 1 << 26
BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
PATH: Final = re.compile(r" - at `(?:key in )?\$(.*)`$")
STEP: Final = re.compile(r"\.([^.\[]+)|\[(\d+)\]")
UNKNOWN: Final = re.compile(r"unknown field `([^`]+)`")
PLACE: Final = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
FIRST: Final = ("kind", "id", "trust", "why", "cells", "rows")

Key = tuple[str | int, ...]
LineOf = Callable[[Key], int]
T = TypeVar("T")


class Fault(Protocol):
    """Notes a fault at a key of the file."""

    def __call__(self, message: str, key: Key, *, allowed: str = "", next: str = "") -> None: ...


class Head(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose recipe it is, and how often it was changed by accepting something."""

    system: str
    contract: str
    version: int


@dataclass(frozen=True, slots=True)
class RecipeFile:
    """What `clean.toml` says."""

    head: Head
    repairs: tuple[Repair, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON of the repairs."""
        return hashlib.sha256(msgspec.json.encode(self.repairs, order="sorted")).hexdigest()


def encode(recipe: RecipeFile) -> bytes:
    """The text of the file: one `[[repair]]` each, short keys first, tables last."""
    lines = [
        "# Repairs that a person accepted for the feed of this system.",
        "# Every later feed is repaired in this way before it is checked. `kring clean` proposes more;",
        "# to take one back, delete its [[repair]] with the tables below it.",
        "",
        "[recipe]",
        *(f"{name} = {_value(value)}" for name, value in msgspec.structs.asdict(recipe.head).items()),
    ]
    for repair in recipe.repairs:
        lines += ["", "[[repair]]", *_repair_lines(repair)]
    return ("\n".join(lines) + "\n").encode()


def _repair_lines(repair: Repair) -> Iterator[str]:
    table: dict[str, object] = msgspec.to_builtins(repair)
    rest = [name for name in table if name not in FIRST]
    for name in (*FIRST, *rest):
        if not isinstance(table[name], dict):
            yield f"{name} = {_value(table[name])}"
    for name in rest:
        yield from _table_lines(("repair", name), table[name])


def _table_lines(path: tuple[str, ...], value: object) -> Iterator[str]:
    if isinstance(value, dict):
        plain = {key: one for key, one in value.items() if not isinstance(one, dict)}
        if plain or not value:
            yield f"[{'.'.join(map(_key, path))}]"
        for key, one in plain.items():
            yield f"{_key(key)} = {_value(one)}"
        for key, one in value.items():
            yield from _table_lines((*path, key), one)


def _key(key: str) -> str:
    return key if BARE.fullmatch(key) else _value(key)


def _value(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def decode(data: bytes, *, file: str, line_of: Callable[[str], LineOf]) -> RecipeFile:
    """Read the file back. `ConfigError` with every fault and its line; `line_of(text)` finds the line of a key."""
    text = _text(data, file=file)
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise _not_toml(str(error), text, file=file) from error
    faults: list[ConfigError] = []
    line = _Once(text, line_of)

    def fault(message: str, key: Key, *, allowed: str = "", next: str = "") -> None:
        told = ConfigError(message, file=file, line=line(key), key=_key_text(key), allowed=allowed, next=next)
        faults.append(told)

    for name in table.keys() - {"recipe", "repair"}:
        fault("there is no such key in a recipe", (name,), allowed="recipe, repair", next="remove it")
    head = _checked(lambda: msgspec.convert(table.get("recipe", {}), Head), ("recipe",), fault)
    listed = table.get("repair", [])
    if not isinstance(listed, list):
        fault("this is not a list", ("repair",), allowed="[[repair]] in double brackets")
        listed = []
    made = [
        _checked(partial(msgspec.convert, one, Repair), ("repair", number), fault) for number, one in enumerate(listed)
    ]
    for number, repair in enumerate(made):
        if repair is not None:
            for key, message, next in _contradictions(repair, [one for one in made[:number] if one is not None]):
                fault(message, ("repair", number, *key), next=next)
    if faults or head is None:
        raise _broken(file, faults)
    return RecipeFile(head, tuple(repair for repair in made if repair is not None))


def hold_against(
    recipe: RecipeFile,
    *,
    system: str,
    contract: str,
    columns: Collection[str],
    later: Collection[str],
    file: str,
    line: LineOf,
) -> None:
    """`ConfigError` when the recipe is that of another system or contract, names columns that the contract does
    not promise, or mends one column by another that is known only `later`, such as the outcome. `line` finds the
    line of a key."""
    faults = [
        ConfigError(
            f"this recipe was accepted for another {what}",
            file=file,
            line=line(("recipe", what)),
            key=f"recipe.{what}",
            got=got,
            allowed=wanted,
            next="put this system's own clean.toml here, or remove the file and run kring clean",
        )
        for what, got, wanted in (
            ("system", recipe.head.system, system),
            ("contract", recipe.head.contract, contract),
        )
        if got != wanted
    ]
    for number, repair in enumerate(recipe.repairs):
        for key, name in columns_of(repair):
            if name not in columns:
                faults.append(
                    ConfigError(
                        f"the contract has no column {name}",
                        file=file,
                        line=line(("repair", number, key)),
                        key=_key_text(("repair", number, key)),
                        got=name,
                        allowed=", ".join(sorted(columns)[:20]),
                        next=f"delete the repair {repair.id}, or name one of these columns",
                    )
                )
        faults += _from_later(repair, ("repair", number), later=later, file=file, line=line)
    if faults:
        raise _broken(file, faults)


def _from_later(repair: Repair, key: Key, *, later: Collection[str], file: str, line: LineOf) -> list[ConfigError]:
    named = [] if isinstance(repair, Duplicates) else columns_of(repair)
    return [
        ConfigError(
            f"{name} is not known yet when a decision is made: no other column can be mended by it",
            file=file,
            line=line((*key, part)),
            key=_key_text((*key, part)),
            got=name,
            next=f"delete the repair {repair.id}",
        )
        for part, name in named
        if name in later and len({other for _, other in named}) > 1
    ]


def columns_of(repair: Repair) -> list[tuple[str, str]]:
    """The columns that a repair reads or changes, each with the key that names it."""
    if isinstance(repair, Duplicates):
        return [("key", name) for name in repair.key]
    named = [("column", repair.column)]
    if isinstance(repair, Split):
        named.append(("into", repair.into))
    if isinstance(repair, Dependency):
        named += [("by", name) for name in repair.by]
    return named


class _Once:
    """Finds lines, and looks for keys only when a line is asked for."""

    def __init__(self, text: str, line_of: Callable[[str], LineOf]) -> None:
        self._text, self._make = text, line_of
        self._found: LineOf | None = None

    def __call__(self, key: Key) -> int:
        self._found = self._found or self._make(self._text)
        return self._found(key)


def _text(data: bytes, *, file: str) -> str:
    if len(data) > LARGEST:
        raise ConfigError(
            "the recipe is too large", file=file, got=f"{len(data):,} bytes", allowed=f"{LARGEST:,} bytes"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            "this is not a text in UTF-8", file=file, line=line, allowed="UTF-8", next="save it as UTF-8"
        ) from error


def _not_toml(message: str, text: str, *, file: str) -> ConfigError:
    place = PLACE.search(message)
    line = int(place[1]) if place and place[1] else text.count("\n") + 1
    return ConfigError(
        f"this is not TOML: {PLACE.sub('', message) or 'tables lie too deep'}",
        file=file,
        line=line,
        allowed="TOML 1.0, see https://toml.io",
        next="undo the last change of this file",
    )


def _checked(convert: Callable[[], T], at: Key, fault: Fault) -> T | None:
    try:
        return convert()
    except msgspec.ValidationError as error:
        message = str(error)
        found, unknown = PATH.search(message), UNKNOWN.search(message)
        steps = STEP.findall(found[1].replace("[...]", "")) if found else []
        key: Key = (*at, *(name or int(number) for name, number in steps if name != "..."))
        told = PATH.sub("", message)
        fault(
            told[:1].lower() + told[1:],
            (*key, unknown[1]) if unknown else key,
            next="undo the change, or delete this repair and run kring clean",
        )
        return None


def _contradictions(repair: Repair, before: Sequence[Repair]) -> Iterator[tuple[Key, str, str]]:
    """What types can't say: (key, message, next)."""
    if any(one.id == repair.id for one in before):
        yield ("id",), f"two repairs share the id {repair.id}", "give each an id of its own"
    if isinstance(repair, Values):
        yield from _chains(repair.table)
    elif isinstance(repair, Scale):
        yield from _limits(repair)
    elif isinstance(repair, Split) and repair.column == repair.into:
        yield ("into",), "a column can't be split into itself", "name another column"
    elif isinstance(repair, Dependency):
        yield from _circles(repair, [one for one in before if isinstance(one, Dependency)])


def _chains(table: Mapping[str, str]) -> Iterator[tuple[Key, str, str]]:
    for wrong, right in table.items():
        if right in table:
            yield ("table", wrong), f"{right!r} is itself replaced", "write the last value of the chain"


def _limits(repair: Scale) -> Iterator[tuple[Key, str, str]]:
    numbers = (repair.low, repair.high, repair.factor)
    if not all(math.isfinite(number) and number > 0 for number in numbers) or repair.low >= repair.high:
        yield ("low",), "limits and factor are finite and above 0, and low is below high", "write 0 < low < high"
    elif repair.low < repair.high * repair.factor and repair.low * repair.factor < repair.high:
        yield ("factor",), "a number that was moved would be moved again", "choose limits nearer to each other"


def _circles(repair: Dependency, before: Sequence[Dependency]) -> Iterator[tuple[Key, str, str]]:
    if repair.column in repair.by:
        yield ("by", repair.column), f"{repair.column} can't decide itself", "delete this table"
    if repair.over == "any":
        others = [one for one in before if one.over == "any"]
        decided, deciding = {one.column for one in others}, {name for one in others for name in one.by}
        if repair.column in decided | deciding or decided & repair.by.keys():
            message = f"{repair.column} and what decides it are already part of another repair over any value"
            yield ("over",), message, 'write over = "unknown", or delete one of the two'


def _key_text(key: Key) -> str:
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{_key(part)}" if text else _key(part)
    return text


def _broken(file: str, faults: Sequence[ConfigError]) -> ConfigError:
    count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    ordered = tuple(sorted(faults, key=lambda one: (one.line, one.key)))
    return ConfigError(f"{count} in {FILE}", file=file, faults=ordered)
