"""`kring hold`: the rollout waits where it is."""

from __future__ import annotations

from pathlib import Path

import click

from kring.cli.output import Output, answers, folder_argument
from kring.cli.rollout import ask


@click.command(short_help="Keep a rollout where it is.")
@folder_argument
@click.option("--reason", required=True, help="Why; it stays on the ledger.")
@click.option("--by", "actor", default="command line", show_default=True, help="Who decides this.")
@click.option("--home", type=click.Path(path_type=Path), help="Where the state lies, when it is not DIR/.kring.")
@answers
def command(output: Output, folder: Path, reason: str, actor: str, home: Path | None) -> None:
    """Keep the rollout where it is. Traffic stays as it is; harm is looked for all the same."""
    ask(output, folder, "hold", reason=reason, actor=actor, home=home)
