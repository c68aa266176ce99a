"""What the charts over time are drawn from."""

from __future__ import annotations

from typing import Literal

import msgspec

MarkKind = Literal["version", "alarm"]


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A value at a moment (microseconds UTC) with its 95 % interval where there is one.

    `series` says which line it belongs to. A missing value breaks the line: it is never bridged.
    """

    at: int
    value: float | None
    low: float | None = None
    high: float | None = None
    series: str = ""


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """A moment to point at: a version that went live, an alarm that was raised."""

    at: int
    label: str
    kind: MarkKind = "version"


class Volume(msgspec.Struct, frozen=True, kw_only=True):
    """How many decisions were made from `start` to `end` (microseconds UTC), and how many of them
    have an outcome by now."""

    start: int
    end: int
    decisions: int
    outcomes: int
