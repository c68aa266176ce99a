"""Compiles an expression to a function of one row: closures over plain Python, nothing is executed as text.

What comes out equals `kring.contracts.to_polars` on every row, bit by bit.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from datetime import date
from typing import Final, TypeAlias

from kring.contracts.expression import Expression, Source
from kring.contracts.tables import Tables, entries, table_of
from kring.contracts.terms import INTEGERS, Term, resolve
from kring.contracts.zones import DAY_US, DAYS, EPOCH_ORDINAL, HOUR_US, MOMENTS, local
from kring.record.contract import LogicalType
from kring.record.decision import Value

Row: TypeAlias = Mapping[str, Value]
Cell: TypeAlias = Callable[[Row], Value]

BLANKS: Final = (
    " \t\n\v\f\r\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005"
    "\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
"""What `strip` removes: the characters with Unicode's property White_Space."""


def compile(expression: Expression, *, types: Mapping[str, LogicalType], tables: Tables) -> Cell:
    """A function from a row of raw fields to the value of the expression.

    Numbers are floats, integers ints of 64 bits, timestamps microseconds UTC, dates days since 1970-01-01;
    a field that is absent, or whose value is not of its type, is null. A table given as a column's name reads
    the value from that field. `ExpressionError` when types or tables don't fit.
    """
    return cell(resolve(expression, types), tables, expression.source)


def cell(term: Term, tables: Tables, source: Source) -> Cell:
    """The function of one typed term."""
    if term.op == "literal":
        return _constant(term.value)
    if term.op == "field":
        return READERS[term.type](str(term.value))
    parts = [cell(part, tables, source) for part in term.arguments]
    if term.op == "lookup":
        return _lookup(term, parts, tables, source)
    if term.op in BUILDERS:
        return BUILDERS[term.op](term, parts)
    return _finite(NUMBERS[term.op], parts) if term.op in NUMBERS else _strict(OTHERS[term.op], parts)


def _constant(value: Value) -> Cell:
    return lambda _: value


def _read_number(name: str) -> Cell:
    def read(row: Row) -> Value:
        value = row.get(name)
        if type(value) is int:
            try:
                return float(value)
            except OverflowError:
                return None
        # inf - inf and nan - nan are not zero
        return value if isinstance(value, float) and value - value == 0.0 else None

    return read


def _read_whole(bounds: range) -> Callable[[str], Cell]:
    def reader(name: str) -> Cell:
        def read(row: Row) -> Value:
            value = row.get(name)
            if isinstance(value, float):
                value = int(value) if value.is_integer() else None
            return value if type(value) is int and value in bounds else None

        return read

    return reader


def _read_text(name: str) -> Cell:
    def read(row: Row) -> Value:
        value = row.get(name)
        if not isinstance(value, str) or value.isascii():
            return value if isinstance(value, str) else None
        try:
            value.encode()
        except UnicodeEncodeError:
            return None
        return value

    return read


def _read_truth(name: str) -> Cell:
    def read(row: Row) -> Value:
        value = row.get(name)
        return value if isinstance(value, bool) else None

    return read


READERS: Final[Mapping[LogicalType, Callable[[str], Cell]]] = {
    "number": _read_number,
    "integer": _read_whole(INTEGERS),
    "timestamp": _read_whole(MOMENTS),
    "date": _read_whole(DAYS),
    "string": _read_text,
    "boolean": _read_truth,
}


def _strict(function: Callable[..., Value], parts: list[Cell]) -> Cell:
    """Null as soon as one argument is; otherwise `function` of all of them."""
    if len(parts) == 1:
        (only,) = parts

        def one(row: Row) -> Value:
            value = only(row)
            return None if value is None else function(value)

        return one
    if len(parts) == 2:
        left, right = parts

        def two(row: Row) -> Value:
            a = left(row)
            b = right(row)
            return None if a is None or b is None else function(a, b)

        return two

    def many(row: Row) -> Value:
        values = [part(row) for part in parts]
        return None if None in values else function(*values)

    return many


def _finite(function: Callable[..., float], parts: list[Cell]) -> Cell:
    """As `_strict`; what is no finite float64 is null."""
    if len(parts) == 2:
        left, right = parts

        def two(row: Row) -> Value:
            a = left(row)
            b = right(row)
            if a is None or b is None:
                return None
            try:
                result = function(a, b)
            except (ZeroDivisionError, OverflowError):
                return None
            return result if result - result == 0.0 else None

        return two

    def checked(*values: float) -> Value:
        try:
            result = function(*values)
        except (ValueError, OverflowError):
            return None
        return result if result - result == 0.0 else None

    return _strict(checked, parts)


