"""A version folder: written whole beside its place, signed, then renamed into it."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from kring.errors import Conflict, KringError, Refused, Unavailable
from kring.metrics.ids import digest_id
from kring.ports.files import Files
from kring.record.version import Manifest
from kring.release.bundle import root_of
from kring.release.layout import check_layout, manifest_bytes
from kring.release.load import open_version
from kring.release.sign import SIGNATURE, digests_of, public_of, sign_files
from kring.release.signed import FORMAT, MANIFEST


def pack(
    folder: Path, *, manifest: Manifest, files: Mapping[str, bytes], key_pem: bytes, store: Files
) -> tuple[str, str]:
    """Write, sign and publish a version into `folder`; its id and its root digest (hexadecimal).

    `files` are all files by name but manifest and signature, as `kring.release.layout` says. The id
    follows from the content: the same content again gives the same id, is verified where it lies and
    is not rewritten. `Refused` for files that do not belong, `IntegrityError` when the version lies
    there already and is damaged or signed by another key. A failure leaves nothing behind.
    """
    check_given(manifest, files)
    whole = {**files, MANIFEST: manifest_bytes(manifest)}
    check_layout(manifest, whole)
    root = root_of(digests_of(whole))
    id = digest_id("v", root)
    target = folder / id
    if not store.list(target):
        whole[SIGNATURE] = sign_files(whole, name=id, key_pem=key_pem)
        _publish(whole, target, store)
    open_version(target, public_pem=public_of(key_pem))
    return id, root


def check_given(manifest: Manifest, files: Mapping[str, bytes]) -> None:
    """`Refused` for a manifest of another form, and for files that only `pack` makes."""
    reserved = [name for name in (MANIFEST, SIGNATURE) if name in files]
    if reserved or manifest.format != FORMAT:
        raise Refused(
            "this can't become a version",
            got=f"a ready {reserved[0]}" if reserved else f"format {manifest.format}",
            allowed=f"a manifest of format {FORMAT} and the files it pins; {MANIFEST} and {SIGNATURE} are made here",
        )


def _publish(files: Mapping[str, bytes], target: Path, store: Files) -> None:
    """All files under a name that is nobody's version, then the one rename. Whoever publishes the
    same content first wins, and that is as good as having won."""
    beside = target.with_name(f".{target.name}.{os.getpid()}.{threading.get_ident()}.part")
    try:
        store.remove(beside)
        for name, data in files.items():
            store.write(beside / name, data)
        store.publish(beside, target)
    except (KringError, KeyboardInterrupt) as error:
        with suppress(Unavailable):
            store.remove(beside)
        if not isinstance(error, Conflict):
            raise
