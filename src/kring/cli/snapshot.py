"""`kring snapshot list|show|diff|restore`: accepted states of the data."""

from __future__ import annotations

from pathlib import Path

import click

from kring.charts.words import moment
from kring.cli.output import Output, answers, folder_argument
from kring.flow.checking import all_snapshots
from kring.flow.project import open_project
from kring.flow.snapshots import LATEST, compare, find, restore, write_out
from kring.record.contract import Scalar
from kring.record.snapshot import ColumnChange, ColumnProfile, SnapshotDiff


@click.group(short_help="List, show, compare and restore accepted states of the data.")
def command() -> None:
    """Accepted states of the data: immutable, with digest, profile and contract verdict."""


@command.command("list")
@folder_argument
@answers
def list_(output: Output, folder: Path) -> None:
    """List the snapshots, oldest first."""
    snapshots = all_snapshots(open_project(folder, say=output.progress))
    if snapshots:
        rows = [
            (one.id, moment(one.as_of), one.rows, one.source, one.digest[:16], one.commit[:12]) for one in snapshots
        ]
        output.table(("snapshot", "known as of", "rows", "source", "digest", "commit"), rows)
    else:
        output.say(f"there is no snapshot yet; next: kring check {folder}")
    output.result({"snapshots": snapshots})


@command.command("show")
@click.argument("named", metavar="[ID] [DIR]", nargs=-1)
@click.option("--id", default="", help="Which one, as in ID; the newest when left out.")
@answers
def show_(output: Output, named: tuple[str, ...], id: str) -> None:
    """Show one snapshot, the newest when no ID is given, with the profile of its columns.

    ID is the beginning of an id, `latest` or `previous`.
    """
    ids, folders = named[: len(named) - 1], named[-1:]
    if named and names_one(named[-1]) and not ids and not Path(named[-1]).is_dir():
        ids, folders = named, ()
    if len(ids) > 1 or (ids and id):
        raise click.UsageError("one snapshot is shown at a time")
    id, folder = id or "".join(ids), Path("".join(folders) or ".")
    snapshot = find(open_project(folder, say=output.progress), id or LATEST)
    output.say(f"{snapshot.id}: {snapshot.rows:,} rows of {snapshot.source}", style="bold")
    output.say(f"  known as of {moment(snapshot.as_of)}, digest {snapshot.digest}")
    output.say(
        f"  pinned as version {snapshot.delta_version} of the Delta table {snapshot.table}, commit {snapshot.commit}"
    )
    rows = [
        (one.name, one.type, one.missing, one.distinct, *ends(one), one.mean, common(one.top))
        for one in snapshot.columns
    ]
    output.table(("column", "type", "missing", "distinct", "least", "greatest", "mean", "most frequent"), rows)
    output.result({"snapshot": snapshot})


@command.command("diff")
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@folder_argument
@answers
def diff_(output: Output, before: str, after: str, folder: Path) -> None:
    """Show what changed from snapshot A to snapshot B: rows, columns, and what the columns look like.

    Each is the beginning of an id, `latest` or `previous`. Rows are found by the contract's primary key; without
    one they are compared whole.
    """
    found = compare(open_project(folder, say=output.progress), before, after)
    show_difference(output, found)
    output.result({"diff": found})


@command.command("restore")
@click.argument("id", metavar="ID")
@folder_argument
@click.option("--out", type=click.Path(path_type=Path), help="Write its rows to this Parquet or CSV file instead.")
@answers
def restore_(output: Output, id: str, folder: Path, out: Path | None) -> None:
    """Make an older snapshot the current one again, as a new snapshot with the same digest.

    ID is the beginning of an id, `latest` or `previous`. The bytes are verified first. What is trained next is
    trained on it.
    """
    project = open_project(folder, say=output.progress)
    if out is not None:
        snapshot = write_out(project, id, path=out)
        output.say(f"{out}: {snapshot.rows:,} rows of snapshot {snapshot.id}", style="bold")
        output.result({"snapshot": snapshot, "out": out})
        return
    snapshot = restore(project, id)
    output.say(f"snapshot {snapshot.id}: {snapshot.rows:,} rows of {snapshot.restored} again", style="bold")
    if snapshot.report.contract_digest != project.contract.digest:
        output.say("! it was checked against another contract than that of today", style="yellow")
    output.say(f"next: kring train {folder}")
    output.result({"snapshot": snapshot})


def names_one(text: str) -> bool:
    """Whether this is the name of a snapshot rather than of a folder."""
    return text.startswith("s_") or text in ("latest", "previous")


def show_difference(output: Output, found: SnapshotDiff) -> None:
    """The difference in a line, and the columns in which something changed."""
    how = f"by {', '.join(found.key)}" if found.key else "rows compared whole"
    changed = f", {found.changed:,} changed" if found.key else ""
    output.say(f"{found.before} → {found.after}: {found.rows[0]:,} → {found.rows[1]:,} rows, {how}", style="bold")
    output.say(f"  {found.added:,} added, {found.removed:,} removed{changed}, {found.same:,} the same")
    for what, names in (("new", found.columns_added), ("gone", found.columns_removed)):
        if names:
            output.say(f"  columns that are {what}: {', '.join(names)}")
    for name, before, after in found.columns_retyped:
        output.say(f"  {name} was {before} and is {after}")
    if found.note:
        output.say(f"  {found.note}")
    rows = [
        (
            one.name,
            one.changed or None,
            pair(one.missing),
            pair(one.distinct),
            pair(one.mean),
            moved(one),
        )
        for one in found.columns
        if one.is_change
    ]
    if rows:
        output.table(("column", "rows changed", "missing", "distinct", "mean", "categories"), rows)


def pair(values: tuple[float | None, float | None]) -> str | None:
    """Before and after; nothing when they are the same."""
    told = ["–" if value is None else f"{value:,.4g}" for value in values]
    return None if values[0] == values[1] else " → ".join(told)


def moved(change: ColumnChange) -> str:
    """Categories that came and went."""
    signs = [f"+{one}" for one in change.came[:5]] + [f"-{one}" for one in change.went[:5]]
    more = len(change.came[5:]) + len(change.went[5:]) + change.came_more + change.went_more
    return " ".join(signs) + (f" and {more:,} more" if more else "")


def common(top: tuple[tuple[str, int], ...]) -> str:
    return ", ".join(f"{value} ({count:,})" for value, count in top[:3])


def ends(profile: ColumnProfile) -> tuple[Scalar, Scalar]:
    """Least and greatest; moments as people read them."""
    if profile.type == "timestamp" and isinstance(profile.minimum, int) and isinstance(profile.maximum, int):
        return moment(profile.minimum), moment(profile.maximum)
    return profile.minimum, profile.maximum
