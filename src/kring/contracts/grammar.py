"""Parses the safe expression grammar: a small subset of Python's syntax, read by whitelist and never run.

    parse("where(is_null(delay), 0, delay) > 15 and carrier in ('UA', 'AA')")

What may stand in an expression: field names, numbers, texts, true, false, null, `+ - * / // %`, comparisons,
`and or not`, `in` and `not in` with a list of literals, and calls of the functions of
`kring.contracts.functions`. Everything else is an `ExpressionError`.
"""

from __future__ import annotations

import ast
import keyword
import math
import unicodedata
import warnings
from collections.abc import Iterator
from typing import Final

from kring.contracts.expression import (
    Call,
    Expression,
    FieldName,
    Literal,
    LookupCall,
    Node,
    Source,
    inside,
    nearest,
)
from kring.contracts.functions import FUNCTIONS, SPECIAL
from kring.contracts.terms import INTEGERS, type_of
from kring.errors import ExpressionError

__all__ = ["fields_of", "lookups_of", "parse", "quoted", "type_of"]

MAX_CHARACTERS: Final = 2_000
MAX_NODES: Final = 200
MAX_DEPTH: Final = 40

WORDS: Final = {"true": True, "false": False, "null": None}
ARITHMETIC: Final[dict[type[ast.operator], str]] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
}
COMPARISONS: Final[dict[type[ast.cmpop], str]] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}
ALLOWED: Final = (
    "field names, numbers, texts, true, false, null, + - * / // %, == != < <= > >=, and or not, in (...), "
    "and the functions of the grammar"
)
INSTEAD: Final[dict[type[ast.AST], str]] = {
    ast.IfExp: "write where(condition, a, b)",
    ast.Attribute: 'write the field\'s name, or field("a.b") when the name holds a dot',
    ast.Subscript: "write the field's name",
    ast.JoinedStr: "write concat(a, b)",
    ast.Is: "write is_null(x)",
    ast.IsNot: "write not is_null(x)",
    ast.BitAnd: "write and",
    ast.BitOr: "write or",
    ast.Invert: "write not",
    ast.Pow: "write x * x, or exp(log(x) * y)",
    ast.Tuple: 'lists stand only after in: x in ("a", "b")',
    ast.List: 'lists stand only after in: x in ("a", "b")',
    ast.NamedExpr: "compare with ==",
}


def parse(text: str, *, file: str = "", line: int = 0, key: str = "") -> Expression:
    """The tree of `text`; `file`, `line` and `key` say in errors where it stands.

    At most 2,000 characters, 200 nodes and 40 levels. `ExpressionError` for everything outside the grammar.
    """
    source = Source(text.strip(), file, line, key)
    if len(text) > MAX_CHARACTERS:
        raise source.fault(
            f"the expression has {len(text):,} characters",
            allowed=f"at most {MAX_CHARACTERS:,}",
            next="split it into several columns",
        )
    if not source.text:
        raise source.fault("the expression is empty", allowed=ALLOWED, next='write for example "distance / 1000"')
    return Expression(_Reader(source).node(_tree(source), 1), source)


def fields_of(expression: Expression) -> frozenset[str]:
    """The raw fields that are read, those of lookup keys included."""
    return frozenset(node.name for node in _walk(expression.root) if isinstance(node, FieldName))


def lookups_of(expression: Expression) -> tuple[LookupCall, ...]:
    """The lookups that are made, in order, each once."""
    return tuple(dict.fromkeys(node for node in _walk(expression.root) if isinstance(node, LookupCall)))


def quoted(name: str) -> str:
    """The expression that reads field `name`: the name itself, or `field('…')` where it is no plain name."""
    plain = name.isidentifier() and not keyword.iskeyword(name) and name not in WORDS
    return name if plain and unicodedata.normalize("NFKC", name) == name else f"field({name!r})"


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for part in inside(node):
        yield from _walk(part)


