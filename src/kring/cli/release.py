"""`kring release`: gate, version, signature, rollout."""

from __future__ import annotations

from pathlib import Path

import click

from kring.cli.output import Output, answers, folder_argument
from kring.errors import EXIT_NO
from kring.flow.project import open_project
from kring.flow.releasing import Judged, release
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
@answers
def command(output: Output, folder: Path, candidate: str, because: str, report: Path | None) -> None:
    """Judge the newest training. What passes becomes a signed version and starts its rollout; else exit 1."""
    project = open_project(folder, say=output.progress)
    released = release(project, candidate=candidate, because=because)
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
    output.result({"verdicts": verdicts, "version": released.version, "rollout": rollout})


def show_verdict(output: Output, judged: Judged) -> None:
    """Every line of the gate with its reason."""
    verdict = judged.verdict
    output.say(f"{verdict.candidate}: {verdict.result}", style="bold")
    output.table(("", "line", "why"), [(line.result, told(line), line.reason) for line in verdict.lines])
