"""Numbers and moments as people read them; the same in every page."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Final

from kring.record.evidence import Measure

NOTHING: Final = "–"
THIN: Final = "\u202f"
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
