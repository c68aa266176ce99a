"""Patterns that match in time linear in the text, with the same meaning for tables and rows.

The syntax is the part that ECMA-262 and Rust share: texts, `.`, classes, groups, `|`, `* + ? {m,n}`,
`^` and `$` (begin and end of the whole text), `\\d \\w \\s` for ASCII. A pattern may match anywhere in
the text unless it is anchored. Rows are matched by a finite automaton built as it is needed (Thompson,
"Regular expression search algorithm", CACM 11(6), 1968), which no pattern can slow down; tables get
`Pattern.text`, the same pattern spelled out for Rust's engine.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

from kring.errors import ExpressionError

MAX_CHARACTERS: Final = 1_000
MAX_STATES: Final = 2_000
MAX_CACHE: Final = 4_096
LAST: Final = 0x10FFFF

Ranges: TypeAlias = tuple[tuple[int, int], ...]

_DIGIT: Final[Ranges] = ((48, 57),)
_WORD: Final[Ranges] = ((48, 57), (65, 90), (95, 95), (97, 122))
_SPACE: Final[Ranges] = ((9, 13), (32, 32))
_CONTROLS: Final = {"t": 9, "n": 10, "v": 11, "f": 12, "r": 13}
_PUNCTUATION: Final = frozenset("\\^$.|?*+()[]{}/-_ @#%&~=:;,!\"'<>`")


@dataclass(frozen=True, slots=True)
class Set:
    """One character out of inclusive ranges of code points."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Edge:
    """The begin (`^`) or the end (`$`) of the text."""

    end: bool


@dataclass(frozen=True, slots=True)
class Chain:
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """`part` from `low` to `high` times; without end when `high` is None."""

    part: Part
    low: int
    high: int | None


Part: TypeAlias = Set | Edge | Chain | Choice | Repeat


def complement(ranges: Ranges) -> Ranges:
    """Every code point outside `ranges`."""
    gaps, start = [], 0
    for low, high in _merged(ranges):
        if start < low:
            gaps.append((start, low - 1))
        start = high + 1
    if start <= LAST:
        gaps.append((start, LAST))
    return tuple(gaps)


def _merged(ranges: Ranges) -> Ranges:
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


_CLASSES: Final = {
    "d": _DIGIT,
    "w": _WORD,
    "s": _SPACE,
    "D": complement(_DIGIT),
    "W": complement(_WORD),
    "S": complement(_SPACE),
}


