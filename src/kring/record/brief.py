"""What live says to whoever makes the next version."""

from __future__ import annotations

import msgspec

from kring.record.alarm import Alarm
from kring.record.decision import Value


class Weak(msgspec.Struct, frozen=True, kw_only=True):
    """Rows that have something in common and are answered worse than all others: mean losses, and the `chance` that
    it is luck, corrected for how many sets were looked at."""

    name: str
    rows: int
    loss: float
    others: float
    chance: float


class Disagreement(msgspec.Struct, frozen=True, kw_only=True):
    """A decision that another version, or the baseline, would have made otherwise."""

    decision: str
    live: Value
    other: Value
    version: str


class Brief(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen of the live `version` between `start` and `end` (microseconds UTC), and what lies in `folder`: a
    system to go on from, with the data of `snapshot`, the live rows whose outcome is known, and `failing` of them as
    tests."""

    system: str
    version: str
    start: int
    end: int
    decisions: int
    outcomes: int
    weak: tuple[Weak, ...]
    alarms: tuple[Alarm, ...]
    disagreements: tuple[Disagreement, ...]
    compared: int
    failing: int
    snapshot: str
    folder: str
