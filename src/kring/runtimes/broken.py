"""A link that can't be opened: it never answers, so that the next rung of the ladder does."""

from __future__ import annotations

from kring.errors import KringError, Unavailable
from kring.record.batch import Batch


class BrokenRuntime:
    """Says at each question what was wrong when it was opened."""

    def __init__(self, error: KringError) -> None:
        self._error = error

    def answer(self, batch: Batch) -> Batch:
        """`Unavailable`, always."""
        del batch
        raise Unavailable(self._error.message, got=self._error.got, next=self._error.next) from self._error

    def close(self) -> None:
        """Nothing is held."""
