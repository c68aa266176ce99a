"""`kring release`: gate, version, signature, rollout."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from kring.cli.output import Output, answers, folder_argument
from kring.errors import EXIT_NO
from kring.flow.operating.releasing import Planned, release, require_agreed
from kring.flow.project import open_project
from kring.flow.releasing import Judged
from kring.flow.tracing import told
from kring.host.files import LocalFiles
from kring.release.gate import junit


@click.command(short_help="Judge a run by the gate; sign and start what passes.")
@folder_argument
@click.option("--candidate", default="", help="Release this one; the best that was trained when left out.")
@click.option("--because", default="", help="Why a candidate is released that another one dominates.")
@click.option(
    "--junit", "report", type=click.Path(dir_okay=False, path_type=Path), help="Write the verdicts as JUnit XML."
)
@click.option("--yes", is_flag=True, help="Start the rollout though its budget can't finish it.")
@answers
def command(output: Output, folder: Path, *, candidate: str, because: str, report: Path | None, yes: bool) -> None:
    """Judge the newest training. What passes becomes a signed version and starts its rollout; else exit 1. What the
    rollout will take is said first."""
    project = open_project(folder, say=output.progress)
    released = release(project, candidate=candidate, because=because, agree=lambda one: agree(output, one, yes=yes))
    for judged in released.judged:
        show_verdict(output, judged)
    if report is not None:
        LocalFiles().write(report, junit(*(judged.verdict for judged in released.judged)).encode())
    verdicts = [judged.verdict for judged in released.judged]
    if released.version is None:
        output.say(f"nothing was released: the gate says {verdicts[0].result}", style="bold red")
        output.say(f"next: kring compare {folder} shows the evidence")
        output.result({"verdicts": verdicts, "version": None}, code=EXIT_NO)
        return
    rollout = released.state.rollout if released.state else None
    state = rollout.state if rollout else "registered"
    output.say(f"version {released.version.id} of {released.version.candidate}: {state}", style="bold green")
    output.say(f"next: kring trace {released.version.id} {folder}")
    plan = released.planned.plan if released.planned else None
    output.result({"verdicts": verdicts, "version": released.version, "rollout": rollout, "plan": plan})


def agree(output: Output, planned: Planned, *, yes: bool) -> None:
    """Say what the rollout will take; ask somebody who is there before one that can't be finished starts."""
    show_plan(output, planned)
    if planned.why_not and not yes and not output.json and sys.stdin.isatty():
        yes = click.confirm("It can't be finished within its budget and will be held. Start it all the same?")
    require_agreed(planned, yes=yes)


def show_plan(output: Output, planned: Planned) -> None:
    """Units and days of each step for a version that is as good, and until a bad one is stopped."""
    plan = planned.plan
    if plan.shadow:
        output.say(f"shadow: {plan.shadow}", style="bold yellow")
    if not plan.steps:
        return
    output.say(f"plan, at {plan.per_day:,.0f} units a day ({planned.rows:,} decisions in {planned.days:.0f} days):")
    output.table(
        ("goes by", "bad", "of the units", "from"),
        [(one.name, f"{one.rate:.2%}", f"{one.share:.1%}", one.source) for one in plan.reckoned],
    )
    rows = [
        (f"{step.step} %", counted(step.units), days(step.days), step.waits_for or None, step.why or None)
        for step in plan.steps
    ]
    output.table(("step", "units in all", "days", "waits for", "but"), rows)
    found = [
        (one.name, f"{one.times:g} times", f"{one.step} %", counted(one.new_units), days(one.days))
        for one in plan.detections
    ]
    output.table(("stopped for", "as bad", "at", "units of the new version", "days"), found)


def counted(number: int | None) -> str:
    return "never" if number is None else f"{number:,}"


def days(number: float | None) -> str:
    return "–" if number is None else f"{number:,.1f}"


def show_verdict(output: Output, judged: Judged) -> None:
    """Every line of the gate with its reason."""
    verdict = judged.verdict
    output.say(f"{verdict.candidate}: {verdict.result}", style="bold")
    output.table(("", "line", "why"), [(line.result, told(line), line.reason) for line in verdict.lines])
