"""One execution of one candidate on one snapshot at one commit."""

from __future__ import annotations

from typing import Literal

import msgspec

from kring.record.tuning import Tuned
from kring.record.variant import Variant

RunState = Literal["done", "failed", "refused"]


class SplitPart(msgspec.Struct, frozen=True, kw_only=True):
    """One side of a split: rows used, span of decision times (microseconds UTC), rows left out and why."""

    name: Literal["train", "test"]
    rows: int
    first: int
    last: int
    dropped: tuple[tuple[str, int], ...] = ()


class Parity(msgspec.Struct, frozen=True, kw_only=True):
    """Exported against trained on all held-out rows, from raw fields to decision (law 7).

    `largest` is max |Δ output|, `decisions` the number of rows whose decision differs away from the threshold,
    `row_path` the largest difference of the one-row path against the batch path.
    """

    rows: int
    largest: float
    decisions: int
    row_path: float


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What was fitted, on what, with which result. `chain_digest` is the SHA-256 of the stored chain,
    which in turn names the digests of its links. `tuned` is the search for its params, `variant` what sets a
    smaller variant apart from the candidate it comes from; `documents` is the SHA-256 over the digests of the
    documents that it answers from. `companions` are the SHA-256 of files that a version carries beside its chain."""

    id: str
    system: str
    candidate: str
    kind: str
    baseline: bool
    state: RunState
    snapshot: str
    snapshot_digest: str
    contract_digest: str
    config_digest: str
    commit: str
    seed: int
    parts: tuple[SplitPart, ...]
    at: int
    fit_seconds: float = 0.0
    parity: Parity | None = None
    reason: str = ""
    warnings: tuple[str, ...] = ()
    chain_digest: str = ""
    documents: str = ""
    tuned: Tuned | None = None
    variant: Variant | None = None
    recipe: str = ""
    behaviours: str = ""
    companions: dict[str, str] = {}
