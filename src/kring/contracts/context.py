"""Conditions over a context that nobody declared: the keys of an evaluation, of whatever type its sender gave them.

The grammar wants types. A key's type is that of its value, if the condition makes sense with it: `age >= 18` holds for
no text, whatever it says. A condition is cut at `and`, `or` and `not`, and each part typed by itself, so that a key may
be a number here and nothing there; what can't be said is null, as everywhere in the grammar.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from itertools import product
from typing import Final, TypeAlias

from kring.contracts import to_rows
from kring.contracts.expression import Call, Expression, FieldName, Literal, Node, inside
from kring.contracts.grammar import fields_of, lookups_of, parse
from kring.contracts.terms import type_of
from kring.contracts.zones import MOMENTS
from kring.errors import ExpressionError
from kring.record.contract import LogicalType
from kring.record.decision import Value

Context: TypeAlias = Mapping[str, object]
Condition: TypeAlias = Callable[[Context], bool | None]
"""True, false, or None where the context does not say."""

KINDS: Final[tuple[LogicalType, ...]] = ("string", "number", "boolean", "timestamp")
MOST_KEYS: Final = 4
"""Keys of one part between `and`, `or` and `not`."""


def condition(text: str, *, file: str = "", line: int = 0, key: str = "") -> Condition:
    """The function of a condition in the contract's grammar, over contexts.

    `ExpressionError` for what is outside the grammar, is true or false for no types of its keys, or looks up tables.
    """
    expression = parse(text, file=file, line=line, key=key)
    for lookup in lookups_of(expression):
        raise expression.source.fault(
            "a condition over a context has no tables", at=lookup.at, got=lookup.name, allowed="keys of the context"
        )
    return _built(expression.root, expression)


def _built(node: Node, whole: Expression) -> Condition:
    if isinstance(node, Call) and node.function == "not":
        (part,) = [_built(one, whole) for one in inside(node)]
        return lambda context: None if (said := part(context)) is None else not said
    if isinstance(node, Call) and node.function in ("and", "or"):
        return _joined([_built(one, whole) for one in inside(node)], decisive=node.function == "or")
    return _part(Expression(node, whole.source))


def _joined(parts: list[Condition], *, decisive: bool) -> Condition:
    """`or` is decided by true, `and` by false; without it null beats the rest."""

    def run(context: Context) -> bool | None:
        said = [part(context) for part in parts]
        if decisive in said:
            return decisive
        return None if None in said else not decisive

    return run


def _part(expression: Expression) -> Condition:
    """One comparison, for each way of typing its keys with which it is true or false."""
    keys = sorted(fields_of(expression))
    if len(keys) > MOST_KEYS:
        raise expression.source.fault(
            "one comparison reads too many keys", at=expression.root.at, got=", ".join(keys),
            allowed=f"at most {MOST_KEYS}", next="split it with and, or",
        )  # fmt: skip
    ways = list(_ways(expression, keys))
    cells = [to_rows.compile(expression, types=types, tables={}) for types in ways]

    def run(context: Context) -> bool | None:
        values = {key: context.get(key) for key in keys}
        for types, cell in zip(ways, cells, strict=True):
            row = {key: _read(value, types[key]) for key, value in values.items()}
            if all(row[key] is not None or values[key] is None for key in keys):
                said = cell(row)
                return said if isinstance(said, bool) else None
        return None

    return run


def _ways(expression: Expression, keys: list[str]) -> Iterator[dict[str, LogicalType]]:
    """The ways of typing the keys that fit; `ExpressionError` when none does."""
    found, trouble = False, None
    for kinds in product(KINDS, repeat=len(keys)):
        types = dict(zip(keys, kinds, strict=True))
        try:
            kind = type_of(expression, types)
        except ExpressionError as error:
            trouble = trouble or error
            continue
        if kind == "boolean":
            found = True
            yield types
    if not found:
        raise _neither(expression, trouble)


def _neither(expression: Expression, trouble: ExpressionError | None) -> ExpressionError:
    node, source = expression.root, expression.source
    if trouble is not None and not isinstance(node, (FieldName, Literal)):
        return trouble
    return source.fault(
        "this is neither true nor false", at=node.at, allowed="a comparison, or a key that is true or false",
        next='compare it: plan == "pro", age >= 18',
    )  # fmt: skip


def _read(value: object, kind: LogicalType) -> Value:
    """A value of the context as one of `kind`; None when it is none."""
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    if kind == "number":
        return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
    if not isinstance(value, str):
        return None
    return value if kind == "string" else _moment(value)


def _moment(text: str) -> int | None:
    """Microseconds UTC of ISO 8601 with its time zone; None for anything else."""
    try:
        at = datetime.fromisoformat(text)
        us = int(at.timestamp() * 1e6)
    except (ValueError, OverflowError):
        return None
    return us if at.tzinfo is not None and us in MOMENTS else None
