"""A version folder whose bytes are those that were signed. What they hold was looked at when they were released.

Imports nothing that knows their formats: a data worker opens what the control process has looked at, told by its root.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec

from kring.errors import IntegrityError, NewerFormat
from kring.metrics.ids import digest_id
from kring.record.version import Manifest
from kring.release.folder import read_folder
from kring.release.sign import LIMITS, SIGNATURE, digests_of, read_signed, verify_files

FORMAT: Final = 1
"""The newest form of a version folder that this Kring writes and reads."""

MANIFEST: Final = "manifest.json"
VERSION_NAME: Final = re.compile("v_[0-9A-HJKMNP-TV-Z]{26}")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A version that was verified: its manifest, the signed root digest, and the bytes by name."""

    manifest: Manifest
    root: str
    files: Mapping[str, bytes]

    @property
    def id(self) -> str:
        """`v_` and 26 characters, from the root."""
        return digest_id("v", self.root)


class Format(msgspec.Struct, frozen=True):
    format: int


def open_signed(folder: Path, *, public_pem: bytes, root: str = "") -> Loaded:
    """Read every file once, verify signature and digests on these very bytes, and return them; those of `root`, when
    it is given.

    `IntegrityError` names the file that was changed, added or is missing, or says what is wrong with
    the signature; also when a folder with a version's id holds another version. `NewerFormat` for a
    folder of a newer Kring. `NotFound` without a folder.
    """
    files = read_folder(folder, limits=LIMITS)
    found = verify_files(files, public_pem=public_pem, where=folder)
    _require_named(folder, found, root=root)
    del files[SIGNATURE]
    return Loaded(manifest=read_manifest(files, where=folder), root=found, files=MappingProxyType(files))


def open_whole_files(folder: Path, *, public_pem: bytes, root: str) -> tuple[Loaded, frozenset[str]]:
    """The files of a damaged version that still are what was signed, and the names of those that are not or are gone.

    `IntegrityError` without the signature of `root` or without the manifest, `NotFound` without a folder.
    """
    files = read_folder(folder, limits=LIMITS)
    signed = read_signed(files, public_pem=public_pem, where=folder)
    _require_named(folder, signed.root, root=root)
    found = digests_of(files)
    whole = {name: files[name] for name, digest in signed.digests.items() if found.get(name) == digest}
    loaded = Loaded(manifest=read_manifest(whole, where=folder), root=signed.root, files=MappingProxyType(whole))
    return loaded, frozenset(signed.digests.keys() - whole.keys())


def _require_named(folder: Path, found: str, *, root: str) -> None:
    """`IntegrityError` unless what was signed is the version that the folder is named after, and of `root`, if any."""
    id = digest_id("v", found)
    if (VERSION_NAME.fullmatch(folder.name) and folder.name != id) or root not in ("", found):
        raise IntegrityError(
            "this folder holds another version than its name says",
            got=id,
            allowed=folder.name,
            next="take the version from where it was made again",
            file=str(folder),
        )


def read_manifest(files: Mapping[str, bytes], *, where: Path) -> Manifest:
    """The manifest among `files`; `NewerFormat` when a newer Kring wrote it."""
    place = where / MANIFEST
    try:
        format = msgspec.json.decode(files.get(MANIFEST, b""), type=Format).format
        if format > FORMAT:
            raise NewerFormat(
                "this version was made by a newer Kring",
                got=f"format {format}",
                allowed=f"formats up to {FORMAT}",
                next="upgrade Kring, or roll back to a version that this one made",
                file=str(place),
            )
        return msgspec.json.decode(files[MANIFEST], type=Manifest)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise IntegrityError(
            "the manifest can't be read",
            got=str(error) if MANIFEST in files else f"no {MANIFEST}",
            allowed="the manifest of a version, as JSON",
            next="take the version from where it was made again",
            file=str(place),
        ) from error
