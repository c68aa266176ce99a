"""A sealed segment of the decision log that stands in the tables of decisions and outcomes, too."""

from __future__ import annotations

import msgspec


class Compacted(msgspec.Struct, frozen=True, kw_only=True):
    """Segment `segment`, whose bytes have `digest`, is in the tables since `at` (microseconds UTC)."""

    segment: str
    digest: str
    decisions: int
    outcomes: int
    at: int
