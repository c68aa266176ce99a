"""When a writer has to stop for good, and when what failed may pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kring.errors import NoRoom, ReadOnly, StorageError
from kring.ports.files import Appender


class Stop:
    """Once there is a `reason`, every `check` is `ReadOnly`."""

    def __init__(self, folder: Path) -> None:
        self.reason = ""
        self._folder = folder

    def check(self, cause: StorageError | None = None) -> None:
        if self.reason:
            raise ReadOnly(
                "the decision log takes no more records",
                got=self.reason,
                next="check the disk, then start again: what was acknowledged is safe",
                file=str(self._folder),
            ) from cause

    def sync(self, appender: Appender) -> None:
        """Make what was appended durable. When that fails it is never tried again, whatever the reason: the next
        fsync may claim what is not so."""
        try:
            appender.sync()
        except StorageError as error:
            self.reason = str(error)
            self.check(error)

    @contextmanager
    def unless_it_passes(self) -> Iterator[None]:
        """`NoRoom` goes through and leaves everything as it was; after anything else nobody knows what is on disk."""
        try:
            yield
        except NoRoom:
            raise
        except StorageError as error:
            self.reason = self.reason or str(error)
            self.check(error)
