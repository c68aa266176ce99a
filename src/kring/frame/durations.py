"""Spans of time as people write them: a whole number and a unit."""

from __future__ import annotations

import re
from typing import Final

UNITS: Final = {"s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000, "w": 604_800_000_000}
PATTERN: Final = r"^(0|[1-9][0-9]{0,9})[smhdw]$"
PATTERN_ABOVE_ZERO: Final = r"^[1-9][0-9]{0,9}[smhdw]$"
LONGEST_US: Final = 36_525 * UNITS["d"]
EXAMPLES: Final = '"90s", "15m", "2h", "1d" or "2w"'


def microseconds(text: str) -> int:
    """`"2h"` as microseconds; `ValueError` for a text that `fits` does not accept."""
    if not fits(text):
        raise ValueError(f"not a duration: {text!r}")
    return int(text[:-1]) * UNITS[text[-1]]


def fits(text: str) -> bool:
    """Whether `text` is a duration of at most a hundred years."""
    return re.fullmatch(PATTERN, text) is not None and int(text[:-1]) * UNITS[text[-1]] <= LONGEST_US
