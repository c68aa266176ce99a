"""What is personal in a record, encrypted with a key of the person it is about (law 11)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from kring.record.decision import Value

ERASED: Final = "(erased)"
"""What stands where a value was whose key is gone."""


class Sealer(Protocol):
    """Columns are lists of plain values, one for each of `subjects`; None stays None."""

    def seal(self, columns: Mapping[str, Sequence[Value]], subjects: Sequence[str]) -> dict[str, list[Value]]:
        """The columns with each value as a text that only the subject's key opens; equal values of one subject in one
        column give equal texts. Keys are made as needed, durably, before this returns."""
        ...

    def unseal(self, columns: Mapping[str, Sequence[Value]], subjects: Sequence[str]) -> dict[str, list[Value]]:
        """The values again; `ERASED` where there is no key any more, or the text is none of its own."""
        ...

    def tokens(self, subjects: Sequence[str]) -> list[str]:
        """Tokens in place of subjects, see `kring.ports.vault`."""
        ...

    def forget_all(self) -> None:
        """Keep no key in memory: somebody was forgotten."""
        ...

    def close(self) -> None:
        """Let go of the keys. Closing twice is allowed."""
        ...
