"""`kring clean`: what is wrong with the feed, and what would mend it?"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from kring.cli.output import Output, answers, folder_argument
from kring.errors import UserError
from kring.flow.cleaning import Proposed, accept, chosen, propose_repairs
from kring.flow.project import Project, open_project
from kring.record.recipe import Proposal, Repair


@click.command(short_help="Propose repairs of the feed; a person accepts them.")
@folder_argument
@click.option("--source", type=click.Path(path_type=Path), help="Look at this file instead of data.source.")
@click.option("--accept", "words", metavar="WHICH", help="Accept all, likely (and safe), safe, or ids: ID,ID,…")
@click.option("--ask", is_flag=True, help="Ask yes or no for each proposal; so it is in a terminal.")
@click.option("--confirm", is_flag=True, help="Accept clean.toml as it was changed by hand.")
@click.option("--by", "actor", default="command line", show_default=True, help="Who decides this.")
@answers
def command(
    output: Output, folder: Path, *, source: Path | None, words: str | None, ask: bool, confirm: bool, actor: str
) -> None:
    """Propose repairs of the feed. Nothing is changed until somebody accepts: what is accepted is written to
    clean.toml, and every later feed is repaired in that way before it is checked."""
    project = open_project(folder, say=output.progress)
    if ask and words is not None:
        raise UserError("--ask and --accept exclude each other", next="leave one of them out")
    proposed = propose_repairs(project, path=source)
    show(output, proposed)
    picked: tuple[Repair, ...] = ()
    if words is not None:
        picked = chosen(proposed.proposals, words)
    elif ask or (proposed.proposals and not output.json and sys.stdin.isatty() and sys.stdout.isatty()):
        picked = asked(proposed.proposals)
    if not picked and not (confirm and proposed.recipe):
        if proposed.proposals:
            output.say(f"nothing was accepted; next: kring clean {folder} --accept likely, or the ids that you want")
        output.result(
            {"proposals": proposed.proposals, "looked": proposed.looked, "rows": proposed.rows, "recipe": None}
        )
        return
    keep(output, project, proposed, picked=picked, actor=actor)


def keep(output: Output, project: Project, proposed: Proposed, *, picked: tuple[Repair, ...], actor: str) -> None:
    """Write the recipe, and say so."""
    recipe = accept(project, proposed, repairs=picked, actor=actor)
    cells = sum(change.cells for change in recipe.changes)
    output.say(
        f"recipe version {recipe.version}: {cells:,} cells of {recipe.source}, repairs: {len(recipe.changes)}",
        style="bold green",
    )
    output.say(f"next: kring check {project.folder}")
    output.result({"proposals": proposed.proposals, "looked": proposed.looked, "rows": proposed.rows, "recipe": recipe})


def show(output: Output, proposed: Proposed) -> None:
    """The proposals in a table."""
    if not proposed.proposals:
        output.say(f"nothing to repair in {proposed.rows:,} rows of {proposed.source}")
        return
    output.say(f"{proposed.rows:,} rows of {proposed.source}, repairs proposed: {len(proposed.proposals)}")
    if proposed.looked < proposed.rows:
        output.say(f"found in {proposed.looked:,} rows spread over the feed, counted in all")
    rows = [
        (one.repair.id, one.repair.trust, one.repair.cells, one.repair.why, "; ".join(one.examples[:3]))
        for one in proposed.proposals
    ]
    output.table(("id", "trust", "cells", "why", "examples"), rows)


def asked(proposals: tuple[Proposal, ...]) -> tuple[Repair, ...]:
    """The repairs to which somebody says yes; Ctrl-C accepts none."""
    picked = []
    for one in proposals:
        click.echo(f"{one.repair.id} ({one.repair.trust}, {one.repair.cells:,} cells): {one.repair.why}", err=True)
        if click.confirm("accept?", default=False, err=True):
            picked.append(one.repair)
    return tuple(picked)
