"""Sealed segments of the decision log, and what the ledger says of them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from kring.errors import IntegrityError, StorageError
from kring.record.event import Segment
from kring.stores.segment import Sealed


def sealed_segments(folder: Path) -> list[Segment]:
    """Every segment of the log in `folder` that its writer has sealed, as the small files beside them say; one whose
    small file is damaged is left to its writer."""
    try:
        known = [Sealed.from_bytes(path.read_bytes()) for path in sorted(folder.glob("*.seal"))]
    except OSError as error:
        raise StorageError("the log can't be read", got=str(error), next="check the disk", file=str(folder)) from error
    return [one.segment for one in known if one is not None]


def verify_segment(folder: Path, segment: Segment) -> None:
    """`IntegrityError` unless the segment's file in `folder` has the digest that was sealed."""
    path = folder / f"{segment.id}.log"
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        found = "no such file"
    except OSError as error:
        raise StorageError(
            f"could not read {path.name}", got=str(error), next="check the disk and its rights", file=str(path)
        ) from error
    if found != segment.digest:
        raise IntegrityError(
            f"segment {segment.id} of the decision log is not what was sealed",
            got=found,
            allowed=f"SHA-256 {segment.digest}",
            next="put back a copy of this segment",
            file=str(path),
        )
