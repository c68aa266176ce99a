"""Chance from the operating system, or from a seed."""

from __future__ import annotations

import hashlib
import secrets


class SystemRandom:
    def bytes(self, n: int) -> bytes:
        return secrets.token_bytes(n)


class SeededRandom:
    """SHA-256 in counter mode over `seed`: the same bytes on every machine and Python."""

    def __init__(self, seed: int) -> None:
        self._seed = str(seed).encode()
        self._counter = 0

    def bytes(self, n: int) -> bytes:
        blocks = range(self._counter, self._counter + -(-n // 32))
        self._counter = blocks.stop
        return b"".join(hashlib.sha256(b"%s/%d" % (self._seed, block)).digest() for block in blocks)[:n]
