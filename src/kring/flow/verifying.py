"""Versions, data and the log as they lie on disk, against what the ledger says of them."""

from __future__ import annotations

import hashlib
import shlex

from kring.data import snapshot as snapshots
from kring.errors import IntegrityError, KringError, NotFound
from kring.flow import adapters, history
from kring.flow.project import Project
from kring.ports.ledger import Ledger
from kring.record.compaction import Dropped
from kring.record.erasure import Erased
from kring.record.event import Segment
from kring.record.rollout import Pointer
from kring.record.snapshot import Snapshot
from kring.record.version import Version
from kring.release.load import open_version


def verify_version(project: Project, version: Version) -> None:
    """`IntegrityError` unless the version's folder is whole, signed by this system's key, and the very
    one that the ledger names."""
    public = trusted_key(project, version)
    try:
        loaded = open_version(project.home.versions / version.id, public_pem=public)
    except NotFound as error:
        raise IntegrityError(
            f"the folder of version {version.id} is missing",
            next="put back a copy of it, or roll back",
            file=str(project.home.versions / version.id),
        ) from error
    if loaded.root != version.root:
        raise IntegrityError(
            f"version {version.id} is not the one that was released",
            got=f"root {loaded.root}",
            allowed=f"root {version.root}, as the ledger says",
            next="put back a copy of it, or roll back",
            file=str(project.home.versions / version.id),
        )


def trusted_key(project: Project, version: Version) -> bytes:
    """The public key that the ledger names for `version`. `IntegrityError` when another one lies here, or none."""
    path = project.home.public_key
    try:
        public = project.files.read(path)
    except NotFound as error:
        raise IntegrityError(
            f"the public key is missing, and without it nobody can say whether {version.id} is what was released",
            got=f"no {path.name}",
            allowed=f"the key {version.key[:16]}, by which {version.id} was signed",
            next=f"put a copy of it back, or make it anew from the private key beside it, then try again: openssl pkey "
            f"-in {shlex.quote(str(project.home.signing_key))} -pubout -out {shlex.quote(str(path))}",
            file=str(path),
        ) from error
    found = hashlib.sha256(public).hexdigest()
    if found != version.key:
        raise IntegrityError(
            f"version {version.id} was signed by another key than the one that lies here",
            got=found[:16],
            allowed=f"key {version.key[:16]}, as the ledger says",
            next=f"put back a copy of {path.name}",
            file=str(path),
        )
    return public


def why_not_whole(project: Project, version: Version) -> str:
    """What keeps `version` from answering again, as far as that can be seen without reading it whole; empty when
    nothing does. A rollback reads all of it."""
    try:
        trusted_key(project, version)
    except KringError as error:
        return f"{error.message} ({error.file})"
    folder = project.home.versions / version.id
    return "" if folder.is_dir() else f"the folder of version {version.id} is missing ({folder})"


def no_way_back(project: Project, ledger: Ledger, pointer: Pointer | None) -> str:
    """What keeps a rollback from changing who answers; empty when nothing does, and where nothing answers. A version
    that answers a share on its way loses it whatever was before; else the previous one has to be there, and whole."""
    if pointer is None or pointer.canary not in ("", pointer.previous):
        return ""
    if not pointer.previous:
        return "there is no previous version to go back to"
    version = history.newest_with(ledger, Version, pointer.previous)
    return why_not_whole(project, version) if version else ""


def verify_all(project: Project, ledger: Ledger, versions: tuple[str, ...]) -> None:
    """`IntegrityError` unless `versions`, the snapshots they rest on and the sealed segments of the decision
    log are what the ledger says."""
    found = [history.get(ledger, Version, id) for id in dict.fromkeys(versions)]
    for version in found:
        verify_version(project, version)
    verify_erasures(ledger)
    for id in dict.fromkeys(version.snapshot for version in found):
        snapshots.verify(history.get(ledger, Snapshot, id), folder=project.home.data)
    dropped = {(one.segment, one.digest) for one in history.all_of(ledger, Dropped)}
    for segment in history.all_of(ledger, Segment):
        if (segment.id, segment.digest) in dropped:
            continue
        adapters.verify_segment(project.home.log, segment)


def verify_erasures(ledger: Ledger) -> None:
    """`IntegrityError` when a snapshot stands on the ledger with other data than it was taken with, unless each change
    is an erasure that goes from the one digest to the other."""
    allowed = {(one.snapshot, one.before, one.after) for one in history.all_of(ledger, Erased)}
    digests: dict[str, str] = {}
    for snapshot in history.all_of(ledger, Snapshot):
        before = digests.get(snapshot.id, snapshot.digest)
        if before != snapshot.digest and (snapshot.id, before, snapshot.digest) not in allowed:
            raise IntegrityError(
                f"snapshot {snapshot.id} was replaced, and no erasure says so",
                got=f"digest {snapshot.digest}",
                allowed=f"digest {before}",
                next="somebody wrote to this ledger; compare it with the last backup",
            )
        digests[snapshot.id] = snapshot.digest
