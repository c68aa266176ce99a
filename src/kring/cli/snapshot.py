"""`kring snapshot list|show`: accepted states of the data."""

from __future__ import annotations

from pathlib import Path

import click

from kring.charts.words import moment
from kring.cli.output import Output, answers, folder_argument
from kring.flow.checking import all_snapshots, latest_snapshot
from kring.flow.project import open_project
from kring.record.contract import Scalar
from kring.record.snapshot import ColumnProfile


@click.group(short_help="List and show accepted states of the data.")
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
@click.option("--id", default="", help="Which one; the newest when left out.")
@answers
def show_(output: Output, named: tuple[str, ...], id: str) -> None:
    """Show one snapshot, the newest when no ID is given, with the profile of its columns."""
    ids, folders = named[: len(named) - 1], named[-1:]
    if named and named[-1].startswith("s_") and not ids and not Path(named[-1]).is_dir():
        ids, folders = named, ()
    if len(ids) > 1 or (ids and id):
        raise click.UsageError("one snapshot is shown at a time")
    id, folder = id or "".join(ids), Path("".join(folders) or ".")
    snapshot = latest_snapshot(open_project(folder, say=output.progress), id=id)
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


def common(top: tuple[tuple[str, int], ...]) -> str:
    return ", ".join(f"{value} ({count:,})" for value, count in top[:3])


def ends(profile: ColumnProfile) -> tuple[Scalar, Scalar]:
    """Least and greatest; moments as people read them."""
    if profile.type == "timestamp" and isinstance(profile.minimum, int) and isinstance(profile.maximum, int):
        return moment(profile.minimum), moment(profile.maximum)
    return profile.minimum, profile.maximum
