"""Keyed tokens in place of direct identifiers (law 11)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Vault(Protocol):
    def tokens(self, values: Sequence[str]) -> list[str]:
        """One token per value: equal values give equal tokens, different ones different tokens.
        Without the vault a token says nothing about its value. Keys are made as needed, durably,
        before this returns. A key belongs to the subject: the same value in any column."""
        ...

    def forget(self, value: str) -> bool:
        """Destroy the subject's key: its tokens can't be made again. False when unknown."""
        ...

    def close(self) -> None:
        """Close. Closing twice is allowed."""
        ...
