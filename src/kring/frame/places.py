"""Where each key of a TOML text stands, and which keys stand twice."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import tree_sitter_toml
from tree_sitter import Language, Node, Parser

Key = tuple[str | int, ...]
BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
KEYS: Final = ("bare_key", "quoted_key", "dotted_key")
DEEPEST: Final = 16
LANGUAGE: Final = Language(tree_sitter_toml.language())


@dataclass(frozen=True)
class Repeat:
    """A key that stands at `first` and again at `line`, and what to do about it."""

    key: Key
    line: int
    first: int
    remedy: str = "remove one of the two"


@dataclass
class Places:
    """Lines from 1, by key: `("rollout", "steps", 2)` is the third item of `rollout.steps`."""

    lines: dict[Key, int] = field(default_factory=dict)
    repeats: list[Repeat] = field(default_factory=list)
    too_deep: int = 0
    """The first line with more than 16 levels of keys, tables and lists; 0 without one."""

    def line(self, key: Key) -> int:
        """The line of `key`, else that of the nearest table around it, else 1."""
        while key and key not in self.lines:
            key = key[:-1]
        return self.lines.get(key, 1)


def places(text: str) -> Places:
    """Find every key of `text`. A text that is not quite TOML gives what could be understood of it."""
    marker = _Marker()
    table: Key = ()
    for node in Parser(LANGUAGE).parse(text.encode()).root_node.children:
        if node.type == "pair":
            marker.pair(node, ())
        elif node.type in ("table", "table_array_element"):
            table = marker.header(node)
            for child in node.children:
                if child.type == "pair":
                    marker.pair(child, table)
    return marker.places


def key_text(key: Key) -> str:
    """`("gate", "fairness.*")` as `gate."fairness.*"`, `("candidate", 0, "fit")` as `candidate[0].fit`."""
    text = ""
    for part in key:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = part if BARE.fullmatch(part) else '"' + part.replace('"', '\\"') + '"'
            text += f".{name}" if text else name
    return text


class _Marker:
    """Walks the syntax tree and keeps count of the elements of each array of tables."""

    def __init__(self) -> None:
        self.places = Places()
        self._counts: dict[Key, int] = {}
        self._headers: set[Key] = set()
        self._pairs: set[Key] = set()
        self._lost = False  # after a header that means another table than it says, keys only seem to repeat

    def header(self, node: Node) -> Key:
        line = node.start_point.row + 1
        names = _names(node)
        if not names or self._deep(names, line):
            return ()
        key = self._located(names[:-1], line)
        key = (*key, names[-1])
        if node.type == "table_array_element":
            self.places.lines.setdefault(key, line)
            self._counts[key] = self._counts.get(key, -1) + 1
            key = (*key, self._counts[key])
        elif key in self._counts:
            self._repeat(key, line, remedy=f"write [[{key_text(key)}]] in double brackets")
            self._lost = True
        elif key in self._headers or key in self._pairs:
            self._repeat(key, line)
        self._headers.add(key)
        self.places.lines[key] = line
        return key

    def pair(self, node: Node, table: Key) -> None:
        line = node.start_point.row + 1
        key = table
        names = _names(node)
        if self._deep([*table, *names], line):
            return
        for name in names:
            key = (*key, name)
            self.places.lines.setdefault(key, line)
        if key in self._pairs or key in self._headers:
            self._repeat(key, line)
        self._pairs.add(key)
        if node.child_count > 2:
            self._value(node.children[-1], key)

    def _value(self, node: Node, key: Key) -> None:
        if node.type == "inline_table":
            for child in node.children:
                if child.type == "pair":
                    self.pair(child, key)
        elif node.type == "array" and not self._deep(key, node.start_point.row + 1):
            items = [child for child in node.children if child.is_named and child.type != "comment"]
            for number, child in enumerate(items):
                self.places.lines[(*key, number)] = child.start_point.row + 1
                self._value(child, (*key, number))

    def _deep(self, key: Sequence[str | int], line: int) -> bool:
        deep = len(key) > DEEPEST
        if deep and not self.places.too_deep:
            self.places.too_deep = line
        return deep

    def _located(self, names: list[str], line: int) -> Key:
        """The key of the tables around a header: within an array of tables, the newest element."""
        key: Key = ()
        for name in names:
            key = (*key, name)
            self.places.lines.setdefault(key, line)
            if key in self._counts:
                key = (*key, self._counts[key])
        return key

    def _repeat(self, key: Key, line: int, *, remedy: str = Repeat.remedy) -> None:
        if not self._lost:
            self.places.repeats.append(Repeat(key, line, self.places.lines[key], remedy))


def _names(node: Node) -> list[str]:
    """The parts of the key under `node`, which is a pair or a header; a few more than 16 at the most."""
    names: list[str] = []
    dotted: Node | None = node
    while dotted is not None and len(names) <= DEEPEST:
        keys = [child for child in dotted.children if child.type in KEYS]
        names[:0] = [_name((child.text or b"").decode()) for child in keys if child.type != "dotted_key"]
        dotted = next((child for child in keys if child.type == "dotted_key"), None)
    return names


def _name(text: str) -> str:
    """A key without its quotes."""
    if not text.startswith(('"', "'")):
        return text
    try:
        return next(iter(tomllib.loads(f"{text} = 0")))
    except tomllib.TOMLDecodeError:
        return text
