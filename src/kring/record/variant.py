"""A smaller variant beside the candidate that it was made from."""

from __future__ import annotations

import msgspec


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """How far a variant's answers to the held-out rows lie from those of candidate `of` (its `run`).

    `largest` is max |Δ output| as the task compares answers, `decisions` the number of rows that it decides
    otherwise; `bytes_before` and `bytes` are the sizes of the two graphs.
    """

    of: str
    run: str
    precision: str
    rows: int
    largest: float
    decisions: int
    bytes_before: int
    bytes: int
