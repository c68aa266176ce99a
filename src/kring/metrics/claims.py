"""Names for idempotency keys, and the tags by which the decision log remembers them.

A name is the first 128 bits of SHA-256 over system, scope and key, in base64 (22 characters of the alphabet for
addresses): a key may be anything, and may hold what is personal. A tag is name, digest of the request's body, the place
of a row in the request and the number of its rows, joined by dots.

The digest is an HMAC (RFC 2104) with the key, whose text is written nowhere: who reads the log of somebody who is
forgotten can't try bodies against it, as long as the key can't be guessed either.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from typing import Final, NamedTuple

BYTES: Final = 16


class Tag(NamedTuple):
    """What a tag says: `row` counts from 0 to `rows` - 1."""

    name: str
    digest: str
    row: int
    rows: int


def claim_name(system: str, scope: str, key: str) -> str:
    """The name of `key` as `scope` (whoever asks) gave it to `system`; none of another three is the same."""
    parts = [part.encode("utf-8", "surrogatepass") for part in (system, scope, key)]
    framed = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return _written(hashlib.sha256(framed).digest())


def body_digest(body: bytes, *, key: str) -> str:
    """What tells a request's body from another one that comes with the same `key`, 22 characters."""
    return _written(hmac.digest(key.encode("utf-8", "surrogatepass"), body, "sha256"))


def claim_tags(name: str, digest: str, rows: int) -> list[str]:
    """One tag for each row of the request, for `Decisions.keys`."""
    return [f"{name}.{digest}.{row}.{rows}" for row in range(rows)]


def read_tag(text: str) -> Tag | None:
    """The inverse; None for a text that is no tag."""
    name, digest, row, rows = (*text.split("."), "", "", "", "")[:4]
    if not (row.isdecimal() and rows.isdecimal() and row.isascii() and rows.isascii()):
        return None
    return Tag(name, digest, int(row), int(rows))


def _written(digest: bytes) -> str:
    return urlsafe_b64encode(digest[:BYTES]).rstrip(b"=").decode()
