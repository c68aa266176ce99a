"""Files on the local disk, durable when they say so."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

from kring.errors import Conflict, NotFound, StorageError

FILE_MODE: Final = 0o600
FOLDER_MODE: Final = 0o700


def storage_error(action: str, path: Path, error: OSError) -> StorageError:
    """What the disk said, with what to do about the usual causes."""
    remedy = {
        28: "free some space on this disk and run the command again; nothing was half-written",
        30: "this disk is read-only; choose another folder",
        13: "give this user the right to write here",
    }.get(error.errno or 0, "check the disk and run the command again")
    return StorageError(f"could not {action} {path.name}", got=str(error), next=remedy, file=str(path))


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


class LocalAppender:
    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor
        self._size = os.fstat(descriptor).st_size
        self._dead = ""

    def write(self, data: bytes) -> None:
        self._check()
        view = memoryview(data)
        try:
            while view:
                done = os.write(self._descriptor, view)
                self._size += done
                view = view[done:]
        except OSError as error:
            raise storage_error("append to", self._path, error) from error

    def sync(self) -> None:
        self._check()
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            self._dead = str(error)
            raise storage_error("make durable", self._path, error) from error

    def size(self) -> int:
        return self._size

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _check(self) -> None:
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
        beside = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            make_folder(path.parent)
            self._write_whole(beside, data)
            os.replace(beside, path)
            sync_folder(path.parent)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise storage_error("write", path, error) from error

    def append(self, path: Path) -> LocalAppender:
        try:
            make_folder(path.parent)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, FILE_MODE)
            sync_folder(path.parent)
        except OSError as error:
            raise storage_error("open", path, error) from error
        return LocalAppender(path, descriptor)

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

    def publish(self, folder: Path, target: Path) -> None:
        if target.exists():
            raise Conflict(f"{target.name} exists already", file=str(target), next="nothing needs to be done twice")
        try:
            for path in folder.rglob("*"):
                if path.is_dir():
                    sync_folder(path)
            sync_folder(folder)
            make_folder(target.parent)
            os.rename(folder, target)
            sync_folder(target.parent)
        except OSError as error:
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
