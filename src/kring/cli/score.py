"""`kring score`: decide every row of a file."""

from __future__ import annotations

from pathlib import Path

import click

from kring.cli.output import Output, answers, folder_argument
from kring.flow.project import open_project
from kring.flow.scoring.order import Order
from kring.flow.scoring.score import score
from kring.record.scored import Scored


@click.command(short_help="Decide every row of a file; keep the record of it.")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@folder_argument
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Where the answers go: .csv, .parquet or .xlsx."
)
@click.option(
    "--top", type=click.IntRange(min=1), help="Write only this many rows, those with the largest answers first."
)
@click.option("--by", default="", metavar="COLUMN", help="Order --top by this answer, where there are several.")
@click.option("--keep", multiple=True, metavar="COLUMN", help="Carry over this column of FILE (repeat it); else all.")
@click.option("--force", is_flag=True, help="Write over a file of answers that is there already.")
@answers
def command(
    output: Output,
    file: Path,
    folder: Path,
    *,
    out: Path,
    top: int | None,
    by: str,
    keep: tuple[str, ...],
    force: bool,
) -> None:
    """Decide every row of FILE (CSV, Parquet or JSON lines, also a folder or a glob) with the live version of the
    system in DIR. Each decision is kept on record before the file of answers appears."""
    project = open_project(folder, say=output.progress)
    scored = score(project, Order(path=file, out=out, top=top or 0, by=by, keep=keep, force=force))
    show_scored(output, scored, out)
    if scored.first_id:
        output.say(f"next: kring trace {scored.first_id} {folder}")
    output.result({"scored": scored, "out": out})


def show_scored(output: Output, scored: Scored, out: Path) -> None:
    """What became of the rows, in a line each; what did not happen is not told."""
    output.say(
        f"{scored.decided:,} of {scored.rows:,} rows decided by {scored.version} in {scored.seconds:.1f} s",
        style="bold",
    )
    told = (
        (scored.flagged, "of them break the contract and are marked"),
        (scored.fallback, "of them were answered by another than the version asked"),
        (scored.rejected, "rows break the contract and have no decision"),
        (scored.unanswered, "rows could not be answered by anybody and have no decision"),
    )
    for rows, text in told:
        if rows:
            output.say(f"  {rows:,} {text}", style="yellow")
    output.say(f"{scored.written:,} rows written to {out}")
