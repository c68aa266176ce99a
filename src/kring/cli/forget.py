"""`kring forget`: a person is taken out of all that a system keeps."""

from __future__ import annotations

from pathlib import Path

import click

from kring.cli.output import Output, answers
from kring.errors import Refused
from kring.flow.forgetting import forget
from kring.flow.project import open_project
from kring.record.erasure import Forgotten


@click.command(short_help="Forget a person: rows, keys, and what is sealed with them.")
@click.argument("subject")
@click.argument("folders", metavar="[DIR]...", nargs=-1, type=click.Path(path_type=Path))
@answers
def command(output: Output, subject: str, folders: tuple[Path, ...]) -> None:
    """Forget SUBJECT in every system DIR (default: the folder you stand in), and in their replays.

    SUBJECT is a value of an identifier or of the subject's column, or its token. Its rows leave every snapshot, its
    keys are destroyed, so that its personal values in the decision log can't be read any more, and the versions that
    learned from it are listed. Counts stay. The feed is yours: take the person out of it, too.
    """
    done: list[Forgotten] = []
    refused: Refused | None = None
    for folder in folders or (Path("."),):
        try:
            done += forget(open_project(folder, say=output.progress), subject)
        except Refused as error:
            refused = error
    if not done and refused is not None:
        raise refused
    for one in done:
        output.say(f"{one.system}: {one.rows:,} rows in {len(one.snapshots)} snapshots, keys destroyed", style="bold")
        for version in one.versions:
            output.say(f"  {version} learned from them; train again to be rid of that")
    output.result({"forgotten": done})
