"""Finds the passages that fit a question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from kring.record.passage import Found, Ranking


class Index(Protocol):
    """An index is built to bytes from passages, equal bytes from equal passages, and opened from bytes, whose
    digest the caller has checked. Reading never changes it, and nothing in it is ever executed."""

    ranking: Ranking
    """How it ranks, as it was built."""

    def search(self, question: str) -> list[Found]:
        """The best passages, best first, each with a score above 0; ties in the order of the documents. Any text
        is a question: none has a meaning to the index beyond its words. `Unavailable` when it can't be searched."""
        ...

    def weights(self, words: Sequence[str]) -> list[float]:
        """How much each word (as `kring.retrieval.words` gives it) tells passages apart, above 0: the rarer the
        more, most of all a word that occurs nowhere."""
        ...

    def documents(self) -> dict[str, str]:
        """The SHA-256 of every document behind the passages, by its id."""
        ...

    def close(self) -> None:
        """Let go of the bytes. Closing twice is allowed."""
        ...
