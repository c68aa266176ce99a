"""What a version would have said to the decisions on record."""

from __future__ import annotations

import msgspec

from kring.record.decision import Value
from kring.record.evidence import Measure


class Differing(msgspec.Struct, frozen=True, kw_only=True):
    """One decision that the two see differently. `apart` is how far their outputs lie apart, None where one of them
    has none; `outcome` is what turned out to be true, None while nobody knows."""

    id: str
    at: int
    inputs: dict[str, Value]
    said: dict[str, Value]
    shadow: dict[str, Value]
    apart: float | None
    outcome: Value = None


class ShadowReplay(msgspec.Struct, frozen=True, kw_only=True):
    """`version` beside the `rows` decisions on record from `start` to `end`, on the same inputs.

    `answered_by` counts the rows by who was asked then. `erased` rows hold values of somebody who was forgotten,
    `own` ones were answered by the version itself; neither is compared. `unanswered` ones got no answer from
    the record, `failures` none from the version. Of those that both answered (`compared`), `otherwise` were decided
    differently; `agreement` are the task's measures of how far the two agree. `quality` are its metrics on the rows
    whose outcome is known (`outcomes`), the version's own and, as `lift_over_baseline.*`, its gain over the record.
    """

    system: str
    version: str
    start: int
    end: int
    rows: int
    answered_by: dict[str, int]
    erased: int
    own: int
    unanswered: int
    failures: int
    compared: int
    otherwise: int
    outcomes: int
    agreement: tuple[Measure, ...] = ()
    quality: tuple[Measure, ...] = ()
    differing: tuple[Differing, ...] = ()