class _Reader:
    """Recursive descent over the pattern's characters."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def fault(self, message: str, next: str = "") -> ExpressionError:
        return ExpressionError(
            f"{message}, at column {self.at + 1} of the pattern",
            got=self.text[:80],
            allowed=r"texts, . [a-z] [^a-z] ( ) (?: ) | * + ? {m,n} ^ $ \d \w \s",
            next=next,
        )

    def peek(self, ahead: int = 0) -> str:
        return self.text[self.at + ahead : self.at + ahead + 1]

    def take(self) -> str:
        char = self.peek()
        if not char:
            raise self.fault("the pattern ends too early")
        self.at += 1
        return char

    def choice(self, depth: int = 0) -> Part:
        if depth > 30:
            raise self.fault("groups are nested too deeply")
        parts = [self.chain(depth)]
        while self.peek() == "|":
            self.take()
            parts.append(self.chain(depth))
        return parts[0] if len(parts) == 1 else Choice(tuple(parts))

    def chain(self, depth: int) -> Part:
        parts = []
        while self.peek() not in ("", "|", ")"):
            parts.append(self.repeated(depth))
        return Chain(tuple(parts))

    def repeated(self, depth: int) -> Part:
        part = self.atom(depth)
        low, high = self.count()
        if (low, high) == (1, 1):
            return part
        if isinstance(part, Edge):
            raise self.fault("^ and $ can't be repeated")
        if self.peek() == "?":
            self.take()
        if self.peek() and self.peek() in "*+{":
            raise self.fault("a repetition of a repetition", next="put the inner part in brackets (?: )")
        return Repeat(part, low, high)

    def count(self) -> tuple[int, int | None]:
        simple: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
        char = self.peek()
        if char in simple:
            self.take()
            return simple[char]
        if char != "{":
            return 1, 1
        close = self.text.find("}", self.at)
        low, comma, high = self.text[self.at + 1 : max(close, self.at)].partition(",")
        if not low.isascii() or not low.isdigit() or not (high == "" or (high.isascii() and high.isdigit())):
            raise self.fault("{ begins a repetition such as {2} or {1,3}", next=r"write \{ for the sign itself")
        if len(low) > 4 or len(high) > 4 or (high and int(high) < int(low)):
            raise self.fault("a repetition that is too large or ends before it begins")
        self.at = close + 1
        return int(low), (int(high) if high else None if comma else int(low))

    def atom(self, depth: int) -> Part:
        char = self.take()
        if char == "(":
            return self.group(depth)
        if char == "[":
            return Set(self.bracket())
        if char == "\\":
            return Set(self.escape())
        if char in "^$":
            return Edge(end=char == "$")
        if char == ".":
            return Set(complement(((10, 10),)))
        if char in "*+?{}":
            raise self.fault(f"nothing to repeat before {char}", next=f"write \\{char} for the sign itself")
        if char == "]":
            raise self.fault("] without [", next=r"write \] for the sign itself")
        return Set(((ord(char), ord(char)),))

    def group(self, depth: int) -> Part:
        if self.peek() == "?":
            self.take()
            if self.take() != ":":
                raise self.fault(
                    "only plain groups ( ) and (?: ) are known", next="say it without looking ahead or behind"
                )
        part = self.choice(depth + 1)
        if self.peek() != ")":
            raise self.fault("a group that is not closed")
        self.take()
        return part

    def escape(self) -> Ranges:
        char = self.take()
        if char in _CLASSES:
            return _CLASSES[char]
        if char in _CONTROLS:
            code = _CONTROLS[char]
        elif char in _PUNCTUATION:
            code = ord(char)
        elif char in "xu":
            digits = self.text[self.at : self.at + (2 if char == "x" else 4)]
            try:
                code = int(digits, 16) if digits.isalnum() else -1
            except ValueError:
                code = -1
            if code < 0 or 0xD800 <= code <= 0xDFFF:
                raise self.fault(f"\\{char} needs hexadecimal digits")
            self.at += len(digits)
        else:
            raise self.fault(f"\\{char} is not known here", next="write the characters as a class, such as [A-Za-z]")
        return ((code, code),)

    def bracket(self) -> Ranges:
        negated = self.peek() == "^"
        if negated:
            self.take()
        found: list[tuple[int, int]] = []
        while self.peek() != "]":
            low = self.member()
            if self.peek() == "-" and self.peek(1) not in ("]", ""):
                self.take()
                low = self.span(low, self.member())
            found.extend(low)
        self.take()
        if not found:
            raise self.fault("an empty class")
        return complement(tuple(found)) if negated else _merged(tuple(found))

    def member(self) -> Ranges:
        char = self.take()
        if char == "\\":
            return self.escape()
        if char == "[" or (char in "&~-" and self.peek() == char):
            raise self.fault(f"{char} inside a class has several meanings", next=f"write \\{char}")
        return ((ord(char), ord(char)),)

    def span(self, low: Ranges, high: Ranges) -> Ranges:
        (first, last), (start, end) = low[0], high[0]
        if len(low) + len(high) > 2 or first != last or start != end or start < first:
            raise self.fault("a range that ends before it begins")
        return ((first, start),)


class Pattern:
    """A pattern ready to match. `text` is its spelling for Rust's engine."""

    def __init__(self, source: str) -> None:
        if len(source) > MAX_CHARACTERS:
            raise ExpressionError(
                "the pattern is too long", got=f"{len(source)} characters", allowed=str(MAX_CHARACTERS)
            )
        reader = _Reader(source)
        tree = reader.choice()
        if reader.at < len(source):
            raise reader.fault(") without (", next=r"write \) for the sign itself")
        self.text = spelled(tree)
        self._sets: list[Ranges | Edge | None] = []
        self._next: list[tuple[int, ...]] = []
        self._accept = self._state(None, ())
        self._start = self._build(tree, self._accept)
        self._known: dict[frozenset[int], dict[str, frozenset[int]]] = {}
        self._first = self._closure({self._start}, begin=True, end=False)

    def matches(self, text: str) -> bool:
        """Whether the pattern matches somewhere in `text`; the time is linear in its length."""
        states = self._first
        for char in text:
            if self._accept in states:
                return True
            steps = self._known.get(states)
            following = steps.get(char) if steps is not None else None
            states = self._step(states, char) if following is None else following
        return self._accept in self._closure(set(states), begin=not text, end=True)

    def _step(self, states: frozenset[int], char: str) -> frozenset[int]:
        code = ord(char)
        moved = {self._start}
        for state in states:
            ranges = self._sets[state]
            if isinstance(ranges, tuple) and any(low <= code <= high for low, high in ranges):
                moved.update(self._next[state])
        reached = self._closure(moved, begin=False, end=False)
        if sum(map(len, self._known.values())) >= MAX_CACHE:
            self._known.clear()
        self._known.setdefault(states, {})[char] = reached
        return reached

    def _closure(self, states: set[int], *, begin: bool, end: bool) -> frozenset[int]:
        """All that is reached without reading a character."""
        todo, reached = list(states), set(states)
        while todo:
            state = todo.pop()
            kind = self._sets[state]
            passes = kind is None or (isinstance(kind, Edge) and (end if kind.end else begin))
            for following in self._next[state] if passes else ():
                if following not in reached:
                    reached.add(following)
                    todo.append(following)
        return frozenset(reached)

    def _state(self, kind: Ranges | Edge | None, following: tuple[int, ...]) -> int:
        if len(self._sets) >= MAX_STATES:
            raise ExpressionError("the pattern is too large", next="use fewer or smaller repetitions {m,n}")
        self._sets.append(kind)
        self._next.append(following)
        return len(self._sets) - 1

    def _build(self, part: Part, following: int) -> int:
        """The first state of `part` when `following` comes after it."""
        match part:
            case Set(ranges=ranges):
                return self._state(ranges, (following,))
            case Edge():
                return self._state(part, (following,))
            case Chain(parts=()):
                return self._state(None, (following,))
            case Chain(parts=parts):
                for item in reversed(parts):
                    following = self._build(item, following)
                return following
            case Choice(parts=parts):
                return self._state(None, tuple(self._build(item, following) for item in parts))
            case Repeat():
                return self._repeat(part, following)

    def _repeat(self, repeat: Repeat, following: int) -> int:
        if repeat.high is None:
            loop = self._state(None, ())
            self._next[loop] = (self._build(repeat.part, loop), following)
            following = loop
        else:
            last = following
            for _ in range(repeat.high - repeat.low):
                following = self._state(None, (self._build(repeat.part, following), last))
        for _ in range(repeat.low):
            following = self._build(repeat.part, following)
        return following


@lru_cache(maxsize=256)
def pattern(source: str) -> Pattern:
    """The compiled pattern; `ExpressionError` with the column of what is outside the syntax."""
    return Pattern(source)


def spelled(part: Part) -> str:
    """The pattern in Rust's syntax, every class spelled out."""
    match part:
        case Set(ranges=ranges):
            return "[" + "".join(f"\\x{{{low:X}}}-\\x{{{high:X}}}" for low, high in ranges) + "]"
        case Edge(end=end):
            return "$" if end else "^"
        case Chain(parts=parts):
            return "".join(map(spelled, parts))
        case Choice(parts=parts):
            return "(?:" + "|".join(map(spelled, parts)) + ")"
        case Repeat(part=inner, low=low, high=high):
            return f"(?:{spelled(inner)}){{{low},{'' if high is None else high}}}"
