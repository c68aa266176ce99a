"""`kring check`: does the feed keep its contract? If so it becomes a snapshot."""

from __future__ import annotations

from pathlib import Path

import click

from kring.cli.moments import MOMENT
from kring.cli.output import Output, answers, folder_argument
from kring.errors import EXIT_NO
from kring.flow.checking import Checked, check_feed, keep_report, remedy, take_snapshot
from kring.flow.project import Project, open_project
from kring.record.finding import CheckReport, Finding

SIGNS = {"pass": "✓", "warn": "!", "fail": "✗"}


@click.command(short_help="Hold the feed to its contract; keep what passes as a snapshot.")
@folder_argument
@click.option("--as-of", type=MOMENT, help="Take the feed as it was known at this moment (UTC).")
@click.option("--source", type=click.Path(path_type=Path), help="Check this file instead of data.source.")
@click.option("--dry-run", is_flag=True, help="Only report; keep no snapshot.")
@answers
def command(output: Output, folder: Path, as_of: int | None, source: Path | None, dry_run: bool) -> None:
    """Check the feed against the contract. What passes becomes a snapshot; what fails never does (exit 1)."""
    project = open_project(folder, say=output.progress)
    checked = check_feed(project, as_of=as_of, path=source)
    show_report(output, checked.report)
    show_open(output, project)
    if checked.report.result == "fail":
        refuse(output, project, checked, dry_run=dry_run)
        return
    if dry_run:
        output.result({"report": checked.report, "snapshot": None, "open": project.system.frame.open})
        return
    snapshot = take_snapshot(project, checked)
    output.say(f"snapshot {snapshot.id}: {snapshot.rows:,} rows, digest {snapshot.digest[:16]}", style="bold")
    if checked.report.held:
        names = ", ".join(one.name for one in checked.report.suppliers if one.result == "fail")
        output.say(f"! {checked.report.held:,} rows are not in it: those of {names}", style="bold yellow")
    output.say(f"next: kring train {folder}")
    output.result({"report": checked.report, "snapshot": snapshot, "open": project.system.frame.open})


def show_open(output: Output, project: Project) -> None:
    """The questions that nobody has answered yet."""
    names = project.system.frame.open
    if names:
        output.say(f"! open questions in {Path(project.system.file).name}: {', '.join(names)}", style="yellow")


def refuse(output: Output, project: Project, checked: Checked, *, dry_run: bool = False) -> None:
    """A broken contract: the report is the answer, and it is kept unless this was a dry run."""
    if not dry_run:
        keep_report(project, checked)
    output.say(f"no snapshot; next: {remedy(project, checked)}", style="bold red")
    answer = {"report": checked.report, "snapshot": None, "open": project.system.frame.open}
    output.result(answer, code=EXIT_NO)


def show_report(output: Output, report: CheckReport) -> None:
    """The verdict in a line, and what is not in order."""
    output.say(
        f"{SIGNS[report.result]} {report.rows:,} rows of {report.source}, {report.checked} rules: {report.result}"
    )
    mended = [f"{one.repair} {one.cells:,}" for one in report.changes if one.cells]
    if mended:
        output.say(f"  repaired by the accepted recipe: {', '.join(mended)} cells")
    notable = [finding for finding in report.findings if finding.result != "pass"]
    if notable:
        rows = [
            (SIGNS[one.result], one.rule, one.column, one.rows, told(one), "; ".join(one.examples)) for one in notable
        ]
        output.table(("", "rule", "column", "rows", "what", "examples"), rows)
    if report.suppliers:
        judged = [
            (SIGNS[one.result], one.name, one.rows, "; ".join(broken.message for broken in one.findings))
            for one in report.suppliers
        ]
        output.table(("", report.supplier, "rows", "held back because"), judged)


def told(one: Finding) -> str:
    """What was found, and what may be the matter."""
    return f"{one.message}. {one.hint}" if one.hint else one.message
