"""What a caller is told of one decision."""

from __future__ import annotations

import msgspec

from kring.record.decision import Arm, Value


class Answer(msgspec.Struct, frozen=True):
    """The answer to one row, on record as `id`.

    `outputs` are what the chain gave besides the decision, such as `probability`. `answered_by` differs from
    `version` when a fallback answered, and `fallback` says why. `guards` name what fired, `reasons` say why in words.
    """

    id: str
    decision: Value
    outputs: dict[str, Value]
    version: str
    arm: Arm
    answered_by: str
    fallback: str = ""
    guards: list[str] = []
    reasons: list[str] = []
