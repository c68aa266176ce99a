"""A version folder as verified bytes: what was checked is what is handed out (law 6)."""

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
from kring.release.layout import FORMAT, MANIFEST, check_layout
from kring.release.sign import LIMITS, SIGNATURE, verify_files

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


def open_version(folder: Path, *, public_pem: bytes) -> Loaded:
    """Read every file once, verify signature and digests on these very bytes, and return them.

    `IntegrityError` names the file that was changed, added or is missing, or says what is wrong with
    the signature; also when a folder with a version's id holds another version. `NewerFormat` for a
    folder of a newer Kring, `Refused` for signed contents that no version may hold. `NotFound`
    without a folder.
    """
    files = read_folder(folder, limits=LIMITS)
    root = verify_files(files, public_pem=public_pem, where=folder)
    id = digest_id("v", root)
    if VERSION_NAME.fullmatch(folder.name) and folder.name != id:
        raise IntegrityError(
            "this folder holds another version than its name says",
            got=id,
            allowed=folder.name,
            next="take the version from where it was made again",
            file=str(folder),
        )
    del files[SIGNATURE]
    manifest = read_manifest(files, where=folder)
    check_layout(manifest, files)
    return Loaded(manifest=manifest, root=root, files=MappingProxyType(files))


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
