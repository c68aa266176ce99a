"""`kring status`: where a system stands."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from kring.charts.words import moment
from kring.cli.output import Output, answers, folder_argument
from kring.flow.project import open_project
from kring.flow.status import Status, status


@click.command(short_help="Show what is live, its rollout, the last snapshot and the alarms.")
@folder_argument
@click.option("--home", type=click.Path(path_type=Path), help="Where the state lies, when it is not DIR/.kring.")
@click.option("--verify", is_flag=True, help="Recompute the chain; check versions, their data and the sealed log.")
@answers
def command(output: Output, folder: Path, home: Path | None, verify: bool) -> None:
    """Show the live version, its rollout, the last snapshot and the alarms."""
    project = open_project(folder, say=output.progress)
    found = status(project.in_home(home) if home else project, verify=verify)
    show_status(output, found)
    output.result(found)


def show_status(output: Output, found: Status) -> None:
    """A few lines a person can act on."""
    output.say(f"{found.system}: {found.goal}", style="bold")
    output.say(f"  owner     {found.owner}")
    live = found.live
    output.say(
        f"  live      {live.id} of {live.candidate}, generation {found.generation}"
        if live
        else "  live      nothing yet"
    )
    if found.previous:
        output.say(f"  previous  {found.previous}")
    if found.rollout:
        rollout = found.rollout
        output.say(f"  rollout   {rollout.id}: {rollout.state} since {moment(rollout.since)}, {rollout.reason}")
    if found.last_snapshot:
        last = found.last_snapshot
        output.say(
            f"  snapshot  {last.id}, {last.rows:,} rows, known as of {moment(last.as_of)} ({found.snapshots} in all)"
        )
    chain = "recomputed, whole" if found.verified else "not recomputed (--verify)"
    output.say(f"  ledger    {found.events:,} events, {chain}")
    if found.cut:
        output.say(f"  cut       {len(found.cut):,} streamed answers, the last one {found.cut[-1]}", style="red")
    for budget in found.budgets:
        left = "no requests yet" if budget.left is None else f"{budget.left:.0%} of the error budget left"
        broke = f"{budget.bad:,} of {budget.rows:,} requests broke it"
        is_used_up = budget.left is not None and budget.left <= 0
        output.say(
            f"  promise   {budget.level} {budget.promised:.4g}: {left}, {broke}", style="red" if is_used_up else ""
        )
    if found.unwatched:
        output.say(f"  drift     not watched: {in_words(found.unwatched)}")
    for alarm in [one for one in found.alarms if one.state != "resolved"][-5:]:
        output.say(f"  alarm     {moment(alarm.at)} {alarm.kind}: {alarm.what} (kring alarms)", style="red")


def in_words(unwatched: Mapping[str, str]) -> str:
    """Columns by the reason why their drift is not watched."""
    reasons = sorted({*unwatched.values()})
    return "; ".join(f"{', '.join(name for name in unwatched if unwatched[name] == why)} ({why})" for why in reasons)
