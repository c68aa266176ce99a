"""What somebody reports of a decision, and what became of the report."""

from __future__ import annotations

from typing import Literal

import msgspec

from kring.record.decision import Value

Heard = Literal["recorded", "corrected", "known", "refused"]

Refusal = Literal["", "unknown", "ambiguous", "type", "value", "shadow", "future", "early", "contradicting"]
"""Why a report is refused: of no decision on record, of several, not of the outcome's type, none of its values, of a
shadow's copy, not known yet, known before the decision, against another one of the same delivery."""


class Reported(msgspec.Struct, frozen=True, kw_only=True):
    """The decision `id` turned out as `value`, known at `at` (microseconds UTC; 0: now)."""

    id: str
    value: object
    at: int = 0


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """`recorded` for the first time, `corrected` from another value, `known` already and not written again, or
    `refused`, and why: in words, and as which kind of refusal."""

    id: str
    heard: Heard
    value: Value = None
    reason: str = ""
    why: Refusal = ""


class OutcomesTold(msgspec.Struct, frozen=True, kw_only=True):
    """How many reports came to what, and of those that were refused how many for which kind of reason; `examples` are
    some of these. `undecided` rows of a file have no outcome yet."""

    system: str
    recorded: int
    corrected: int
    known: int
    refused: int
    refusals: dict[str, int] = {}
    undecided: int = 0
    examples: tuple[Told, ...] = ()
