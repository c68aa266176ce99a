"""feed → check → snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
import polars as pl

from kring.contracts.expression import nearest
from kring.data import as_of as past
from kring.data import snapshot as snapshots
from kring.data.check import check, typed, typed_column
from kring.data.keys import Other
from kring.data.profile import private, profile
from kring.data.suppliers import accepted
from kring.data.tokenise import tokenise
from kring.errors import ConfigError, DataError, Refused
from kring.flow import adapters, history
from kring.flow.cleaning import cleaned, with_recipe
from kring.flow.knowledge import look_over
from kring.flow.labelling import labelled
from kring.flow.project import Project
from kring.ports.ledger import Ledger
from kring.record.finding import CheckReport
from kring.record.snapshot import Snapshot
from kring.sources import file as source

KNOWN_AT = "kring.known_at"
"""The column that says when a row's outcome was known; added to a frame, never stored."""


@dataclass(frozen=True)
class Checked:
    """A feed and what the contract says of it."""

    feed: pl.LazyFrame
    report: CheckReport
    source: str
    as_of: int


def check_feed(project: Project, *, as_of: int | None = None, path: Path | None = None) -> Checked:
    """Hold the feed to the contract, as it was known at `as_of` (now when not given).

    `path` stands for the source in `kring.toml`. Nothing is stored. `feed` holds the rows of the suppliers that
    kept the contract.
    """
    tables, supplier = other_tables(project), supplier_column(project)
    where = path or project.folder / project.system.data.source
    name = str(path) if path else project.system.data.source
    project.say(f"check   {name} against {project.system.data.contract}")
    delivered = source.scan(where)
    feed = cleaned(project, delivered)
    moment = project.clock.now() if as_of is None else as_of
    if as_of is not None:
        feed = known_then(project, feed, moment)
    report = check(
        feed,
        project.contract,
        source=name,
        source_digest=source.digest(where),
        at=project.clock.now(),
        as_of=moment,
        tables=tables,
        supplier=supplier,
    )
    report = with_recipe(project, report, delivered)
    report = msgspec.structs.replace(report, notes=(*report.notes, *look_over(project)))
    return Checked(feed=accepted(feed, report), report=report, source=name, as_of=moment)


def other_tables(project: Project) -> dict[str, Other]:
    """The files of `[data.tables]`; `ConfigError` for a name that the contract does not have, and for a file
    that is not there."""
    names = {one.table for one in project.contract.others}
    found = {}
    for name, written in project.system.data.tables.items():
        key, path = f"data.tables.{name}", project.folder / written
        if name not in names:
            raise ConfigError(
                "a table that the contract does not promise",
                got=name,
                allowed=", ".join(sorted(names)) or "no table beside the feed's",
                next=nearest(name, names) or f"add it to the schema of {project.system.data.contract}",
                file=project.system.file,
                key=key,
            )
        try:
            found[name] = Other(source.scan(path), written, source.digest(path))
        except DataError as error:
            raise ConfigError(
                f"the table {name} can't be read: {error.message}",
                got=error.got,
                allowed=error.allowed,
                next=f"mend the path at {key}, or the file",
                file=project.system.file,
                key=key,
            ) from error
    return found


def supplier_column(project: Project) -> str:
    """The column that says who delivered a row; empty without one. `ConfigError` for one that differs from
    the contract's, or whose values may not be shown."""
    ours, theirs = project.system.data.supplier, project.contract.supplier
    name = ours or theirs
    fields = {field.name: field for field in project.contract.fields}
    problem = ""
    if ours and theirs and ours != theirs:
        problem = f"data.supplier differs from the contract, where it is {theirs}"
    elif name and private(fields[name]):
        problem = "a supplier is named in reports, and this column is personal"
    if problem:
        raise ConfigError(
            problem,
            got=name,
            allowed=", ".join(name for name, field in fields.items() if not private(field)),
            next="name the column that says which organisation delivered the row, or leave data.supplier out",
            file=project.system.file,
            key="data.supplier",
        )
    return name


def known_then(project: Project, feed: pl.LazyFrame, moment: int) -> pl.LazyFrame:
    """The feed as it was known at `moment`, within the system's window."""
    data = project.system.data
    if not data.time:
        raise DataError(
            "a feed without a time column has no past",
            key="data.time",
            next="leave --as-of out, or name the time column in kring.toml",
        )
    fields = {field.name: field for field in project.contract.fields}
    dtypes = feed.collect_schema()
    missing = [name for name in (data.time, data.outcome_at, data.target) if name and name not in dtypes]
    if missing:
        return feed
    time = typed_column(fields[data.time], dtypes[data.time])
    known = typed_column(fields[data.outcome_at], dtypes[data.outcome_at]) if data.outcome_at else None
    if known is None:
        known = time + pl.duration(microseconds=data.outcome_after_us)
    return past.as_of(
        feed, time=time, known=known, later=sorted(project.known_later), moment=moment, window_us=data.window_us
    )