def _whole(function: Callable[[float], int]) -> Callable[[float], Value]:
    def bounded(x: float) -> Value:
        value = function(x)
        return value if value in INTEGERS else None

    return bounded


def _floor_divide(a: float, b: float) -> float:
    return float(math.floor(a / b)) if math.isfinite(a / b) else math.nan


def _remainder(a: float, b: float) -> float:
    return a - b * _floor_divide(a, b)


def _text(value: Value) -> Value:
    return str(value).lower() if isinstance(value, bool) else str(value)


NUMBERS: Final[Mapping[str, Callable[..., float]]] = {
    "to number": float,
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": _floor_divide,
    "%": _remainder,
    "negative": operator.neg,
    "abs": abs,
    "log": math.log,
    "exp": math.exp,
    "sqrt": math.sqrt,
    "min": min,
    "max": max,
    "clip": lambda x, low, high: min(max(x, low), high),
    "hours_between": lambda start, end: float(end - start) / HOUR_US,
}
OTHERS: Final[Mapping[str, Callable[..., Value]]] = {
    "round": _whole(round),
    "floor": _whole(math.floor),
    "ceil": _whole(math.ceil),
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "not": operator.not_,
    "lower": str.lower,
    "upper": str.upper,
    "strip": lambda text: text.strip(BLANKS),
    "length": len,
    "starts_with": str.startswith,
    "ends_with": str.endswith,
    "contains": operator.contains,
    "concat": lambda *texts: "".join(texts),
    "text": _text,
}

PARTS: Final[Mapping[str, Callable[[int], int]]] = {
    "hour": lambda at: at // HOUR_US % 24,
    "minute": lambda at: at // 60_000_000 % 60,
    "weekday": lambda at: (at // DAY_US + 3) % 7 + 1,
    "day": lambda at: date.fromordinal(at // DAY_US + EPOCH_ORDINAL).day,
    "month": lambda at: date.fromordinal(at // DAY_US + EPOCH_ORDINAL).month,
    "year": lambda at: date.fromordinal(at // DAY_US + EPOCH_ORDINAL).year,
}


def _part(term: Term, parts: list[Cell]) -> Cell:
    """A part of the wall clock in a zone; a date is the same day everywhere."""
    pick, zone = PARTS[term.op], str(term.value)
    if term.arguments[0].type == "date":
        return _strict(lambda day: pick(day * DAY_US), parts)
    if zone == "UTC":
        return _strict(pick, parts)
    return _strict(lambda at: pick(local(zone, at)), parts)


def _round(term: Term, parts: list[Cell]) -> Cell:
    scale = 10.0 ** int(term.value or 0)
    return _finite(lambda x: round(x * scale) / scale, parts)


def _decided(decisive: bool) -> Callable[[Term, list[Cell]], Cell]:
    """`and` is decided by false, `or` by true; without it null beats the rest."""

    def build(_: Term, parts: list[Cell]) -> Cell:
        def run(row: Row) -> Value:
            result: Value = not decisive
            for part in parts:
                value = part(row)
                if value is decisive:
                    return decisive
                if value is None:
                    result = None
            return result

        return run

    return build


def _where(_: Term, parts: list[Cell]) -> Cell:
    condition, yes, no = parts
    return lambda row: yes(row) if condition(row) else no(row)


def _coalesce(_: Term, parts: list[Cell]) -> Cell:
    def run(row: Row) -> Value:
        for part in parts:
            value = part(row)
            if value is not None:
                return value
        return None

    return run


def _is_null(_: Term, parts: list[Cell]) -> Cell:
    (only,) = parts
    return lambda row: only(row) is None


def _in(term: Term, parts: list[Cell]) -> Cell:
    members = frozenset(part.value for part in term.arguments[1:])
    return _strict(members.__contains__, parts[:1])


BUILDERS: Final[Mapping[str, Callable[[Term, list[Cell]], Cell]]] = {
    **dict.fromkeys(PARTS, _part),
    "round digits": _round,
    "and": _decided(False),
    "or": _decided(True),
    "where": _where,
    "coalesce": _coalesce,
    "is_null": _is_null,
    "in": _in,
}


def _lookup(term: Term, parts: list[Cell], tables: Tables, source: Source) -> Cell:
    table = table_of(term, tables, source)
    if isinstance(table, str):
        return _read_number(table)
    values = {key: value if math.isfinite(value) else None for key, value in entries(table, term).items()}
    default = table.default if table.default is not None and math.isfinite(table.default) else None

    def look_up(row: Row) -> Value:
        return values.get(tuple([part(row) for part in parts]), default)

    return look_up
