"""YAML as a tree that knows its lines: data only, bounded, nothing is ever executed.

Plain values follow the core schema of YAML 1.2, so `no` and `on` are texts and a date stays the text
it was. Tags, aliases, second documents and duplicate keys are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec
import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from kring.contracts.faults import Faults
from kring.errors import ConfigError
from kring.record.contract import Scalar

MAX_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 64
MAX_NUMBER: Final = 64

INTEGER: Final = re.compile(r"[-+]?[0-9]+")
FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
WORDS: Final[dict[str, Scalar]] = {
    "": None,
    "~": None,
    **dict.fromkeys(("null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One value and the line it stands on (from 1; the key's line for a value in a mapping).

    Exactly one of: `keys` (a mapping), `items` (a list), else the scalar `value`.
    """

    line: int
    value: Scalar = None
    items: tuple[Node, ...] | None = None
    keys: dict[str, Node] | None = None

    def get(self, key: str) -> Node | None:
        """The value at `key`; None when it is missing, null, or this is not a mapping."""
        found = (self.keys or {}).get(key)
        return None if found is None or found.is_null else found

    def text(self, key: str) -> str:
        """The text at `key`; empty when there is none."""
        found = self.get(key)
        return found.value if found is not None and isinstance(found.value, str) else ""

    def list(self, key: str) -> tuple[Node, ...]:
        """The items of the list at `key`; empty when there is none."""
        found = self.get(key)
        return (found.items or ()) if found is not None else ()

    def flag(self, key: str) -> bool:
        """Whether `key` is there and true."""
        found = self.get(key)
        return found is not None and found.value is True

    @property
    def is_null(self) -> bool:
        return self.keys is None and self.items is None and self.value is None

    @property
    def shown(self) -> str:
        """The value as a message shows it, with its kind."""
        if self.keys is not None:
            return "a mapping"
        if self.items is not None:
            return "a list"
        if self.value is None:
            return "nothing"
        if isinstance(self.value, bool):
            return f"{str(self.value).lower()} (true or false)"
        kind = "text" if isinstance(self.value, str) else "number"
        return f"{str(self.value)[:80]} ({kind})"


def plain(text: str) -> Scalar:
    """What an unquoted scalar means in the core schema of YAML 1.2."""
    if text in WORDS:
        return WORDS[text]
    if len(text) <= MAX_NUMBER and INTEGER.fullmatch(text):
        return int(text)
    if len(text) <= MAX_NUMBER and FLOAT.fullmatch(text):
        return float(text)
    return text


def _line(event: Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 0


class _Builder:
    def __init__(self, events: Iterator[Event], faults: Faults) -> None:
        self._events = events
        self._faults = faults

    def build(self, event: Event, *, path: str, depth: int, line: int = 0) -> Node:
        line = line or _line(event)
        if depth > MAX_DEPTH:
            raise self._fatal("nested too deeply", line=line, allowed=f"{MAX_DEPTH} levels")
        if isinstance(event, AliasEvent):
            raise self._fatal("an alias (*name) is not allowed", line=line, next="write the value again")
        if getattr(event, "tag", None) not in (None, "!"):
            raise self._fatal("a tag (!name) is not allowed", line=line, next="remove the tag")
        if isinstance(event, ScalarEvent):
            quoted = bool(event.style)
            return Node(line=line, value=event.value if quoted else plain(event.value))
        if isinstance(event, SequenceStartEvent):
            return Node(line=line, items=tuple(self._items(path, depth)))
        return Node(line=line, keys=self._keys(path, depth))

    def _items(self, path: str, depth: int) -> Iterator[Node]:
        index = 0
        while not isinstance(event := next(self._events), SequenceEndEvent):
            yield self.build(event, path=f"{path}[{index}]", depth=depth + 1)
            index += 1

    def _keys(self, path: str, depth: int) -> dict[str, Node]:
        keys: dict[str, Node] = {}
        while not isinstance(event := next(self._events), MappingEndEvent):
            line = _line(event)
            if not isinstance(event, ScalarEvent):
                raise self._fatal("a key that is not a text", line=line, next="write the key as plain text")
            key = f"{path}.{event.value}" if path else event.value
            node = self.build(next(self._events), path=key, depth=depth + 1, line=line)
            if event.value in keys:
                before = keys[event.value].line
                self._faults.add(
                    "a key that stands twice",
                    line=line,
                    key=key,
                    got=event.value,
                    next=f"the first is on line {before}",
                )
            keys.setdefault(event.value, node)
        return keys

    def _fatal(self, message: str, *, line: int, allowed: str = "", next: str = "") -> ConfigError:
        fault = ConfigError(message, allowed=allowed, next=next, file=self._faults.file, line=line)
        return ConfigError("not a contract that can be read", faults=(fault,), file=self._faults.file)


def parse(data: bytes, *, faults: Faults) -> Node:
    """The one document in `data` (UTF-8, at most 1 MiB) as a tree; duplicate keys go to `faults`.

    `ConfigError` for anything that can't be read as such a document.
    """
    file = faults.file
    if len(data) > MAX_BYTES:
        raise ConfigError("the file is too large", got=f"{len(data)} bytes", allowed=f"{MAX_BYTES} bytes", file=file)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError("not UTF-8", got=f"byte {error.start}", next="save the file as UTF-8", file=file) from error
    try:
        return _document(text, faults)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        fault = ConfigError(f"not YAML: {error.problem or error.context}", file=file, line=line)
        raise ConfigError("not a contract that can be read", faults=(fault,), file=file) from error
    except yaml.YAMLError as error:
        raise ConfigError("not YAML", got=str(error)[:200], file=file) from error


def _document(text: str, faults: Faults) -> Node:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    events: Iterator[Event] = iter(yaml.parse(text, Loader=loader))
    start = next((event for event in events if isinstance(event, DocumentStartEvent)), None)
    if start is None:
        raise ConfigError("the file is empty", next="write a contract (docs/contract.md)", file=faults.file)
    root = _Builder(events, faults).build(next(events), path="", depth=0)
    for event in events:
        if isinstance(event, DocumentStartEvent):
            line = _line(event)
            raise ConfigError("a second document", next="one contract per file", file=faults.file, line=line)
    return root
