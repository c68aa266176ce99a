"""Local time: the offset of a time zone at a moment, from one source for tables and rows.

Timestamps are integer microseconds UTC, dates are days since 1970-01-01. Both reach from 0001-01-02 to
9999-12-30; anything outside is null.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

HOUR_US: Final = 3_600_000_000
DAY_US: Final = 24 * HOUR_US
SECOND_US: Final = 1_000_000
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
DAYS: Final = range(date(1, 1, 2).toordinal() - EPOCH_ORDINAL, date(9999, 12, 31).toordinal() - EPOCH_ORDINAL)
MOMENTS: Final = range(DAYS.start * DAY_US, DAYS.stop * DAY_US)

# Region/City only: names such as localtime or right/UTC mean something else on another machine.
NAME: Final = re.compile(r"UTC|[A-Z][A-Za-z0-9_+-]*(/[A-Z][A-Za-z0-9_+-]*)+")


def is_zone(name: str) -> bool:
    """Whether `name` is UTC or a Region/City of the IANA database that this machine knows."""
    if not NAME.fullmatch(name):
        return False
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return name == "UTC"
    return True


@lru_cache(maxsize=1 << 16)
def day_offsets(zone: str, day: int) -> tuple[int, int, int]:
    """The offsets of `zone` in one UTC day, in microseconds: (before, change, after).

    The offset is `before` until `change` (microseconds UTC, excluded) and `after` from then on. No zone of
    the IANA database changes its offset twice in a day: its closest two changes are four days apart.
    """
    if zone == "UTC":
        return 0, 0, 0
    rules = ZoneInfo(zone)
    low, high = day * DAY_US // SECOND_US, (day + 1) * DAY_US // SECOND_US
    before, after = _offset(rules, low), _offset(rules, high)
    if before == after:
        return before, 0, before
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(rules, middle) == before:
            low = middle
        else:
            high = middle
    return before, high * SECOND_US, after


def local(zone: str, at: int) -> int:
    """The wall clock of `zone` at `at` (microseconds UTC, in MOMENTS), as microseconds since 1970 of that clock."""
    before, change, after = day_offsets(zone, at // DAY_US)
    return at + (before if at < change else after)


def _offset(rules: ZoneInfo, second: int) -> int:
    shift = (EPOCH + timedelta(seconds=second)).astimezone(rules).utcoffset()
    return shift // timedelta(microseconds=1) if shift is not None else 0
