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

    def keys(self, values: Sequence[str], *, make: bool = True) -> list[bytes | None]:
        """A secret of 16 bytes per value, made as needed as tokens are; None for an unknown one unless `make`."""
        ...

    def known(self, value: str) -> str:
        """The token of a value that has one; empty for an unknown value. Makes none."""
        ...

    def forget(self, value: str) -> bool:
        """Destroy all keys of the subject: of the value, or of the value that this token stands for, and of its token.
        Its tokens can't be made again, and what was sealed with its keys can't be opened. False when unknown."""
        ...

    def close(self) -> None:
        """Close. Closing twice is allowed."""
        ...
