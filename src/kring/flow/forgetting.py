"""A person is forgotten: rows, keys, and what had learned from them (law 11).

The rows go first and the keys last, each step durable and safe to repeat: whoever dies on the way is followed by the
same command, which finds the person still known and does what is left.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import polars as pl

from kring.data.erasing import erased, make_newest, vacuum
from kring.errors import Refused
from kring.flow import adapters, history
from kring.flow.checking import snapshots_on
from kring.flow.project import Project
from kring.ports.ledger import Ledger
from kring.record.erasure import Erased, Forgotten
from kring.record.run import Run
from kring.record.version import Version

SALT: Final = 16


def forget(project: Project, subject: str) -> tuple[Forgotten, ...]:
    """Forget `subject` (a value of an identifier or of the subject's column, or its token) in the home of the system
    and in those of its replays: what was done in each that knew it. `Refused` when none does.

    What is told names nobody. The feed itself is not ours to change.
    """
    found = [forget_in(project.in_home(home), subject) for home in homes(project)]
    done = tuple(one for one in found if one is not None)
    if not done:
        raise Refused(
            f"{project.system.name} knows nobody by this name",
            got=f"a text of {len(subject)} characters",
            allowed="a value of an identifier or of the subject, as it stands in the data, or its token (t_…)",
            next="if it was forgotten before, nothing is left to do",
        )
    return done


def homes(project: Project) -> list[Path]:
    """The system's own home, and those of the replays in it."""
    replays = [path for path in project.files.list(project.home.root / "replays") if path.is_dir()]
    return [project.home.root, *replays]


def forget_in(project: Project, subject: str) -> Forgotten | None:
    """Forget `subject` in one home; None when it is not known there."""
    if not project.home.vault.exists() and not project.home.ledger.exists():
        return None
    with project.working(), project.ledger() as ledger:
        ticket, is_new = ticket_for(project, subject)
        done = history.newest_with(ledger, Forgotten, ticket.name)
        if done is None and (erase(project, ledger, subject=subject) or not is_new):
            done = forgotten(project, ledger, id=ticket.name)
            ledger.append([history.entry(done, id=done.id, actor=project.actor, at=done.at)])
        project.files.remove(ticket)
    return done


def erase(project: Project, ledger: Ledger, *, subject: str) -> bool:
    """Erase the person's rows and destroy their keys; whether there were any. No vault is made to look into."""
    if not project.home.vault.exists():
        rows = erase_rows(project, ledger, subject=subject, token="")
        return erase_trials(project, {subject}) or rows
    with closing(adapters.open_vault(project.home.vault, random=project.random)) as vault:
        token = vault.known(subject)
        changed = any(
            [erase_rows(project, ledger, subject=subject, token=token), erase_trials(project, {subject, token})]
        )
        return vault.forget(subject) or changed


def erase_trials(project: Project, units: set[str]) -> bool:
    """Take the person out of every trial; whether there was anything."""
    if not project.home.trials.exists():
        return False
    with closing(adapters.open_trials(project.home.trials)) as store:
        return store.forget(sorted(units - {""})) > 0


def ticket_for(project: Project, subject: str) -> tuple[Path, bool]:
    """A file that says that somebody is being forgotten, and whether it is new. It names the erasure; who it is about
    it tells only to those who ask with the very text: a salt, and SHA-256 over salt and text."""
    text = subject.encode("utf-8", "surrogatepass")
    folder = project.home.root / "forgetting"
    for path in project.files.list(folder):
        data = project.files.read(path)
        if path.name.startswith("f_") and data[SALT:] == hashlib.sha256(data[:SALT] + text).digest():
            return path, False
    salt = project.random.bytes(SALT)
    path = folder / project.new_id("f")
    project.files.write(path, salt + hashlib.sha256(salt + text).digest())
    return path, True


def forgotten(project: Project, ledger: Ledger, *, id: str) -> Forgotten:
    """What was done, as the ledger keeps it."""
    erasures = begun(ledger)
    touched = {one.snapshot for one in erasures}
    return Forgotten(
        id=id,
        system=project.system.name,
        at=project.clock.now(),
        rows=sum(one.rows for one in erasures),
        snapshots=tuple(sorted(touched)),
        versions=learned_from(ledger, touched),
    )


def erase_rows(project: Project, ledger: Ledger, *, subject: str, token: str) -> bool:
    """Take the person's rows out of every snapshot, and delete the files that held them; whether there were any."""
    changed = False
    at, files, folder = project.clock.now(), project.files, project.home.data
    for snapshot in snapshots_on(ledger):
        names = [column.name for column in snapshot.columns]
        person = person_in(project, names, subject=subject, token=token)
        found = erased(snapshot, person, folder=folder, at=at, files=files) if person is not None else snapshot
        if found.digest != snapshot.digest:
            changed = True
            note = Erased(
                snapshot=snapshot.id,
                rows=snapshot.rows - found.rows,
                before=snapshot.digest,
                after=found.digest,
                delta_version=found.delta_version,
                at=at,
            )
            ledger.append([history.entry(one, id=snapshot.id, actor=project.actor, at=at) for one in (note, found)])
    if changed or begun(ledger):
        known = snapshots_on(ledger)
        for table in {one.table for one in known}:
            make_newest([one for one in known if one.table == table][-1], folder=folder, at=at, files=files)
            vacuum(known, folder=folder, table=table, files=files)
    return changed


def person_in(project: Project, names: Sequence[str], *, subject: str, token: str) -> pl.Expr | None:
    """True in the rows about the person, of a snapshot with columns `names`; None when no column can tell."""
    fields = {field.name: field for field in project.contract.fields}
    identifiers = [name for name in names if name in fields and fields[name].identifier]
    if not subject.isprintable() and subject.encode("utf-8", "replace").decode() != subject:
        return None  # no table can hold such a text
    known = {token, subject} - {""}
    tests = [pl.col(name).cast(pl.String).is_in(list(known)) for name in identifiers]
    by = project.system.data.subject
    if by in names and by not in identifiers:
        tests.append(pl.col(by).cast(pl.String) == subject)
    return pl.any_horizontal(tests) if tests else None


def begun(ledger: Ledger) -> list[Erased]:
    """What was erased since somebody was forgotten to the end."""
    last = max((event.seq for event in ledger.read(kind=history.KINDS[Forgotten])), default=0)
    return list(history.all_of(ledger, Erased, after=last))


def learned_from(ledger: Ledger, snapshots: set[str]) -> tuple[str, ...]:
    """The versions whose runs were on one of these snapshots."""
    runs = {run.id for run in history.all_of(ledger, Run) if run.snapshot in snapshots}
    return tuple(version.id for version in history.all_of(ledger, Version) if version.run in runs)
