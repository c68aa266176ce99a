"""`kring trace`: follow an id back to its source."""

from __future__ import annotations

from pathlib import Path

import click

from kring.charts.words import lines, moment
from kring.cli.output import Output, answers, folder_argument
from kring.flow.project import open_project
from kring.flow.tracing import trace
from kring.record.lineage import Lineage

MOST_FACTS = 10


@click.command(short_help="Follow an id back to evidence, data, commit and owner.")
@click.argument("id", metavar="ID")
@folder_argument
@click.option("--home", type=click.Path(path_type=Path), help="Where the state lies, when it is not DIR/.kring.")
@answers
def command(output: Output, id: str, folder: Path, home: Path | None) -> None:
    """Trace a decision (d_), version (v_), rollout (ro_), alarm (a_), verdict, evidence, run or snapshot."""
    project = open_project(folder, say=output.progress)
    lineage = trace(project.in_home(home) if home else project, id)
    show_lineage(output, lineage)
    output.result(lineage)


def show_lineage(output: Output, lineage: Lineage) -> None:
    """One block per step back, each resting on the next."""
    for depth, node in enumerate(lineage.nodes):
        output.say(f"{'└─ ' if depth else ''}{node.kind} {node.id}", style="bold")
        output.say(f"   {moment(node.at)} · accountable: {node.owner}", style="dim")
        facts = list(node.facts.items())
        for name, value in facts[:MOST_FACTS]:
            output.say("\n".join(lines(f"{name}: {value}", first="   ", rest="     ")))
        if len(facts) > MOST_FACTS:
            output.say(f"   … and {len(facts) - MOST_FACTS} more with --json", style="dim")
