"""Where something came from."""

from __future__ import annotations

import msgspec


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One step back: what it is, its id, the facts that matter, and who is accountable for its stage."""

    kind: str
    id: str
    at: int
    facts: dict[str, str]
    owner: str


class Lineage(msgspec.Struct, frozen=True, kw_only=True):
    """From `id` back to the source; each node rests on the next."""

    system: str
    id: str
    nodes: tuple[Node, ...]
