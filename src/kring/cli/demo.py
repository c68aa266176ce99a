"""`kring demo`: the circle once, on real flights."""

from __future__ import annotations

from pathlib import Path

import click

from kring.cli.output import Output, answers
from kring.cli.told import as_story, paragraph, show_replay
from kring.cli.trace import show_lineage
from kring.flow.demo import demo, traced
from kring.flow.operating.showing import typed
from kring.flow.replaying.report import ADDRESS, next_commands, point


@click.command(short_help="Take a real system once round the circle.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("kring-demo"), show_default=True,
              help="The folder the demo makes.")  # fmt: skip
@click.option("--short", is_flag=True, help="Live one month instead of nine.")
@click.option("--seed", default=0, show_default=True, help="The same seed gives the same demo.")
@answers
def command(output: Output, out: Path, short: bool, seed: int) -> None:
    """Train on the flights of January to March 2013, then live April to December: outcomes arrive late, alarms
    are raised when the data gives cause, versions change safely, and every decision can be traced.

    With --json, `quality` has one entry per metric and week; its `day` is the first day of that week."""
    made = demo(out.resolve(), short=short, seed=seed, say=output.progress)
    show_replay(output, made.replay)
    output.say("")
    output.say("One decision, traced:", style="bold")
    show_lineage(output, traced(made))
    following = next_commands(made.project, made.replay, folder=typed(made.folder))
    output.say("")
    output.say(paragraph(f"What came of it: {point(made.replay, currency=made.project.system.frame.currency)}"))
    output.say("\nWhat to do next; each line can be pasted here:", style="bold")
    for what, command in following:
        output.say(paragraph(f"{what}:", first="  ", rest="  "), style="dim")
        output.say(f"    {command}")
    output.say("")
    output.say(f"report: {made.report.as_uri()}", style="bold green")
    output.say(f"pages:  {ADDRESS} as soon as kring serve runs", style="bold green")
    story = as_story(made.replay, report=made.report)
    output.result(story | {"folder": made.folder, "next": [command for _, command in following]})
