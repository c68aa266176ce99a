"""Chance is injected, so that a replay with the same seed is the same replay."""

from __future__ import annotations

from typing import Protocol


class Random(Protocol):
    def bytes(self, n: int) -> bytes:
        """`n` random bytes; unpredictable from the operating system, reproducible from a seed."""
        ...
