"""Runs one link of a version."""

from __future__ import annotations

from typing import Protocol

from kring.record.batch import Batch


class Runtime(Protocol):
    def answer(self, batch: Batch) -> Batch:
        """Outputs for `batch`, same n. The columns that come out are the task's: `probability` or
        `value` for predictions, NaN in a row that has no usable answer, so that no row depends on its
        neighbours. Any failure of the model itself is `Unavailable`."""
        ...

    def close(self) -> None:
        """Free what the link holds. Closing twice is allowed."""
        ...
