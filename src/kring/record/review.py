"""Decisions that people look at, and what they say of them."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from kring.record.decision import Value
from kring.record.evidence import Measure

REVIEWED: Final = "review: "
"""Begins the source of an outcome that a person found by looking at the decision; the reviewer's name follows."""

Cause = Literal["asked", "flagged", "disagreeing", "uncertain", "drawn"]
"""Why somebody is to look at a decision: the answer was to ask a person, a guard fired, a shadow decided otherwise, the
version was least sure of it, or it was drawn at random."""


class ToReview(msgspec.Struct, frozen=True, kw_only=True):
    """A decision that waits for people. What the version answered is not among the `inputs`: who sees it tends to
    repeat it. `by` have looked at it already."""

    id: str
    at: str
    why: tuple[Cause, ...]
    inputs: dict[str, Value]
    guards: tuple[str, ...] = ()
    by: tuple[str, ...] = ()


class Contradiction(msgspec.Struct, frozen=True, kw_only=True):
    """A decision of which its reviewers say different things, by name."""

    id: str
    said: dict[str, Value]


class ReviewQueue(msgspec.Struct, frozen=True, kw_only=True):
    """What waits to be looked at in one system, the next first.

    Of `decisions` in the last 30 days, `waiting` are to be looked at and were not by enough people; `causes` count them
    by why. `target` is what is asked, `allowed` what may be said to it if only some things may. `reviewed` counts
    the decisions that anybody looked at, `agreement` says how far those agree who looked at the same ones.
    """

    system: str
    target: str
    allowed: tuple[Value, ...]
    reviewers: int
    decisions: int
    waiting: int
    causes: dict[str, int]
    next: tuple[ToReview, ...]
    reviewed: int = 0
    agreement: Measure | None = None
    contradictions: tuple[Contradiction, ...] = ()
