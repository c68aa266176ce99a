"""`kring go`: check, train, compare and release, stopping at the first no."""

from __future__ import annotations

from pathlib import Path

import click

from kring.cli.check import refuse, show_open, show_report
from kring.cli.moments import MOMENT
from kring.cli.output import Output, answers, folder_argument
from kring.cli.release import show_plan, show_verdict
from kring.cli.train import show_trained
from kring.errors import EXIT_NO
from kring.flow.checking import check_feed, take_snapshot
from kring.flow.comparing.compare import compare_runs
from kring.flow.comparing.page import write_comparison
from kring.flow.operating.releasing import Planned, release
from kring.flow.project import open_project
from kring.flow.training.train import train


@click.command(short_help="Check, train, compare and release in one go.")
@folder_argument
@click.option("--as-of", type=MOMENT, help="Take the feed as it was known at this moment (UTC).")
@click.option("--seed", default=0, show_default=True, help="Seed of fitting and resampling.")
@answers
def command(output: Output, folder: Path, as_of: int | None, seed: int) -> None:
    """Walk from the feed to a signed version. The first one answers at once; a later one comes to answer by the shadow
    and the steps of kring.toml, and what that will take is said first. Ends with 1 where the contract or the gate says
    no."""
    project = open_project(folder, say=output.progress)
    checked = check_feed(project, as_of=as_of)
    show_report(output, checked.report)
    show_open(output, project)
    if checked.report.result == "fail":
        refuse(output, project, checked)
        return
    snapshot = take_snapshot(project, checked)
    show_trained(output, train(project, snapshot, seed=seed))
    page = write_comparison(project, compare_runs(project), path=None)
    released = release(project, candidate="", agree=lambda planned: tell_plan(output, planned))
    for judged in released.judged:
        show_verdict(output, judged)
    output.say(f"page: {page}")
    told = {"snapshot": snapshot.id, "page": page, "verdicts": [judged.verdict for judged in released.judged]}
    told["open"] = project.system.frame.open
    if released.version is None:
        output.say(f"nothing was released: the gate says {released.judged[0].verdict.result}", style="bold red")
        output.result(told | {"version": None}, code=EXIT_NO)
        return
    state = released.state.rollout.state if released.state and released.state.rollout else "registered"
    told["plan"] = released.planned.plan if released.planned else None
    output.say(f"version {released.version.id} of {released.version.candidate}: {state}", style="bold green")
    output.say(f"next: kring trace {released.version.id} {folder}")
    if project.system.knowledge:
        output.say(f"      kring ask 'QUESTION' {folder}")
    else:
        output.say(f"      kring score FILE {folder} --out FILE")
    output.say(f"      kring serve {folder}")
    output.result(told | {"version": released.version})


def tell_plan(output: Output, planned: Planned) -> None:
    """What the rollout will take, before it starts, and whether it can be finished."""
    show_plan(output, planned)
    if planned.why_not:
        output.say(f"it can't be finished within its budget, and will be held: {planned.why_not}", style="bold yellow")
