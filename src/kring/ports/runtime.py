"""Runs one link of a version."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

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


@runtime_checkable
class Stoppable(Protocol):
    """A runtime whose answer can be broken off from outside."""

    def stop(self, thread: int) -> None:
        """Break off the answer that the thread of that number (`threading.get_ident`) is waiting for; its `answer`
        raises `Late` soon. Called by another thread, more than once for one answer when it takes its time; nothing
        happens when that thread waits for none, and its next answer is not broken off."""
        ...
