"""`kring rollback`: the previous version answers again."""

from __future__ import annotations

from pathlib import Path

import click

from kring.cli.output import Output, answers, folder_argument
from kring.flow.operating.asking import roll_back
from kring.flow.project import open_project
from kring.flow.pulling import FILE


@click.command(short_help="Let the previous version answer again.")
@folder_argument
@click.option("--reason", required=True, help="Why; it stays on the ledger.")
@click.option("--by", "actor", default="command line", show_default=True, help="Who decides this.")
@click.option("--home", type=click.Path(path_type=Path), help="Where the state lies, when it is not DIR/.kring.")
@answers
def command(output: Output, folder: Path, reason: str, actor: str, home: Path | None) -> None:
    """Go back at once: a version that answers a share loses it, else the previous version answers again. A rollout
    under way ends."""
    project = open_project(folder, say=output.progress)
    pointer, before, shadow, canary, trouble = roll_back(
        project.in_home(home) if home else project, reason=reason, actor=actor
    )
    if pointer.live != before:
        output.say(f"{pointer.live} answers again (generation {pointer.generation})", style="bold green")
    if canary:
        output.say(f"{canary} answers no share any more; {pointer.live} answers everything", style="bold green")
    if shadow:
        output.say(f"{shadow} is no longer asked as a shadow; {pointer.live} answers", style="bold green")
    if trouble:
        told = f"the ledger could not be told ({trouble}): workers go by {FILE}, and it is told when it can be"
        output.say(told, style="yellow")
    output.result(pointer)
