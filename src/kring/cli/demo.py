"""`kring demo`: the circle once, on real flights."""

from __future__ import annotations

from pathlib import Path

import click

from kring.cli.output import Output, answers
from kring.cli.told import as_story, show_replay
from kring.cli.trace import show_lineage
from kring.flow.demo import demo, traced


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
    output.say("")
    output.say(f"report: {made.report.as_uri()}", style="bold green")
    output.say(f"next:   kring status {made.folder}")
    output.say(f"        kring trace {made.replay.trace_id} {made.folder}")
    output.say(f"        kring rollback {made.folder} --reason 'trying it'")
    output.result(as_story(made.replay, report=made.report))
