"""A failure that was rehearsed on a copy of the system."""

from __future__ import annotations

import msgspec

from kring.record.running import DrillName


class Drilled(msgspec.Struct, frozen=True, kw_only=True):
    """The drill `name` on a copy of the system at `at` (microseconds UTC): whether it was `passed`, what `happened` in
    words, how long until somebody noticed and until all was as before (seconds; None: it never was, or there was
    nothing to notice), how many requests were `asked` meanwhile, how many of them `failed`, and who answered how many.
    """

    id: str
    system: str
    name: DrillName
    at: int
    passed: bool
    happened: str
    detected_s: float | None
    recovered_s: float | None
    asked: int = 0
    failed: int = 0
    answered_by: dict[str, int] = {}
