"""Dates and timestamps written as text: one pattern per format, read by tables and rows alike.

Without a format a text is ISO 8601. A format is written in the letters of Java's DateTimeFormatter, as ODCS
asks: `yyyy MM dd HH mm ss SSS XXX`, quoted text, and signs; `M d H` may have one digit or two.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final, Literal
from zoneinfo import ZoneInfo

from kring.contracts.zones import DAY_US, DAYS, EPOCH_ORDINAL, HOUR_US, MOMENTS, SECOND_US, local

MAX_FORMAT: Final = 64
GROUPS: Final = ("y", "M", "d", "h", "m", "s", "f", "z")
"""What a pattern may capture: year, month, day, hour, minute, second, fraction, offset."""

_HOUR: Final = "(?P<h>[01][0-9]|2[0-3])"
_MINUTE: Final = "(?P<m>[0-5][0-9])"
_SECOND: Final = "(?P<s>[0-5][0-9])"
_DAY: Final = "(?P<y>[0-9]{4})-(?P<M>[0-9]{2})-(?P<d>[0-9]{2})"
_OFFSET: Final = "(?P<z>[Zz]|[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?)"

ISO_DATE: Final = f"{_DAY}(?:[Tt ]00:00(?::00(?:[.]0{{1,9}})?)?)?"
ISO_TIMESTAMP: Final = f"{_DAY}(?:[Tt ]{_HOUR}:{_MINUTE}(?::{_SECOND}(?:[.,](?P<f>[0-9]{{1,9}}))?)?(?: ?{_OFFSET})?)?"

_LETTERS: Final = {
    "yyyy": "(?P<y>[0-9]{4})",
    "uuuu": "(?P<y>[0-9]{4})",
    "MM": "(?P<M>[0-9]{2})",
    "dd": "(?P<d>[0-9]{2})",
    "M": "(?P<M>[0-9]{1,2})",
    "d": "(?P<d>[0-9]{1,2})",
    "HH": _HOUR,
    "H": "(?P<h>1[0-9]|2[0-3]|0?[0-9])",
    "mm": _MINUTE,
    "ss": _SECOND,
    **{"S" * count: f"(?P<f>[0-9]{{{count}}})" for count in range(1, 10)},
    **dict.fromkeys(("X", "XX", "XXX", "Z", "ZZZZZ", "xxx"), _OFFSET),
}
_TOKEN: Final = re.compile(r"'(?P<quoted>[^']*)'|(?P<letters>([A-Za-z])\3*)|(?P<sign>.)", re.DOTALL)


def moment_pattern(format: str, kind: Literal["date", "timestamp"]) -> str | None:
    """The pattern of a whole text in `format`, for Python and Rust alike; None for a format that is not known.

    The groups are among `GROUPS`; year, month and day are always there.
    """
    if not format:
        return ISO_DATE if kind == "date" else ISO_TIMESTAMP
    parts: list[str] = []
    for token in _TOKEN.finditer(format[: MAX_FORMAT + 1]):
        if token["letters"]:
            part = _LETTERS.get(token["letters"])
        else:
            part = re.escape(token["sign"] or token["quoted"] or "'")
        if part is None or (part.startswith("(?P") and part[:6] in {known[:6] for known in parts}):
            return None
        parts.append(part)
    starts = {part[4] for part in parts if part.startswith("(?P<")}
    complete = {"y", "M", "d"} <= starts and (kind == "timestamp" or starts == {"y", "M", "d"})
    return "".join(parts) if complete and len(format) <= MAX_FORMAT else None


@lru_cache(maxsize=64)
def compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def read_date(text: str, pattern: str) -> int | None:
    """Days since 1970-01-01, or None when `text` is no date in this pattern."""
    found = compiled(pattern).fullmatch(text)
    days = None if found is None else _days(found)
    return days if days is not None and days in DAYS else None


def read_timestamp(text: str, pattern: str, *, zone: str) -> int | None:
    """Microseconds UTC, or None when `text` is no timestamp in this pattern.

    A text without an offset is wall time of `zone`: the earlier moment where the clock is turned back, none
    where it is turned forward.
    """
    found = compiled(pattern).fullmatch(text)
    days = None if found is None else _days(found)
    if found is None or days is None:
        return None
    parts = found.groupdict()
    wall = days * DAY_US + _time_of_day(parts)
    at = to_utc(wall, zone) if parts.get("z") is None else wall - _shift(parts["z"])
    return at if at is not None and at in MOMENTS else None


def to_utc(wall: int, zone: str) -> int | None:
    """The moment at which the clock of `zone` shows `wall` (microseconds since 1970 of that clock)."""
    if zone == "UTC":
        return wall
    if wall not in MOMENTS:
        return None
    seconds, rest = divmod(wall, SECOND_US)
    clock = datetime(1970, 1, 1) + timedelta(seconds=seconds)
    shift = clock.replace(tzinfo=ZoneInfo(zone)).utcoffset() or timedelta()
    at = (seconds - int(shift.total_seconds())) * SECOND_US + rest
    return at if at in MOMENTS and local(zone, at) == wall else None


def _days(found: re.Match[str]) -> int | None:
    try:
        return date(int(found["y"]), int(found["M"]), int(found["d"])).toordinal() - EPOCH_ORDINAL
    except ValueError:
        return None


def _time_of_day(parts: dict[str, str | None]) -> int:
    hour, minute, second = (int(parts.get(name) or 0) for name in ("h", "m", "s"))
    fraction = (parts.get("f") or "").ljust(6, "0")[:6]
    return hour * HOUR_US + (minute * 60 + second) * SECOND_US + int(fraction)


def _shift(offset: str | None) -> int:
    digits = (offset or "Z")[1:].replace(":", "").ljust(4, "0")
    if (offset or "Z") in "Zz":
        return 0
    shift = int(digits[:2]) * HOUR_US + int(digits[2:]) * 60 * SECOND_US
    return -shift if offset and offset[0] == "-" else shift
