"""Who was told which variant of which flag: what an experiment is analysed by."""

from __future__ import annotations

import msgspec


class Exposure(msgspec.Struct, frozen=True, kw_only=True):
    """Flags of `system` that were evaluated at `at` (microseconds UTC), as columns with a row for each.

    `subjects` are written as in `Decisions`: as tokens where they are personal or name somebody directly. `reasons` are
    OFREP's. `versions` answers the subject where the flag speaks of versions; `trials` holds the id of the trial that
    chose the variant and the subject's arm in it (`ID/ARM`); each is empty elsewhere. `generation` is that of the
    pointer: it says on the ledger which shares held.
    """

    system: str
    at: int
    generation: int
    flags: list[str]
    variants: list[str]
    reasons: list[str]
    subjects: list[str]
    versions: list[str]
    trials: list[str]
