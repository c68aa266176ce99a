"""The kill switches of a system's flags."""

from __future__ import annotations

import msgspec


class Switch(msgspec.Struct, frozen=True, kw_only=True):
    """The flag was switched `off`, or on again, at `at` (microseconds UTC), and why."""

    flag: str
    off: bool
    at: int
    by: str
    why: str = ""


class Switches(msgspec.Struct, frozen=True):
    """The newest of each flag, by its name: what the file of a system holds."""

    switches: dict[str, Switch] = {}
