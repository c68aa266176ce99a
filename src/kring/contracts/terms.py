"""Type check: turns a parsed expression into typed terms, the one form that both compilers read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from kring.contracts.expression import Call, Expression, FieldName, Literal, LookupCall, Node, Source, nearest
from kring.contracts.functions import SIGNATURES, Accepts, Option, Signature
from kring.contracts.zones import is_zone
from kring.errors import ExpressionError
from kring.record.contract import LogicalType
from kring.record.decision import Value

MAX_DIGITS: Final = 15
KEY_TYPES: Final[tuple[LogicalType, ...]] = ("string", "integer", "boolean", "date")
INTEGERS: Final = range(-(1 << 63), 1 << 63)
LITERALS: Final[Mapping[type, LogicalType]] = {bool: "boolean", int: "integer", float: "number", str: "string"}

ACCEPTED: Final[Mapping[Accepts, tuple[LogicalType, ...]]] = {
    "number": ("number", "integer"),
    "string": ("string",),
    "boolean": ("boolean",),
    "timestamp": ("timestamp",),
    "moment": ("timestamp", "date"),
    "plain": ("string", "integer", "boolean"),
    "any": ("string", "number", "integer", "boolean", "timestamp", "date"),
    "same": ("string", "number", "integer", "boolean", "timestamp", "date"),
    "ordered": ("string", "number", "integer", "timestamp", "date"),
}
MENDING: Final[Mapping[tuple[Accepts, LogicalType | None], str]] = {
    ("number", "boolean"): "write where(x, 1, 0)",
    ("number", "string"): "texts are joined by concat(a, b)",
    ("number", "timestamp"): "write hours_between(start, end), hour(t), weekday(t) or another part of it",
    ("number", "date"): "write day(d), weekday(d), month(d) or year(d)",
    ("string", "integer"): "write text(x)",
    ("string", "boolean"): "write text(x)",
    ("string", "number"): "write text(round(x)), text(floor(x)) or text(ceil(x))",
    ("plain", "number"): "write text(round(x)), text(floor(x)) or text(ceil(x))",
    ("plain", "timestamp"): "write text(hour(t)) or another part of it",
    ("boolean", "number"): "compare it: x != 0",
    ("boolean", "integer"): "compare it: x != 0",
    ("boolean", "string"): 'compare it: x == "yes"',
    ("ordered", "boolean"): "write where(x, 1, 0), or compare with == and !=",
    ("same", None): "write is_null(x)",
    ("ordered", None): "write is_null(x)",
}


OPTIONS: Final[Mapping[Option, str]] = {
    "zone": 'the literal name of an IANA time zone, such as "Europe/Amsterdam"',
    "digits": f"a literal integer from 0 to {MAX_DIGITS}",
}


@dataclass(frozen=True, slots=True)
class Term:
    """A typed node.

    `op` is `literal`, `field`, `lookup`, `to number` (an integer made a float64), or the name of an operator or
    function (`round digits` where round has digits). `value` is the literal's value, the name of the field
    or table, the time zone, or the number of digits.
    """

    op: str
    type: LogicalType
    arguments: tuple[Term, ...] = ()
    value: Value = None

    def reads(self) -> bool:
        """Whether the value depends on the row."""
        return self.op in ("field", "lookup") or any(part.reads() for part in self.arguments)


def type_of(expression: Expression, types: Mapping[str, LogicalType]) -> LogicalType:
    """The type of the expression's values, given the types of the raw fields; `ExpressionError` when they don't fit."""
    return resolve(expression, types).type


def resolve(expression: Expression, types: Mapping[str, LogicalType]) -> Term:
    """The typed form of an expression; `ExpressionError` for unknown fields and types that don't fit."""
    checker = _Checker(expression.source, types)
    return checker.known(expression.root, checker.resolve(expression.root))


Found: TypeAlias = Term | None
"""None stands for the literal null, which takes its type from its neighbours."""


