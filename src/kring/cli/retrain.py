"""`kring retrain`: what is trained or waits for a yes, and what people want of it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from kring.charts.words import moment
from kring.cli.output import Output, answers, folder_argument
from kring.errors import UserError
from kring.flow.project import open_project
from kring.flow.training_asked import Asked, Trainings, ask_training, trainings

ASKED: Final[dict[str, Asked]] = {"--now": "now", "--approve": "approve", "--refuse": "refuse", "--cancel": "cancel"}


@click.command(short_help="See, start, approve, refuse and cancel trainings.")
@folder_argument
@click.option("--now", "what", flag_value="--now", help="Train now, doubts or not.")
@click.option("--approve", "what", flag_value="--approve", help="Say yes to the training that waits.")
@click.option("--refuse", "what", flag_value="--refuse", help="Say no to it.")
@click.option("--cancel", "what", flag_value="--cancel", help="End the training that runs.")
@click.option("--because", default="", help="Why; it stays on the ledger.")
@click.option("--by", "actor", default="command line", show_default=True, help="Who decides this.")
@click.option("--home", type=click.Path(path_type=Path), help="Where the state lies, when it is not DIR/.kring.")
@answers
def command(output: Output, folder: Path, *, what: str | None, because: str, actor: str, home: Path | None) -> None:
    """Show which training runs or waits and how the last ones ended; or say what is to be done, and --because of what.

    Whoever operates the system (kring serve, kring operate) takes it up, in a process of its own. New data that looks
    as if somebody had tampered with it ends a training that began by itself; one that a person asked for with --now
    tells of it and goes on.
    """
    if what is None and because:
        raise UserError("a reason for what?", allowed=", ".join(ASKED), next="kring retrain --now --because …")
    project = open_project(folder, say=output.progress)
    project = project.in_home(home) if home else project
    found = trainings(project) if what is None else ask_training(project, ASKED[what], reason=because, actor=actor)
    show(output, found)
    output.result(found)


def show(output: Output, found: Trainings) -> None:
    """Who runs, who waits, and how the last ones ended."""
    if found.runs:
        output.say(f"{found.system}: {found.training} runs, {found.runs}", style="bold")
        output.say("  kring serve or kring operate trains it; --cancel ends it")
    elif found.wanted:
        output.say(f"{found.system}: a training waits for a yes, {found.wanted}", style="bold")
        output.say("  kring retrain --approve --because …, or --refuse")
    else:
        output.say(f"{found.system}: no training runs or waits", style="bold")
    if found.due:
        output.say(f"  the schedule's next turn is {moment(found.due)}")
    for one in found.last:
        ended = f"{one.result}: {one.reason}" if one.result else one.stage
        output.say(f"  {one.id} {moment(one.at)} ({one.trigger}) {ended}{f', {one.version}' if one.version else ''}")
        for words in one.doubts:
            output.say(f"    ! {words}", style="yellow")
