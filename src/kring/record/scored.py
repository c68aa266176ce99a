"""A file whose rows were decided as one batch."""

from __future__ import annotations

import msgspec


class Scored(msgspec.Struct, frozen=True, kw_only=True):
    """Who decided `rows` rows of `source` at `at` (microseconds UTC), and the file of answers that was handed out.

    The digests are SHA-256 over the bytes of both files, of which only the names are kept. Of the rows `decided`
    have an answer, by the version that was asked or, `fallback` of them, by another; `rejected` broke the contract
    and `unanswered` found nobody who could answer, both without a decision; `flagged` were decided though they
    break the contract. `written` rows are in the file of answers. `first_id` and `last_id` are the ids of the
    first and the last row of the source, empty when it holds none.
    """

    id: str
    system: str
    version: str
    source: str
    source_digest: str
    output: str
    output_digest: str
    at: int
    rows: int
    decided: int
    rejected: int
    flagged: int
    fallback: int
    unanswered: int
    written: int
    first_id: str
    last_id: str
    seconds: float
