"""Files on the local disk, durable when they say so."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from kring.errors import Busy, Conflict, NoRoom, NotFound, StorageError

FILE_MODE: Final = 0o600
FOLDER_MODE: Final = 0o700


NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE)
"""What passes when somebody makes room."""


def storage_error(action: str, path: Path, error: OSError) -> StorageError:
    """What the disk said, with what to do about the usual causes; `NoRoom` for what may pass."""
    remedy = {
        errno.ENOSPC: "free some space on this disk and run the command again; nothing was half-written",
        errno.EDQUOT: "free some space in this quota and run the command again; nothing was half-written",
        errno.EROFS: "this disk is read-only; choose another folder",
        errno.EACCES: "give this user the right to write here",
        errno.EMFILE: "raise the limit of open files (ulimit -n) and run the command again",
    }.get(error.errno or 0, "check the disk and run the command again")
    kind = NoRoom if error.errno in NO_ROOM else StorageError
    return kind(f"could not {action} {path.name}", got=str(error), next=remedy, file=str(path))


def sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(path: Path) -> None:
    """Make `path` and what is missing above it, each durable in the folder that holds it."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
        sync_folder(folder.parent)


def _exists(target: Path) -> Conflict:
    return Conflict(f"{target.name} exists already", file=str(target), next="nothing needs to be done twice")


class LocalAppender:
    """Writes at the end of what was appended, behind which the file holds zeros: `ahead` of them are written when they
    are used up. A file whose length stays is made durable with one wait for the disk instead of two."""

    def __init__(self, path: Path, descriptor: int, *, ahead: int = 0) -> None:
        self._path = path
        self._descriptor = descriptor
        self._size = self._room = os.fstat(descriptor).st_size
        self._ahead = ahead
        self._dead = ""

    def write(self, data: bytes) -> None:
        self._check()
        try:
            self._put(data, self._size)
        except OSError as error:
            raise storage_error("append to", self._path, error) from error
        if self._ahead and self._size > self._room:
            self._write_ahead()

    def sync(self) -> None:
        self._check()
        try:
            os.fdatasync(self._descriptor)
        except OSError as error:
            self._dead = str(error)
            raise storage_error("make durable", self._path, error) from error

    def size(self) -> int:
        return self._size

    def close(self) -> None:
        if self._descriptor >= 0:
            with suppress(OSError):  # then the zeros stay, as after a crash
                if self._room > self._size:
                    os.ftruncate(self._descriptor, self._size)
            os.close(self._descriptor)
            self._descriptor = -1

    def _put(self, data: bytes, offset: int) -> None:
        view = memoryview(data)
        while view:
            done = os.pwrite(self._descriptor, view, offset)
            offset += done
            self._size = max(self._size, offset)
            view = view[done:]

    def _write_ahead(self) -> None:
        """Zeros behind the end. Where there is no room for them, the file simply grows with each write."""
        self._room = self._size
        with suppress(OSError):
            self._room += os.pwrite(self._descriptor, bytes(self._ahead), self._size)

    def _check(self) -> None:
        if self._descriptor < 0:
            raise StorageError("this file was closed", file=str(self._path))
        if self._dead:
            raise StorageError(
                "this file takes no more writes after a failed fsync",
                got=self._dead,
                next="check the disk, then start again: what was acknowledged is safe",
                file=str(self._path),
            )


class LocalFiles:
    def read(self, path: Path) -> bytes:
        try:
            return path.read_bytes()
        except FileNotFoundError as error:
            raise NotFound(f"there is no file {path.name}", file=str(path)) from error
        except OSError as error:
            raise storage_error("read", path, error) from error

    def write(self, path: Path, data: bytes) -> None:
        beside = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
        try:
            make_folder(path.parent)
            try:
                self._write_whole(beside, data)
                os.replace(beside, path)
            except BaseException:
                beside.unlink(missing_ok=True)
                raise
            sync_folder(path.parent)
        except OSError as error:
            raise storage_error("write", path, error) from error

    def append(self, path: Path, *, ahead: int = 0) -> LocalAppender:
        try:
            make_folder(path.parent)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        except OSError as error:
            raise storage_error("open", path, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            sync_folder(path.parent)
            return LocalAppender(path, descriptor, ahead=ahead)
        except BlockingIOError as error:
            os.close(descriptor)
            raise Busy(
                f"{path.name} is being written by another process",
                next="wait until it has finished, or stop it",
                file=str(path),
            ) from error
        except OSError as error:
            os.close(descriptor)
            raise storage_error("open", path, error) from error

    def truncate(self, path: Path, size: int) -> None:
        try:
            with path.open("rb+") as file:
                file.truncate(size)
                os.fsync(file.fileno())
        except OSError as error:
            raise storage_error("cut", path, error) from error

    def list(self, path: Path) -> list[Path]:
        try:
            return sorted(path.iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise storage_error("list", path, error) from error

    def publish(self, folder: Path, target: Path, *, replace: bool = False) -> None:
        if target.exists() and not replace:
            raise _exists(target)
        try:
            for path in [folder, *folder.rglob("*")]:
                if path.is_dir():
                    sync_folder(path)
            make_folder(target.parent)
            os.rename(folder, target)
            sync_folder(target.parent)
            sync_folder(folder.parent)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                raise _exists(target) from error
            raise storage_error("publish", target, error) from error

    def remove(self, path: Path) -> None:
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise storage_error("remove", path, error) from error

    def _write_whole(self, path: Path, data: bytes) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
