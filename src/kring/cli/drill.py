"""`kring drill`: rehearse a failure on a copy of the system."""

from __future__ import annotations

from pathlib import Path

import click

from kring.cli.output import Output, answers
from kring.errors import EXIT_DONE, EXIT_NO
from kring.flow.drilling.drill import drill
from kring.flow.drilling.drills import DRILLS
from kring.flow.project import open_project
from kring.record.drill import Drilled


@click.command(short_help="Rehearse a failure on a copy of the system.")
@click.argument("name", type=click.Choice(sorted(DRILLS)))
@click.argument("folder", type=click.Path(path_type=Path), default=Path())
@click.option("--home", type=click.Path(path_type=Path), help="Where the state lies, when it is not DIR/.kring.")
@answers
def command(output: Output, name: str, folder: Path, home: Path | None) -> None:
    """Rehearse the failure NAME on a copy of the system in FOLDER, with a server of its own, and tell how soon it was
    noticed and mended, and who answered meanwhile."""
    project = open_project(folder, say=output.progress)
    done = drill(project.in_home(home) if home else project, name)
    show(output, done)
    output.result(done, code=EXIT_DONE if done.passed else EXIT_NO)


def show(output: Output, done: Drilled) -> None:
    """What happened, in the order of time."""
    output.say(f"{done.name}: {'passed' if done.passed else 'failed'}", style="bold" if done.passed else "red")
    output.say(f"  happened   {done.happened}")
    output.say(f"  noticed    {_seconds(done.detected_s)}")
    output.say(f"  mended     {_seconds(done.recovered_s)}")
    who = ", ".join(f"{name} {count:,}" for name, count in done.answered_by.items())
    output.say(f"  requests   {done.asked:,}, {done.failed:,} failed; answered by {who or 'nobody'}")


def _seconds(value: float | None) -> str:
    return "never, or there was nothing to notice" if value is None else f"after {value:.2f} s"
