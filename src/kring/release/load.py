"""A version folder as verified bytes: what was checked is what is handed out (law 6)."""

from __future__ import annotations

from pathlib import Path

from kring.release.layout import check_layout
from kring.release.signed import Loaded, open_signed


def open_version(folder: Path, *, public_pem: bytes) -> Loaded:
    """As `open_signed`, and `Refused` for signed contents that no version may hold."""
    loaded = open_signed(folder, public_pem=public_pem)
    check_layout(loaded.manifest, loaded.files)
    return loaded
