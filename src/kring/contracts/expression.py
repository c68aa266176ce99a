"""The tree of a parsed expression, and how its faults are told."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from kring.errors import ExpressionError
from kring.record.decision import Value

SHOWN = 60


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, a text, true, false or null. `at` is the place in the text, from 0."""

    value: Value
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class FieldName:
    """The value of a raw field."""

    name: str
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """An operator or a function by its name in `kring.contracts.functions`."""

    function: str
    arguments: tuple[Node, ...]
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class LookupCall:
    """The value that table `name` holds for `key`."""

    name: str
    key: tuple[Node, ...]
    at: int = field(default=0, compare=False)


Node: TypeAlias = Literal | FieldName | Call | LookupCall


@dataclass(frozen=True, slots=True)
class Source:
    """The text of an expression and where it stands."""

    text: str
    file: str = ""
    line: int = 0
    key: str = ""

    def fault(self, message: str, *, at: int = 0, got: str = "", allowed: str = "", next: str = "") -> ExpressionError:
        """The error to raise for the part that begins at character `at`."""
        before = self.text[:at]
        row, column = before.count("\n"), at - (before.rfind("\n") + 1) + 1
        place = f"line {row + 1}, column {column}" if "\n" in self.text else f"column {column}"
        return ExpressionError(
            f"{message}, at {place} of the expression",
            got=shown(got or self.text),
            allowed=allowed,
            next=next,
            file=self.file,
            line=self.line,
            key=self.key,
        )


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression. Two are equal when their trees are."""

    root: Node
    source: Source = field(compare=False)


def inside(node: Node) -> tuple[Node, ...]:
    """The parts directly below `node`."""
    match node:
        case Call(arguments=parts) | LookupCall(key=parts):
            return parts
        case _:
            return ()


def shown(text: str) -> str:
    """`text` on one line, cut to a length that fits into a message."""
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}…"


def nearest(name: str, known: Iterable[str]) -> str:
    """'did you mean X?', or all known names when they are few, or nothing."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known are {', '.join(names)}" if 0 < len(names) <= 12 else ""
