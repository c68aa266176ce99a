"""That a person was forgotten: what was taken out of which snapshot, and what had learned from it. Names nobody."""

from __future__ import annotations

import msgspec


class Erased(msgspec.Struct, frozen=True, kw_only=True):
    """`rows` rows were taken out of `snapshot`, whose digest was `before` and is `after`; it is pinned as
    `delta_version` of its table now."""

    snapshot: str
    rows: int
    before: str
    after: str
    delta_version: int
    at: int


class Forgotten(msgspec.Struct, frozen=True, kw_only=True):
    """One erasure: `rows` were taken out of `snapshots`, `versions` had learned from them, and the keys that open the
    person's values in the decision log are destroyed. Counts stay as they were."""

    id: str
    system: str
    at: int
    rows: int
    snapshots: tuple[str, ...]
    versions: tuple[str, ...]
