"""A folder as names and bytes: every file is opened once, and nothing but plain files is read."""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from kring.errors import IntegrityError, NotFound, StorageError

MAX_FILES: Final = 1000
MAX_DEPTH: Final = 8
MAX_BYTES: Final = 2 << 30
"""Bytes in one file: what a protobuf, and so an ONNX model, can hold."""

FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def read_folder(folder: Path, *, limits: Mapping[str, int] = MappingProxyType({})) -> dict[str, bytes]:
    """Every file below `folder`: its path with `/` between the parts, and its bytes; sorted by parts.

    Each file is opened once, without following links. `limits` are most bytes by name, where that is
    less than `MAX_BYTES`. `IntegrityError` for a symbolic link (the folder itself included), a
    device, pipe or socket, and for more than fits a version folder; `NotFound` without a folder.
    """
    if not os.path.lexists(folder):
        raise NotFound(f"there is no folder {folder.name}", file=str(folder))
    files: dict[str, bytes] = {}
    try:
        root = os.open(folder, FOLDER_FLAGS)
        try:
            for name, opened in _walk(root, (), folder):
                files[name] = _read(opened, name, folder, most=limits.get(name, MAX_BYTES))
                if len(files) > MAX_FILES:
                    raise _foreign(folder, name, f"more than {MAX_FILES} files")
        finally:
            os.close(root)
    except OSError as error:
        raise _unreadable(folder, error) from error
    return {name: files[name] for name in in_order(files)}


def in_order(names: Iterable[str]) -> list[str]:
    """Names sorted part by part, the order in which a signature lists them."""
    return sorted(names, key=lambda name: name.split("/"))


def shown(name: str) -> str:
    """`name` as it can be printed: without control characters that would speak to a terminal."""
    return name if name.isprintable() else ascii(name)


def check_names(names: Iterable[str], *, where: Path) -> None:
    """`IntegrityError` for a name that leaves the folder, is not written in its one normal form, or
    is the same as another on a disk that ignores case or composes accents."""
    seen: dict[str, str] = {}
    for name in names:
        parts = name.split("/")
        if not name.isprintable() or "\\" in name or any(part in ("", ".", "..") for part in parts):
            raise IntegrityError(
                "a version holds a file with an impossible name",
                got=ascii(name[:200]),
                allowed="a path inside the folder, with / between its parts and no . or ..",
                next="take the version from where it was made again",
                file=str(where),
            )
        folded = unicodedata.normalize("NFC", name).casefold()
        if folded in seen:
            raise IntegrityError(
                "a version names the same file twice",
                got=f"{seen[folded]!a} and {name!a}",
                allowed="names that differ in more than case or accents",
                next="take the version from where it was made again",
                file=str(where),
            )
        seen[folded] = name


def _walk(descriptor: int, parts: tuple[str, ...], root: Path) -> Iterator[tuple[str, int]]:
    """The name of every file and a descriptor to read it by, which the caller closes."""
    if len(parts) > MAX_DEPTH:
        raise _foreign(root, "/".join(parts), f"folders more than {MAX_DEPTH} deep")
    for entry in sorted(os.listdir(descriptor)):
        path = (*parts, entry)
        name = "/".join(path)
        mode = os.stat(entry, dir_fd=descriptor, follow_symlinks=False).st_mode
        if stat.S_ISDIR(mode):
            inner = os.open(entry, FOLDER_FLAGS, dir_fd=descriptor)
            try:
                yield from _walk(inner, path, root)
            finally:
                os.close(inner)
        elif stat.S_ISREG(mode):
            yield name, os.open(entry, FILE_FLAGS, dir_fd=descriptor)
        else:
            raise _foreign(root, name, "a symbolic link" if stat.S_ISLNK(mode) else "a device, pipe or socket")


def _read(descriptor: int, name: str, root: Path, *, most: int) -> bytes:
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise _foreign(root, name, "a device, pipe or socket")
        data = file.read(most + 1) if found.st_size <= most else b""
    if len(data) > most or found.st_size > most:
        raise _foreign(root, name, f"{max(found.st_size, len(data))} bytes, more than {most}")
    return data


def _foreign(root: Path, name: str, what: str) -> IntegrityError:
    return IntegrityError(
        f"{shown(name)} does not belong into a version folder",
        got=what,
        allowed=f"at most {MAX_FILES} plain files of at most {MAX_BYTES >> 30} GiB",
        next="remove it, or take the version from where it was made again",
        file=str(root / shown(name)),
    )


def _unreadable(folder: Path, error: OSError) -> IntegrityError | StorageError:
    if folder.is_symlink() or not folder.is_dir():
        return IntegrityError(
            f"{folder.name} is not a folder",
            got="a symbolic link" if folder.is_symlink() else "a file",
            allowed="the folder itself",
            file=str(folder),
        )
    return StorageError(
        f"could not read the folder {folder.name}",
        got=str(error),
        next="check the disk and the rights of this user, then try again",
        file=str(folder),
    )