class _Checker:
    def __init__(self, source: Source, types: Mapping[str, LogicalType]) -> None:
        self.source = source
        self.types = types

    def resolve(self, node: Node) -> Found:
        match node:
            case Literal(value=value):
                return None if value is None else Term("literal", LITERALS[type(value)], value=value)
            case FieldName(name=name):
                return self.field(node, name)
            case LookupCall(name=name):
                return Term("lookup", "number", self.key(node), name)
            case Call():
                return self.call(node)

    def known(self, node: Node, found: Found) -> Term:
        """`found`, refused where it is the literal null."""
        if found is None:
            raise self.source.fault("null alone has no type", at=node.at, next="null stands in coalesce and where")
        return found

    def field(self, node: FieldName, name: str) -> Term:
        if name not in self.types:
            raise self.source.fault(
                f"there is no field {name!r}",
                at=node.at,
                got=name,
                allowed=", ".join(sorted(self.types)),
                next=nearest(name, self.types),
            )
        return Term("field", self.types[name], value=name)

    def key(self, node: LookupCall) -> tuple[Term, ...]:
        parts = []
        for item in node.key:
            term = self.known(item, self.resolve(item))
            if term.type not in KEY_TYPES:
                raise self.misfit("the key of a lookup", item, term.type, "plain", KEY_TYPES)
            if not term.reads():
                raise self.source.fault(
                    "this part of a key reads no field", at=item.at, allowed="fields and expressions"
                )
            parts.append(term)
        return tuple(parts)

    def call(self, node: Call) -> Term:
        signature = SIGNATURES[node.function]
        given = len(node.arguments)
        option: Value = "UTC" if signature.option == "zone" else None
        if signature.option and given > len(signature.parameters):
            given -= 1
            option = self.option(node, signature.option)
        parts = [self.part(node, signature, index) for index in range(given)]
        shared = [signature.parameter(index) in ("same", "ordered") for index in range(given)]
        kind = self.unified(node, [part for part, same in zip(parts, shared, strict=True) if same])
        arguments = tuple(
            _as(kind, part) if same or part is None else part for part, same in zip(parts, shared, strict=True)
        )
        if node.function == "round" and option is not None:
            return Term("round digits", "number", arguments, option)
        return Term(node.function, kind if signature.gives == "same" else signature.gives, arguments, option)

    def part(self, call: Call, signature: Signature, index: int) -> Found:
        """Argument number `index`, checked against its parameter."""
        node = call.arguments[index]
        wanted = signature.parameter(index)
        found = self.resolve(node)
        if found is None and wanted == "same" and signature.null:
            return None
        allowed = ACCEPTED[wanted]
        if found is None or found.type not in allowed:
            raise self.misfit(
                f"argument {index + 1} of {call.function}", node, found.type if found else None, wanted, allowed
            )
        return _as("number", found) if wanted == "number" else found

    def option(self, call: Call, option: Option) -> Value:
        """The last argument, when it is the literal that `option` wants."""
        node = call.arguments[-1]
        value = node.value if isinstance(node, Literal) else None
        if option == "zone" and isinstance(value, str) and is_zone(value):
            return value
        if option == "digits" and type(value) is int and 0 <= value <= MAX_DIGITS:
            return value
        raise self.source.fault(
            f"the last argument of {call.function} is not right",
            at=node.at,
            got=repr(value) if isinstance(node, Literal) else "an expression",
            allowed=OPTIONS[option],
        )

    def unified(self, node: Call, parts: Sequence[Found]) -> LogicalType:
        """The one type of all parts; number when integers meet numbers, and when there are no parts."""
        kinds = {part.type for part in parts if part is not None}
        if kinds == {"integer", "number"} or not parts:
            return "number"
        if len(kinds) == 1:
            return kinds.pop()
        if not kinds:
            raise self.source.fault("null alone has no type", at=node.at, next="name a field or a value beside null")
        mending = "a boolean is compared by x and not x" if "boolean" in kinds else ""
        raise self.source.fault(
            f"{node.function!r} needs values of one type",
            at=node.at,
            got=" and ".join(part.type if part else "null" for part in parts[:4]),
            allowed="all numbers, all texts, all booleans, all timestamps or all dates",
            next=mending or "change one side by text(x), or compare with a literal of the same type",
        )

    def misfit(
        self, what: str, node: Node, got: LogicalType | None, wanted: Accepts, allowed: Sequence[str]
    ) -> ExpressionError:
        return self.source.fault(
            f"{what} has the wrong type",
            at=node.at,
            got=got or "null",
            allowed=" or ".join(allowed),
            next=MENDING.get((wanted, got), ""),
        )


def _as(type: LogicalType, part: Found) -> Term:
    """`part` as a value of `type`: null gets the type, integers become float64 where a number is wanted."""
    if part is None:
        return Term("literal", type)
    if type != "number" or part.type == "number":
        return part
    if part.op == "literal" and isinstance(part.value, int):
        return Term("literal", "number", value=float(part.value))
    return Term("to number", "number", (part,))
