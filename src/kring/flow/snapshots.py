"""Accepted states of the data, after they were taken: found by name, compared, made current again, given out."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

import polars as pl

from kring.data import snapshot as snapshots
from kring.data.difference import difference
from kring.data.profile import private
from kring.errors import DataError, NotFound, Refused
from kring.flow import history
from kring.flow.checking import all_snapshots
from kring.flow.project import Project
from kring.record.snapshot import Snapshot, SnapshotDiff

LATEST: Final = "latest"
PREVIOUS: Final = "previous"
LEAST: Final = 4
"""Signs of an id that tell at least which snapshot is meant."""

FORMATS: Final = (".parquet", ".csv")


def find(project: Project, name: str) -> Snapshot:
    """The snapshot that `name` means: an id, the beginning of one, `latest` or `previous`; `NotFound` when it
    means none, or several."""
    known = all_snapshots(project)
    if not known:
        raise NotFound("there is no snapshot yet", next=f"run kring check {project.folder} first")
    if name in (LATEST, PREVIOUS):
        place = -1 if name == LATEST else -2
        if len(known) < -place:
            raise NotFound("there is one snapshot, and none before it", got=name, allowed=known[-1].id)
        return known[place]
    exact = [one for one in known if one.id == name]
    meant = exact or [one for one in known if len(name) >= LEAST and one.id.startswith(name)]
    if len(meant) == 1:
        return meant[0]
    allowed = ", ".join(one.id for one in (meant or known)[-5:])
    raise NotFound(
        "this may be several snapshots" if meant else "there is no such snapshot",
        got=name,
        allowed=f"{LATEST}, {PREVIOUS}, {allowed}",
        next="write more of the id" if meant else f"kring snapshot list {project.folder} shows all",
    )


def compare(project: Project, before: str, after: str) -> SnapshotDiff:
    """What changed between two snapshots; both are verified on the bytes that are read."""
    left, right = find(project, before), find(project, after)
    frames = snapshots.load(left, folder=project.home.data), snapshots.load(right, folder=project.home.data)
    hidden = [field.name for field in project.contract.fields if private(field)]
    return difference(left, right, frames=frames, key=primary_key(project), private=hidden)


def primary_key(project: Project) -> tuple[str, ...]:
    """The columns of the contract's primary key, in its order; none without one."""
    rules = [rule for rule in project.contract.rules if rule.name == "primaryKey"]
    return rules[0].columns if rules else ()


def restore(project: Project, name: str) -> Snapshot:
    """Make an older state current again, as a new snapshot on the ledger with the same digest.

    `Refused` when it lacks columns that the contract of today promises, or holds in clear what is an identifier
    today; `IntegrityError` when its bytes are damaged or gone.
    """
    old = find(project, name)
    known = [one.name for one in old.columns]
    lost = [field.name for field in project.contract.fields if field.name not in known]
    if lost:
        raise Refused(
            f"snapshot {old.id} does not have what the contract promises today",
            got=f"no column {', '.join(lost)}",
            allowed=", ".join(field.name for field in project.contract.fields),
            next="put back the contract of that time, or write the rows out with --out",
        )
    clear = [field.name for field in project.contract.fields if field.identifier and field.name not in old.tokenised]
    if clear:
        raise Refused(
            f"snapshot {old.id} holds identifiers in clear",
            got=", ".join(clear),
            allowed="tokens in the columns that the contract calls identifiers",
            next="deliver that feed again: kring check",
        )
    with project.working(), project.ledger() as ledger:
        made = snapshots.restore(
            old,
            folder=project.home.data,
            commit=project.commit,
            at=project.clock.now(),
            id=project.new_id("s"),
            files=project.files,
        )
        ledger.append([history.entry(made, id=made.id, actor=project.actor, at=made.at)])
    project.say(f"snapshot {made.id} holds the data of {old.id}")
    return made


def write_out(project: Project, name: str, *, path: Path) -> Snapshot:
    """Write the rows of a snapshot to a new file, Parquet or CSV by its ending. Identifiers stay tokens.

    `DataError` for another ending, or a file that is there.
    """
    if path.suffix.lower() not in FORMATS:
        raise DataError("this kind of file is not written", got=path.name, allowed=", ".join(FORMATS), file=str(path))
    if path.exists():
        raise DataError("the file is there already", next="name another one", file=str(path))
    old = find(project, name)
    frame = snapshots.load(old, folder=project.home.data)
    project.files.write(path, encoded(frame, path.suffix.lower()))
    return old


def encoded(frame: pl.DataFrame, ending: str) -> bytes:
    """The rows as the bytes of a file."""
    buffer = io.BytesIO()
    if ending == ".parquet":
        frame.write_parquet(buffer)
    else:
        frame.write_csv(buffer, datetime_format="%Y-%m-%dT%H:%M:%S%.6fZ")
    return buffer.getvalue()
