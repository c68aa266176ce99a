"""A run's chain and files, on disk under the run's id, pinned by the digests on the ledger."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from kring.errors import IntegrityError, KringError, NotFound, Unavailable
from kring.flow.project import Project
from kring.record.run import Run
from kring.record.version import Chain

CHAIN_FILE: Final = "chain.json"


def keep(project: Project, run: Run, chain: Chain, files: Mapping[str, bytes]) -> None:
    """Put the chain's files into the run's folder, all of them or none."""
    target = project.home.runs / run.id
    beside = project.home.runs / f".{run.id}.part"
    try:
        project.files.write(beside / CHAIN_FILE, chain_bytes(chain))
        for name, data in files.items():
            project.files.write(beside / name, data)
        project.files.publish(beside, target)
    except (KringError, KeyboardInterrupt):
        with suppress(Unavailable):
            project.files.remove(beside)
        raise


def chain_bytes(chain: Chain) -> bytes:
    return msgspec.json.encode(chain, order="sorted")


def kept(project: Project, run: Run) -> tuple[Chain, dict[str, bytes]]:
    """A run's chain and files, its companions among them. `IntegrityError` when they are not what the ledger says."""
    folder = project.home.runs / run.id
    chain = msgspec.json.decode(as_stored(project, folder / CHAIN_FILE, digest=run.chain_digest), type=Chain)
    pinned = {name: digest for link in chain.links for name, digest in link.files.items()}
    files = {name: as_stored(project, folder / name, digest=digest) for name, digest in pinned.items()}
    files |= {name: as_stored(project, folder / name, digest=digest) for name, digest in run.companions.items()}
    return chain, files


def as_stored(project: Project, path: Path, *, digest: str) -> bytes:
    """The bytes at `path`, when their SHA-256 is `digest`; `IntegrityError` otherwise."""
    try:
        data = project.files.read(path)
        found = sha256(data)
    except NotFound:
        data, found = b"", "no such file"
    if found != digest:
        raise IntegrityError(
            f"{path.name} is not what this run stored",
            got=found,
            allowed=f"SHA-256 {digest}",
            next="train again: kring train",
            file=str(path),
        )
    return data


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def behaviours_digest(project: Project) -> str:
    """SHA-256 of the tests of behaviour as they are now; empty where none are asked for, or none can be read."""
    name = project.system.evidence.behaviours
    try:
        return sha256(project.files.read(project.folder / name)) if name else ""
    except NotFound:
        return ""
