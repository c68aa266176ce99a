"""One raw value read as the type that the contract names; the meaning that `kring.contracts.columns` gives tables."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum
from typing import Final, TypeAlias

from kring.contracts.moments import moment_pattern, read_date, read_timestamp, to_utc
from kring.contracts.terms import INTEGERS
from kring.contracts.zones import DAY_US, DAYS, EPOCH_ORDINAL, MOMENTS
from kring.record.contract import Field
from kring.record.decision import Value


class Unread(Enum):
    """Why there is no value: nothing there, a text that stands for nothing, not of the type, NaN or infinite."""

    NULL = "null"
    MARKED = "marked"
    BROKEN = "broken"
    INFINITE = "infinite"


Read: TypeAlias = Value | Unread
Reader: TypeAlias = Callable[[object], Read]

BLANK: Final = " \t\r\n"
"""What may stand around a value that is not a text."""

MAX_DIGITS: Final = 64
EXACT: Final = 1 << 53
"""Up to here every whole float is one integer."""

TRUE: Final = ("true", "1", "yes")
FALSE: Final = ("false", "0", "no")
_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INFINITE: Final = re.compile(r"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)


def reader(field: Field, *, markers: frozenset[str] = frozenset(), typed: bool = False) -> Reader:
    """A function from a raw value to the value in the column's type.

    Numbers are floats, timestamps microseconds UTC, dates days since 1970-01-01. Texts are read as a CSV file
    holds them; `markers` are texts that stand for nothing. With `typed` the values are already in
    the type (NaN is missing then) and are only looked over.
    """
    of_type = TYPED[field.type] if typed else RAW[field.type](field)
    of_text = None if typed or field.type == "string" else TEXTS[field.type](field)

    def read(value: object) -> Read:
        if value is None:
            return Unread.NULL
        if of_text is None or not isinstance(value, str):
            return of_type(value)
        if value in markers:
            return Unread.MARKED
        stripped = value.strip(BLANK)
        return of_text(stripped) if stripped else Unread.NULL

    return read


def _number(value: object) -> Read:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return Unread.BROKEN
    try:
        number = float(value)
    except OverflowError:
        return Unread.INFINITE
    return number if math.isfinite(number) else Unread.INFINITE


def _number_text(text: str) -> Read:
    if len(text) > MAX_DIGITS:
        return Unread.BROKEN
    if _NUMBER.fullmatch(text):
        return _number(float(text))
    return Unread.INFINITE if _INFINITE.fullmatch(text) else Unread.BROKEN


def _comma_text(text: str) -> Read:
    return Unread.BROKEN if "." in text else _number_text(text.replace(",", ".", 1))


def _integer(value: object) -> Read:
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) <= EXACT else Unread.BROKEN
    if isinstance(value, bool) or not isinstance(value, int):
        return Unread.BROKEN
    return value if value in INTEGERS else Unread.BROKEN


def _integer_text(text: str) -> Read:
    if len(text) > MAX_DIGITS:
        return Unread.BROKEN
    if _INTEGER.fullmatch(text):
        return _integer(int(text))
    return _integer(float(text)) if _NUMBER.fullmatch(text) else Unread.BROKEN


def _truth(value: object) -> Read:
    if isinstance(value, int | float) and value in (0, 1):
        return bool(value)
    return Unread.BROKEN


def _truth_text(text: str) -> Read:
    word = text.lower()
    return True if word in TRUE else False if word in FALSE else Unread.BROKEN


def _text(value: object) -> Read:
    if not isinstance(value, str):
        return Unread.BROKEN
    try:
        value.encode()
    except UnicodeEncodeError:
        return Unread.BROKEN
    return value


def _date(field: Field) -> Reader:
    at = _timestamp(field)

    def read(value: object) -> Read:
        if isinstance(value, datetime):
            wall = at(value.replace(tzinfo=UTC)) if value.tzinfo is None else at(value)
            return wall // DAY_US if isinstance(wall, int) and wall % DAY_US == 0 else Unread.BROKEN
        if not isinstance(value, date):
            return Unread.BROKEN
        days = value.toordinal() - EPOCH_ORDINAL
        return days if days in DAYS else Unread.BROKEN

    return read


def _timestamp(field: Field) -> Reader:
    zone = field.timezone

    def read(value: object) -> Read:
        if not isinstance(value, date):
            return Unread.BROKEN
        wall, offset = (value.toordinal() - EPOCH_ORDINAL) * DAY_US, None
        if isinstance(value, datetime):
            wall += (value.replace(tzinfo=None) - datetime.combine(value, time())) // timedelta(microseconds=1)
            offset = value.utcoffset()
        found = to_utc(wall, zone) if offset is None else wall - offset // timedelta(microseconds=1)
        return found if found is not None and found in MOMENTS else Unread.BROKEN

    return read


def _date_text(field: Field) -> Reader:
    pattern = moment_pattern(field.format, "date") or ""

    def read(text: object) -> Read:
        found = read_date(str(text), pattern)
        return Unread.BROKEN if found is None else found

    return read


def _timestamp_text(field: Field) -> Reader:
    pattern = moment_pattern(field.format, "timestamp") or ""

    def read(text: object) -> Read:
        found = read_timestamp(str(text), pattern, zone=field.timezone)
        return Unread.BROKEN if found is None else found

    return read


def _looked_over(of_type: Reader) -> Reader:
    def read(value: object) -> Read:
        return Unread.NULL if isinstance(value, float) and math.isnan(value) else of_type(value)

    return read


def _within(bounds: range) -> Reader:
    def read(value: object) -> Read:
        return value if type(value) is int and value in bounds else Unread.BROKEN

    return read


RAW: Final[dict[str, Callable[[Field], Reader]]] = {
    "string": lambda _: _text,
    "number": lambda _: _number,
    "integer": lambda _: _integer,
    "boolean": lambda _: _truth,
    "date": _date,
    "timestamp": _timestamp,
}
TEXTS: Final[dict[str, Callable[[Field], Callable[[str], Read]]]] = {
    "number": lambda field: _comma_text if field.decimal == "," else _number_text,
    "integer": lambda _: _integer_text,
    "boolean": lambda _: _truth_text,
    "date": _date_text,
    "timestamp": _timestamp_text,
}
TYPED: Final[dict[str, Reader]] = {
    "string": _looked_over(_text),
    "number": _looked_over(_number),
    "integer": _looked_over(_integer),
    "boolean": _looked_over(_truth),
    "date": _looked_over(_within(DAYS)),
    "timestamp": _looked_over(_within(MOMENTS)),
}
