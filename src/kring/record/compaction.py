"""What became of a sealed segment of the decision log: it stands in the tables, too, or was kept long enough."""

from __future__ import annotations

import msgspec


class Compacted(msgspec.Struct, frozen=True, kw_only=True):
    """Segment `segment`, whose bytes have `digest`, is in the tables since `at` (microseconds UTC)."""

    segment: str
    digest: str
    decisions: int
    outcomes: int
    at: int


class Dropped(msgspec.Struct, frozen=True, kw_only=True):
    """Segment `segment`, whose bytes had `digest`, was kept for as long as the system keeps decisions, and deleted.
    `first` and `last` are the moments of its frames; how much was in it stands in the event of its sealing."""

    segment: str
    digest: str
    first: int
    last: int
    at: int