def take_snapshot(project: Project, checked: Checked) -> Snapshot:
    """Store an accepted feed for ever, with what the log knows of its rows. `Refused` when the contract was broken; the
    report is kept."""
    report = checked.report
    if report.result == "fail":
        keep_report(project, checked)
        broken = [finding for finding in report.findings if finding.result == "fail"]
        raise Refused(
            f"{checked.source} breaks its contract: {len(broken)} of {report.checked} rules",
            got="; ".join(finding.message for finding in broken[:5]),
            allowed=f"what {project.system.data.contract} promises",
            next=remedy(project, checked),
        )
    with project.working(), project.ledger() as ledger:
        frame = typed(checked.feed, project.contract).collect(engine="streaming")
        identifiers = tuple(field.name for field in project.contract.fields if field.identifier)
        frame, note = labelled(project, hide(project, frame), as_of=checked.as_of)
        if note:
            report = msgspec.structs.replace(report, notes=(*report.notes, note))
            project.say(f"labels  {note}")
        snapshot = snapshots.take(
            frame,
            report=report,
            profile=profile(frame, project.contract),
            folder=project.home.data,
            system=project.system.name,
            source=checked.source,
            commit=project.commit,
            at=project.clock.now(),
            as_of=checked.as_of,
            time=project.system.data.time,
            id=project.new_id("s"),
            tokenised=identifiers,
            files=project.files,
        )
        ledger.append([history.entry(snapshot, id=snapshot.id, actor=project.actor, at=snapshot.at)])
    project.say(f"snapshot {snapshot.id}: {snapshot.rows:,} rows")
    return snapshot


def keep_report(project: Project, checked: Checked) -> None:
    """Put the report of a feed that broke its contract on the ledger."""
    report = checked.report
    with project.working(), project.ledger() as ledger:
        ledger.append([history.entry(report, id=project.new_id("c"), actor=project.actor, at=report.at)])


def remedy(project: Project, checked: Checked) -> str:
    """What to do about a feed that broke its contract."""
    told = f"mend the feed, or change {project.system.data.contract} with those who deliver it"
    fresh = {rule.name for rule in project.contract.rules if rule.metric == "freshness"}
    if any(finding.result == "fail" and finding.rule in fresh for finding in checked.report.findings):
        told += "; a feed of the past is taken as it was known then with --as-of"
    return told


def hide(project: Project, frame: pl.DataFrame) -> pl.DataFrame:
    """Direct identifiers become tokens before anything is stored; without one nothing changes."""
    if not any(field.identifier for field in project.contract.fields):
        return frame
    vault = adapters.open_vault(project.home.vault, random=project.random)
    try:
        return tokenise(frame, project.contract, vault)
    finally:
        vault.close()


def with_known_at(project: Project, frame: pl.DataFrame) -> pl.DataFrame:
    """Add `KNOWN_AT`: when each row's outcome was known; missing where there is no outcome."""
    data = project.system.data
    if not data.time:
        return frame
    known = (
        pl.col(data.outcome_at)
        if data.outcome_at
        else pl.col(data.time) + pl.duration(microseconds=data.outcome_after_us)
    )
    return frame.with_columns(pl.when(pl.col(data.target).is_not_null()).then(known).alias(KNOWN_AT))


def latest_snapshot(project: Project, *, id: str = "") -> Snapshot:
    """The snapshot with that id, else the newest; `NotFound` says how to make one."""
    with project.ledger() as ledger:
        if id:
            return history.get(ledger, Snapshot, id)
        known = snapshots_on(ledger)
        return history.required(
            known[-1] if known else None, what="snapshot", next=f"run kring check {project.folder} first"
        )


def all_snapshots(project: Project) -> list[Snapshot]:
    """Every snapshot, oldest first."""
    with project.ledger() as ledger:
        return snapshots_on(ledger)


def snapshots_on(ledger: Ledger) -> list[Snapshot]:
    """Every snapshot, oldest first, each as it is now: an erasure puts a snapshot on the ledger again."""
    return list({one.id: one for one in history.all_of(ledger, Snapshot)}.values())
