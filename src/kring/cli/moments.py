"""Moments as people type and read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import click

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)


class Moment(click.ParamType[int]):
    """A day or a moment in ISO 8601; UTC unless it says otherwise. Microseconds since 1970 inside."""

    name = "moment"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is no moment; write 2013-04-01 or 2013-04-01T18:00:00Z", param, ctx)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return (moment - EPOCH) // MICROSECOND


MOMENT = Moment()


def show(at: int) -> str:
    """`at` (microseconds UTC) to the minute."""
    return (EPOCH + at * MICROSECOND).strftime("%Y-%m-%d %H:%M")


def rfc3339(at: int) -> str:
    """`at` (microseconds UTC) as RFC 3339 with Z, for programs."""
    return (EPOCH + at * MICROSECOND).isoformat(timespec="microseconds").replace("+00:00", "Z")
