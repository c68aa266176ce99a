"""What somebody reports of a decision, and what became of the report."""

from __future__ import annotations

from typing import Literal

import msgspec

from kring.record.decision import Value

Heard = Literal["recorded", "corrected", "known", "refused"]


class Reported(msgspec.Struct, frozen=True, kw_only=True):
    """The decision `id` turned out as `value`, known at `at` (microseconds UTC; 0: now)."""

    id: str
    value: object
    at: int = 0


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """`recorded` for the first time, `corrected` from another value, `known` already and not written again, or
    `refused`, and why."""

    id: str
    heard: Heard
    value: Value = None
    reason: str = ""


class OutcomesTold(msgspec.Struct, frozen=True, kw_only=True):
    """How many reports came to what; `examples` are some of those that were refused."""

    system: str
    recorded: int
    corrected: int
    known: int
    refused: int
    examples: tuple[Told, ...] = ()
