"""`kring outcome`: say what turned out to be true of decisions."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from kring.cli.moments import MOMENT
from kring.cli.output import Output, answers, folder_argument
from kring.errors import EXIT_DONE, EXIT_NO, UserError
from kring.flow.project import open_project
from kring.flow.reporting import Delivery, report_outcomes, reports_in
from kring.record.outcome import Reported

REFUSED: Final = {
    "unknown": "of no decision on record",
    "ambiguous": "of several decisions at once",
    "type": "not of the outcome's type",
    "value": "none of the outcome's values",
    "shadow": "of a shadow's copy",
    "future": "from the future",
    "early": "known before the decision",
    "contradicting": "contradicted by the same delivery",
}


@click.command(short_help="Say what turned out to be true of decisions.")
@folder_argument
@click.option("--decision", help="The id of one decision.")
@click.option("--value", help="What turned out to be true of it.")
@click.option("--at", type=MOMENT, default=0, show_default="now", help="When that became known.")
@click.option(
    "--from",
    "path",
    type=click.Path(path_type=Path),
    help="A table: decision_id (or the fields that name a row), value[, at].",
)
@click.option("--home", type=click.Path(path_type=Path), help="Where the state lies, when it is not DIR/.kring.")
@answers
def command(
    output: Output,
    folder: Path,
    *,
    decision: str | None,
    value: str | None,
    at: int,
    path: Path | None,
    home: Path | None,
) -> None:
    """Put the outcome of one decision, or of a file of decisions, on record.

    A table is CSV, Parquet or JSON lines, also a folder or a glob. It names decisions by decision_id, else by the
    contract's key, by subject and time, or by whichever fields of a question it has.

    The last correction wins, by the moment at which it became known; all of them stay in the log. The same report twice
    changes nothing. Reports of unknown decisions and values of another type are refused; the others are recorded.
    """
    one = decision is not None and value is not None
    if one == (path is not None) or (not one and (decision is not None or value is not None or at)):
        raise UserError(
            "say what became of one decision, or name a file",
            allowed="--decision ID --value VALUE [--at MOMENT], or --from FILE",
            next="kring outcome --from outcomes.csv",
        )
    project = open_project(folder, say=output.progress)
    project = project.in_home(home) if home else project
    if path is not None:
        delivery = reports_in(project, path)
    else:
        delivery = Delivery([Reported(id=decision or "", value=value, at=at)], [])
    found = report_outcomes(project, delivery, source=path.name if path else "command line")
    output.say(
        f"{found.recorded:,} outcomes recorded, {found.corrected:,} corrected, {found.known:,} known already, "
        f"{found.refused:,} refused",
        style="bold" if not found.refused else "bold red",
    )
    for why, count in found.refusals.items():
        output.say(f"  {count:,} {REFUSED[why]}")
    if found.undecided:
        output.say(f"  {found.undecided:,} rows say nothing yet")
    for refused in found.examples:
        output.say(f"  {refused.id}: {refused.reason}")
    output.result(found, code=EXIT_NO if found.refused else EXIT_DONE)
