"""`kring compare`: the candidates' evidence side by side."""

from __future__ import annotations

from pathlib import Path

import click

from kring.cli.output import Output, answers, folder_argument
from kring.flow.comparing.compare import compare_runs
from kring.flow.comparing.page import write_comparison
from kring.flow.project import open_project
from kring.record.evidence import Measure


@click.command(short_help="Show the candidates' evidence side by side.")
@folder_argument
@click.option(
    "--html", type=click.Path(dir_okay=False, path_type=Path), help="Where to write the page with the charts."
)
@answers
def command(output: Output, folder: Path, html: Path | None) -> None:
    """Compare what was trained last: every measure with its 95 % interval, and its lift over the baseline."""
    project = open_project(folder, say=output.progress)
    compared = compare_runs(project)
    names = compared.metrics
    rows = [(row.candidate, *(shown(row.measures.get(name)) for name in names)) for row in compared.rows]
    output.table(("candidate", *names), rows, title=f"{compared.rows[0].rows:,} held-out rows")
    lifts = [
        (row.candidate, *(shown(row.lifts.get(name)) for name in names if name in row.lifts))
        for row in compared.rows
        if not row.baseline
    ]
    if lifts:
        directed = [name for name in names if name in compared.rows[0].lifts]
        output.table(("candidate", *directed), lifts, title="better than the baseline by (paired)")
    for name, note in compared.notes:
        output.say(f"  {name}: {note}")
    page = write_comparison(project, compared, path=html)
    output.say(f"page: {page}")
    output.say(f"next: kring release {folder}")
    output.result({"candidates": compared.rows, "notes": compared.notes, "page": page})


def shown(measure: Measure | None) -> str:
    return "–" if measure is None else f"{measure.value:.4g} [{measure.low:.4g}, {measure.high:.4g}]"
