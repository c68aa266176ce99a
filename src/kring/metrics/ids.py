"""Ids: 26 Crockford characters behind a prefix.

Decision ids are UUIDv8 (RFC 9562, section 5.8): 48 bits of milliseconds since 1970, version 8,
12 bits of writer, variant 2, 24 bits of segment, 38 bits of sequence within the segment. So a
decision is found without an index, and a replay gives the same ids.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from kring.errors import NotFound
from kring.record.decision import Place

if TYPE_CHECKING:
    from numpy.typing import NDArray

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
VALUES: Final = {character: value for value, character in enumerate(ALPHABET)}
LENGTH: Final = 26

HIGH_PAIRS: Final = tuple(range(60, -1, -10))
LOW_PAIRS: Final = tuple(range(50, -1, -10))
PAIRS: Final = [first + second for first in ALPHABET for second in ALPHABET]

AT_BITS: Final = 48
WRITER_BITS: Final = 12
SEGMENT_BITS: Final = 24
SEQUENCE_BITS: Final = 38


def crockford(number: int) -> str:
    """`number` (0 ≤ number < 2^128) as 26 characters of Crockford's base 32, most significant first."""
    if not 0 <= number < 1 << 128:
        raise ValueError(f"an id has 128 bits, got {number}")
    high, low = number >> 60, number & (1 << 60) - 1
    pairs = [PAIRS[high >> shift & 1023] for shift in HIGH_PAIRS]
    return "".join(pairs + [PAIRS[low >> shift & 1023] for shift in LOW_PAIRS])


def from_crockford(text: str) -> int:
    """The inverse of `crockford`; `NotFound` for a text that is no id."""
    if len(text) != LENGTH or any(character not in VALUES for character in text) or text[0] > "7":
        raise NotFound(
            "this is not an id",
            got=repr(text[:60]),
            allowed=f"{LENGTH} characters of {ALPHABET} after the prefix",
        )
    number = 0
    for character in text:
        number = number << 5 | VALUES[character]
    return number


def fresh_id(prefix: str, *, at: int, entropy: bytes) -> str:
    """An id that sorts by time: 48 bits of milliseconds of `at` (microseconds), then the 10 bytes of `entropy`."""
    return f"{prefix}_{crockford((at // 1000) << 80 | int.from_bytes(entropy[:10], 'big'))}"


def digest_id(prefix: str, digest: str) -> str:
    """An id made of the first 128 bits of a hexadecimal digest: equal content, equal id."""
    return f"{prefix}_{crockford(int(digest[:32], 16))}"


def decision_bytes(place: Place) -> bytes:
    """The 16 bytes of the decision at `place`."""
    return decision_number(place).to_bytes(16, "big")


def decision_number(place: Place) -> int:
    """The 128 bits of the decision at `place`. `ValueError` for what does not fit into them."""
    at_ms, writer, segment, sequence = place.at_ms, place.writer, place.segment, place.sequence
    if at_ms >> AT_BITS or writer >> WRITER_BITS or segment >> SEGMENT_BITS or sequence >> SEQUENCE_BITS:
        raise ValueError(f"{place} does not fit into {AT_BITS}, {WRITER_BITS}, {SEGMENT_BITS} and {SEQUENCE_BITS} bits")
    high = at_ms << 16 | 8 << 12 | writer
    return high << 64 | 2 << 62 | segment << SEQUENCE_BITS | sequence


def decision_place(raw: bytes) -> Place:
    """The inverse of `decision_bytes`; `NotFound` for bytes that no Kring made."""
    number = int.from_bytes(raw, "big")
    if len(raw) != 16 or number >> 76 & 15 != 8 or number >> 62 & 3 != 2:
        raise NotFound("this is not the id of a decision", got=raw.hex(), allowed="a UUID of version 8")
    return Place(
        at_ms=number >> 80,
        writer=number >> 64 & (1 << WRITER_BITS) - 1,
        segment=number >> SEQUENCE_BITS & (1 << SEGMENT_BITS) - 1,
        sequence=number & (1 << SEQUENCE_BITS) - 1,
    )


def decision_id(raw: bytes) -> str:
    """`d_` and 26 characters."""
    return f"d_{crockford(int.from_bytes(raw, 'big'))}"


def decision_raw(id: str) -> bytes:
    """The 16 bytes behind a decision's text id."""
    if not id.startswith("d_"):
        raise NotFound("this is not the id of a decision", got=repr(id[:60]), allowed="d_ and 26 characters")
    return from_crockford(id[2:]).to_bytes(16, "big")


def decision_ids(first: Place, n: int) -> list[str]:
    """The text ids of `n` decisions at one moment whose sequences follow one another, beginning at `first`."""
    low = _first_of(first, n)
    ids: list[str] = []
    while len(ids) < n:
        number = low + len(ids)
        begin = number & 1023
        head = "d_" + crockford(number)[:-2]
        ids += [head + pair for pair in PAIRS[begin : begin + n - len(ids)]]
    return ids


def decision_block(first: Place, n: int) -> NDArray[np.uint8]:
    """The bytes of the same `n` ids as an array of shape (n, 16)."""
    raw = np.frombuffer(_first_of(first, n).to_bytes(16, "big"), dtype=">u8")
    block = np.empty((n, 2), dtype=">u8")
    block[:, 0] = raw[0]
    block[:, 1] = raw[1] + np.arange(n, dtype=np.uint64)
    return block.view(np.uint8)


def _first_of(first: Place, n: int) -> int:
    """The number at `first`, when `n` sequences from there on fit into an id."""
    if first.sequence + n > 1 << SEQUENCE_BITS:
        raise ValueError(f"sequence {first.sequence + n - 1} does not fit into {SEQUENCE_BITS} bits")
    return decision_number(first)
