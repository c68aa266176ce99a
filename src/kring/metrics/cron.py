"""Cron expressions: when they fire."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from cronsim import CronSim, CronSimError

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def next_fire(expression: str, *, after: int) -> int:
    """The first moment later than `after` at which a cron expression of five fields fires, both microseconds UTC.

    Fields are minute, hour, day of the month, month and day of the week (0 or 7 is Sunday), with lists, ranges, steps
    and names; when both days are restricted, either will do (POSIX crontab). ValueError for what can't be read, and
    for what never fires, such as the 30th of February.
    """
    begin = datetime.fromtimestamp(after // 1_000_000, tz=UTC)
    try:
        found = next(CronSim(expression.strip(), begin))
    except (CronSimError, StopIteration) as error:
        raise ValueError(f"not a cron expression that ever fires: {expression!r}") from error
    return int((found - EPOCH).total_seconds()) * 1_000_000
