"""Moments as people type and read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import click

from kring.charts.words import EPOCH, rfc3339

MICROSECOND: Final = timedelta(microseconds=1)
FIRST: Final = (datetime.min.replace(tzinfo=UTC) - EPOCH) // MICROSECOND
LAST: Final = (datetime.max.replace(tzinfo=UTC) - EPOCH) // MICROSECOND

MOMENTS: Final = frozenset(
    {"at", "since", "as_of", "first", "last", "start", "end", "until", "live_from", "known_at", "retrained_at"}
    | {"created", "expires", "revoked", "ended", "due", "looked_at", "handled_at", "whole_since", "last_asked"}
)
"""Fields of records that hold microseconds since 1970; 0 stands for never."""

EXTREMES: Final = frozenset({"minimum", "maximum"})


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


def with_moments(value: object) -> object:
    """Built-in values with every field of `MOMENTS` in RFC 3339, and null where 0 means never.

    The least and greatest value of a column of timestamps are moments too.
    """
    if isinstance(value, list | tuple):
        return [with_moments(one) for one in value]
    if not isinstance(value, dict):
        return value
    named = MOMENTS | EXTREMES if value.get("type") == "timestamp" else MOMENTS
    return {
        name: _moment(one, never=name in MOMENTS) if name in named else with_moments(one) for name, one in value.items()
    }


def _moment(value: object, *, never: bool) -> object:
    if isinstance(value, bool) or not isinstance(value, int):
        return with_moments(value)
    if value == 0 and never:
        return None
    return rfc3339(value, to="microseconds") if FIRST <= value <= LAST else value
