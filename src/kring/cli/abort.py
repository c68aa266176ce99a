"""`kring abort`: a version on its way is given up."""

from __future__ import annotations

from pathlib import Path

import click

from kring.cli.output import Output, answers, folder_argument
from kring.cli.rollout import ask


@click.command(short_help="Give up a version that is on its way.")
@folder_argument
@click.option("--reason", required=True, help="Why; it stays on the ledger.")
@click.option("--by", "actor", default="command line", show_default=True, help="Who decides this.")
@click.option("--home", type=click.Path(path_type=Path), help="Where the state lies, when it is not DIR/.kring.")
@answers
def command(output: Output, folder: Path, reason: str, actor: str, home: Path | None) -> None:
    """Give up the version that is on its way. The live one answers everything."""
    ask(output, folder, "abort", reason=reason, actor=actor, home=home)
