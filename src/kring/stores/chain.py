"""How the events of a ledger hang together, in whatever store they lie."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from kring.record.event import Entry

START: Final = bytes(32)
"""What the first event names as its predecessor."""

_encoder = msgspec.json.Encoder(order="sorted")


def link(prev: bytes, seq: int, entry: Entry) -> bytes:
    """SHA-256(prev ‖ seq as 8 bytes big endian ‖ canonical JSON of kind, id, body, actor, at).

    Canonical: keys sorted, no spaces, bytes as base64 (`msgspec.json` with `order="sorted"`).
    """
    return hashlib.sha256(prev + seq.to_bytes(8, "big") + _encoder.encode(entry)).digest()
