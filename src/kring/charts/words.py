"""Numbers and moments as people read them, the same in every page; and moments as programs do."""

from __future__ import annotations

import math
import re
import textwrap
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from kring.record.evidence import Measure

NOTHING: Final = "–"
THIN: Final = "\u202f"
WIDTH: Final = 98
"""Characters of a line that is read in a terminal or a mail."""

GLUED: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC|\d %|(?<=kring )\w+ \w+|[<>]=? [\d.]+")
"""What a line is not broken in."""

PERCENT: Final = re.compile(r"(?<=\d)%(?=$|[\s,;:.)])")
"""A sign that stands at its number, and is no part of an address."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
UNPRINTABLE: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def legible(text: str) -> str:
    """`text` with a replacement sign for every character that XML 1.0 (section 2.2) has no place for:
    control characters and halves of surrogate pairs."""
    return UNPRINTABLE.sub("\ufffd", text)


def number(value: float | None, *, digits: int = 3) -> str:
    """`value` with `digits` decimals, thousands apart; a dash for what is missing or no number."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return f"{value:,.{digits}f}".replace(",", THIN)


def count(value: int) -> str:
    """A whole number, thousands apart."""
    return f"{value:,}".replace(",", THIN)


def percent(value: float | None, *, digits: int = 1) -> str:
    """A share (0 to 1) as a percentage."""
    return NOTHING if value is None or not math.isfinite(value) else f"{100 * value:.{digits}f}{THIN}%"


def interval(measure: Measure, *, digits: int = 3) -> str:
    """`0.684 (0.672 to 0.696)`: a measure with its 95 % interval."""
    ends = f"{number(measure.low, digits=digits)} to {number(measure.high, digits=digits)}"
    return f"{number(measure.value, digits=digits)} ({ends})"


def day(at: int) -> str:
    """Microseconds UTC as `2013-04-01`."""
    return datetime.fromtimestamp(at / 1e6, tz=UTC).strftime("%Y-%m-%d")


def moment(at: int) -> str:
    """Microseconds UTC as `2013-04-01 18:00 UTC`."""
    return datetime.fromtimestamp(at / 1e6, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")


def rfc3339(at: int, *, to: Literal["milliseconds", "microseconds"] = "milliseconds") -> str:
    """Microseconds UTC as `2013-04-01T18:00:00.000Z`, for programs. `OverflowError` beyond the years 1 to 9999."""
    return (EPOCH + timedelta(microseconds=at)).isoformat(timespec=to).replace("+00:00", "Z")


def spaced(text: str) -> str:
    """`text` with a blank between each number and its %: it comes from many places, and is read on one page."""
    return PERCENT.sub(" %", text)


def lines(text: str, *, first: str = "", rest: str = "", width: int = WIDTH) -> list[str]:
    """`text` broken between words; the first line begins with `first`, the others with `rest`. What is longer than a
    line, such as an id or a path, stays whole, and so does a moment, or a number with its sign."""
    glued = GLUED.sub(lambda found: found[0].replace(" ", "\u00a0"), spaced(text))
    broken = textwrap.wrap(
        glued, width, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
    return [line.replace("\u00a0", " ") for line in broken]
