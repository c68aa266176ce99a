"""`kring resume`: a rollout that was held goes on."""

from __future__ import annotations

from pathlib import Path

import click

from kring.cli.output import Output, answers, folder_argument
from kring.cli.rollout import ask


@click.command(short_help="Let a rollout that was held go on.")
@folder_argument
@click.option("--reason", required=True, help="Why; it stays on the ledger.")
@click.option("--by", "actor", default="command line", show_default=True, help="Who decides this.")
@click.option("--home", type=click.Path(path_type=Path), help="Where the state lies, when it is not DIR/.kring.")
@answers
def command(output: Output, folder: Path, reason: str, actor: str, home: Path | None) -> None:
    """Let the rollout go on where it was held, with the evidence it has and a new span of time."""
    ask(output, folder, "resume", reason=reason, actor=actor, home=home)
