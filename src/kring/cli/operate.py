"""`kring operate`: judge rollouts, watch and have trainings done, without serving."""

from __future__ import annotations

from pathlib import Path

import click

from kring.cli.output import Output, answers
from kring.flow.duty.process import operate, until_told
from kring.flow.project import open_project
from kring.flow.serving.publish import require_apart


@click.command(short_help="Judge rollouts and watch, without serving.")
@click.argument("folders", metavar="[DIR]...", type=click.Path(path_type=Path), nargs=-1)
@answers
def command(output: Output, folders: tuple[Path, ...]) -> None:
    """Operate the systems in DIR… until it is stopped: move rollouts, close windows, raise alarms, have trainings done.
    It stays in the foreground.

    `kring serve` does the same beside its answers. Of several operators of one system one leads, and the others wait.
    """
    projects = [open_project(folder, say=output.progress) for folder in folders or (Path(),)]
    require_apart(projects)
    for project in projects:
        with project.ledger():
            output.say(f"{project.system.name} is operated until Ctrl-C", style="bold")
    operate(projects, until_told(), say=output.progress)
    output.result({"systems": [project.system.name for project in projects]})
