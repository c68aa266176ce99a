"""`kring brief`: from live back to whoever makes the next version."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from kring.charts.words import moment
from kring.cli.output import Output, answers, folder_argument
from kring.flow.briefing.brief import brief
from kring.flow.project import open_project
from kring.record.brief import Brief

SHOWN: Final = 5


@click.command(short_help="Tell where live is worse, what drifts, who disagrees; begin the next experiment.")
@folder_argument
@click.option("--out", type=click.Path(path_type=Path), help="A new folder in which the next experiment begins.")
@click.option("--home", type=click.Path(path_type=Path), help="Where the state lies, when it is not DIR/.kring.")
@answers
def command(output: Output, folder: Path, out: Path | None, home: Path | None) -> None:
    """Tell what the live version's decisions say to whoever makes the next one.

    With --out, write a folder that is a system of its own: the newest snapshot as its feed, the live rows, and those
    that went wrong as tests.
    """
    project = open_project(folder, say=output.progress)
    found = brief(project.in_home(home) if home else project, out=out)
    show(output, found)
    output.result(found)


def show(output: Output, found: Brief) -> None:
    """A few lines, the worst first."""
    output.say(f"{found.system}: {found.version} since {moment(found.start)}", style="bold")
    output.say(f"  decisions  {found.decisions:,}, {found.outcomes:,} of them with a known outcome")
    for weak in found.weak[:SHOWN]:
        output.say(
            f"  worse      {weak.name}: loss {weak.loss:.4g} over {weak.rows:,} rows, {weak.others:.4g} elsewhere"
        )
    if not found.weak:
        output.say("  worse      nowhere beyond chance, or too few outcomes are known")
    for alarm in found.alarms[:SHOWN]:
        output.say(f"  alarm      {alarm.kind} since {moment(alarm.since)}: {alarm.what}", style="red")
    output.say(
        f"  others     {found.compared:,} answers to the same rows, {len(found.disagreements)} shown that differ"
    )
    for one in found.disagreements[:SHOWN]:
        output.say(f"             {one.decision}: {one.live} here, {one.other} by {one.version}")
    output.say(f"  tests      {found.failing} rows that went wrong; snapshot {found.snapshot}")
    if found.folder:
        output.say(f"  next       kring go {found.folder}")
