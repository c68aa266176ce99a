"""What is told to somebody who asked one question."""

from __future__ import annotations

import msgspec


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `question`, on record as `decision`.

    `found` says whether there is one; without it `answer` says so, and `citations` are the nearest pages all the
    same. `answered_by` differs from `version` when a fallback answered, and `fallback` says why. `guards` name the
    promises of the contract that the question breaks.
    """

    question: str
    answer: str
    found: bool
    citations: tuple[str, ...]
    support: float
    decision: str
    version: str
    answered_by: str
    fallback: str = ""
    guards: tuple[str, ...] = ()
