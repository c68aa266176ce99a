"""Files on a disk that may be full, broken or pulled out at any moment."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class Appender(Protocol):
    """A file open for appending."""

    def write(self, data: bytes) -> None:
        """Append all of `data` or raise `StorageError`; a part may have reached the file then."""
        ...

    def sync(self) -> None:
        """Return when all that was written is durable; after a failure the appender is dead
        (`StorageError` for ever): a failed fsync is never retried as success."""
        ...

    def size(self) -> int:
        """Bytes in the file, written or synced."""
        ...

    def close(self) -> None:
        """Close without syncing. Closing twice is allowed."""
        ...


class Files(Protocol):
    def read(self, path: Path) -> bytes:
        """All bytes. `NotFound` when there is no such file, `StorageError` when it can't be read."""
        ...

    def write(self, path: Path, data: bytes) -> None:
        """Put `data` at `path` whole and durable, or leave what was there: write beside, sync,
        rename, sync the folder. Makes missing folders. Files are 0600, folders 0700."""
        ...

    def append(self, path: Path, *, ahead: int = 0) -> Appender:
        """Open for appending, making the file and its folders; both durable on return. An open file
        has one appender: `Busy` while another one, in any process, has it open.

        With `ahead` up to so many zero bytes may lie behind what was appended, so that the file need not grow with each
        write. They are cut off when it is closed; when the process dies they stay."""
        ...

    def truncate(self, path: Path, size: int) -> None:
        """Cut the file to `size` bytes, durably."""
        ...

    def list(self, path: Path) -> list[Path]:
        """Files and folders directly in `path`, sorted by name; empty when it does not exist."""
        ...

    def publish(self, folder: Path, target: Path, *, replace: bool = False) -> None:
        """Rename a finished folder, or a finished file whose bytes are durable, to `target` durably; `Conflict`
        when `target` exists, unless a file is to `replace` it."""
        ...

    def remove(self, path: Path) -> None:
        """Delete a file or a folder with all in it; nothing happens when it does not exist."""
        ...