def _tree(source: Source) -> ast.expr:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return ast.parse(source.text, mode="eval").body
    except SyntaxError as error:
        at = _offset(source.text, error.lineno or 1, max(0, (error.offset or 1) - 1))
        raise source.fault(f"this is not an expression ({error.msg})", at=at, allowed=ALLOWED) from None
    except (ValueError, MemoryError, RecursionError, Warning) as error:
        raise source.fault(
            f"this can't be read as an expression ({type(error).__name__})",
            allowed=f"{ALLOWED}, at most {MAX_DEPTH} levels deep",
        ) from None


def _offset(text: str, line: int, column: int) -> int:
    """The place in `text` of character `column` (from 0) of line `line` (from 1)."""
    lines = text.split("\n")
    return sum(len(before) + 1 for before in lines[: line - 1]) + column


def _named(name: str, at: int) -> Node:
    return Literal(WORDS[name], at) if name in WORDS else FieldName(name, at)


class _Reader:
    """Turns Python's tree into ours, counting nodes; what it doesn't know it refuses."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.count = 0
        self.in_key = False

    def node(self, item: ast.expr, depth: int) -> Node:
        self.count += 1
        if self.count > MAX_NODES or depth > MAX_DEPTH:
            raise self.source.fault(
                "the expression is too large",
                at=self.at(item),
                allowed=f"at most {MAX_NODES} nodes and {MAX_DEPTH} levels; the middle of a < b < c counts twice",
                next="split it into several columns",
            )
        match item:
            case ast.Constant() | ast.Name():
                return self.literal(item) if isinstance(item, ast.Constant) else _named(item.id, self.at(item))
            case ast.UnaryOp() | ast.BinOp():
                return self.unary(item, depth) if isinstance(item, ast.UnaryOp) else self.binary(item, depth)
            case ast.BoolOp():
                word = "and" if isinstance(item.op, ast.And) else "or"
                return Call(word, self.nodes(item.values, depth), self.at(item))
            case ast.Compare():
                return self.comparison(item, depth)
            case ast.Call():
                return self.call(item, depth)
        raise self.refused(item, item)

    def nodes(self, items: list[ast.expr], depth: int) -> tuple[Node, ...]:
        return tuple(self.node(item, depth + 1) for item in items)

    def literal(self, item: ast.Constant, *, negative: bool = False) -> Literal:
        value = item.value
        if isinstance(value, (bytes, complex)) or value is Ellipsis:
            raise self.refused(item, item)
        if negative and isinstance(value, (int, float)):
            value = -value
        if isinstance(value, int) and value not in INTEGERS:
            raise self.fault("this integer is too large", item, allowed="integers of 64 bits; write 1e20 for a number")
        if isinstance(value, float) and not math.isfinite(value):
            raise self.fault("this number is too large", item, allowed="a float64, at most 1.7e308 in size")
        if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
            raise self.fault("this text is no Unicode", item, allowed="texts without lone surrogates")
        return Literal(value, self.at(item))

    def unary(self, item: ast.UnaryOp, depth: int) -> Node:
        if isinstance(item.op, ast.Not):
            return Call("not", self.nodes([item.operand], depth), self.at(item))
        if not isinstance(item.op, ast.USub):
            raise self.refused(item, item.op)
        part = item.operand
        if isinstance(part, ast.Constant) and type(part.value) in (int, float):
            return self.literal(part, negative=True)
        return Call("negative", self.nodes([part], depth), self.at(item))

    def binary(self, item: ast.BinOp, depth: int) -> Node:
        operator = ARITHMETIC.get(type(item.op))
        if operator is None:
            raise self.refused(item, item.op)
        return Call(operator, self.nodes([item.left, item.right], depth), self.at(item))

    def comparison(self, item: ast.Compare, depth: int) -> Node:
        operands = [item.left, *item.comparators]
        chained = len(item.ops) > 1
        inner = depth + 1 if chained else depth
        pairs = tuple(
            self.pair(item, operator, left, right, inner)
            for operator, left, right in zip(item.ops, operands[:-1], operands[1:], strict=True)
        )
        return Call("and", pairs, self.at(item)) if chained else pairs[0]

    def pair(self, item: ast.Compare, operator: ast.cmpop, left: ast.expr, right: ast.expr, depth: int) -> Node:
        if isinstance(operator, (ast.In, ast.NotIn)):
            found = Call("in", (self.node(left, depth + 1), *self.members(right, depth)), self.at(item))
            return found if isinstance(operator, ast.In) else Call("not", (found,), self.at(item))
        word = COMPARISONS.get(type(operator))
        if word is None:
            raise self.refused(item, operator)
        return Call(word, self.nodes([left, right], depth), self.at(item))

    def members(self, item: ast.expr, depth: int) -> tuple[Node, ...]:
        values = self.nodes(item.elts, depth) if isinstance(item, (ast.Tuple, ast.List)) else ()
        if not values or any(not isinstance(value, Literal) or value.value is None for value in values):
            raise self.fault(
                "what stands after in is no list of literals",
                item,
                allowed="one or more numbers or texts in brackets, without null",
                next='write x in ("a", "b"), and for one value x in ["a"]',
            )
        return values

    def call(self, item: ast.Call, depth: int) -> Node:
        if not isinstance(item.func, ast.Name):
            raise self.fault("only named functions can be called", item, allowed=", ".join(FUNCTIONS))
        name = item.func.id
        if name == "lookup":
            return self.lookup(item, depth)
        if item.keywords:
            raise self.fault(f"{name} takes no named arguments", item, next=f"write {name}(a, b)")
        if name == "field":
            return FieldName(self.text_argument(item, 'field("name")'), self.at(item))
        if name not in FUNCTIONS:
            hint = nearest(name, [*FUNCTIONS, *SPECIAL])
            raise self.fault(
                f"there is no function {name!r}", item, allowed=", ".join([*FUNCTIONS, *SPECIAL]), next=hint
            )
        signature = FUNCTIONS[name]
        if not signature.takes(len(item.args)):
            raise self.fault(f"{name} got {len(item.args)} arguments", item, allowed=f"{signature.arity()} arguments")
        return Call(name, self.nodes(item.args, depth), self.at(item))

    def lookup(self, item: ast.Call, depth: int) -> Node:
        form = 'lookup("name", key = ["field", ...])'
        key = item.keywords[0].value if [word.arg for word in item.keywords] == ["key"] else None
        if not isinstance(key, (ast.List, ast.Tuple)) or not key.elts:
            raise self.fault("a lookup needs a name and a key", item, allowed=form)
        name = self.text_argument(item, form, named=1)
        if self.in_key:
            raise self.fault(
                "a lookup can't stand in the key of a lookup", item, allowed="fields and expressions of fields"
            )
        self.in_key = True
        parts = self.nodes(key.elts, depth)
        self.in_key = False
        fields = tuple(
            FieldName(part.value, part.at) if isinstance(part, Literal) and isinstance(part.value, str) else part
            for part in parts
        )
        return LookupCall(name, fields, self.at(item))

    def text_argument(self, item: ast.Call, form: str, *, named: int = 0) -> str:
        """The only unnamed argument, a literal text that isn't empty."""
        match item.args:
            case [ast.Constant(value=str(text))] if text and len(item.keywords) == named:
                return text
        raise self.fault("the name must be one literal text", item, allowed=form)

    def at(self, item: ast.expr) -> int:
        line = self.source.text.split("\n")[item.lineno - 1]
        column = len(line.encode()[: item.col_offset].decode(errors="ignore"))
        return _offset(self.source.text, item.lineno, column)

    def refused(self, item: ast.expr, part: ast.AST) -> ExpressionError:
        """The refusal of `item` because of `part`: itself, or its operator."""
        return self.fault(
            f"{type(part).__name__} is not part of the grammar",
            item,
            allowed=ALLOWED,
            next=INSTEAD.get(type(part), ""),
        )

    def fault(self, message: str, item: ast.expr, *, allowed: str = "", next: str = "") -> ExpressionError:
        got = ast.get_source_segment(self.source.text, item) or ""
        return self.source.fault(message, at=self.at(item), got=got, allowed=allowed, next=next)
