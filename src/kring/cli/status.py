"""`kring status`: where a system stands."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import click

from kring.charts.versions import with_roles
from kring.charts.words import lines, moment
from kring.cli.output import Output, answers, folder_argument
from kring.flow.operating.rollout_words import span
from kring.flow.operating.showing import typed
from kring.flow.project import open_project
from kring.flow.status import Status, status
from kring.flow.watching.keeping import ALL
from kring.record.drift import OFF
from kring.watch.alarms import by_urgency

FEW: Final = 5
LONG_US: Final = 3_600_000_000
"""A silence that is told of."""
NONE: Final = "nothing yet"
WHY: Final = {OFF: "its version holds no reference of the training data"}
UNLOOKED: Final = "none is open, but no operator runs that would raise one"


@click.command(short_help="Show what is live, its rollout, the last snapshot and the alarms.")
@folder_argument
@click.option("--home", type=click.Path(path_type=Path), help="Where the state lies, when it is not DIR/.kring.")
@click.option("--verify", is_flag=True, help="Recompute the chain; check versions, their data and the sealed log.")
@answers
def command(output: Output, folder: Path, home: Path | None, verify: bool) -> None:
    """Show the live version, its rollout, the last snapshot and the alarms."""
    project = open_project(folder, say=output.progress)
    found = status(project.in_home(home) if home else project, verify=verify)
    show_status(output, found, folder=typed(folder))
    output.result(found)


def show_status(output: Output, found: Status, *, folder: str) -> None:
    """A few lines a person can act on: what rings first."""
    output.say("\n".join(lines(f"{found.system}: {found.goal}", rest="  ")), style="bold")
    line(output, found, "now", moment(found.at))
    show_alarms(output, found, folder=folder)
    show_operator(output, found, folder=folder)
    line(output, found, "owner", found.owner)
    show_versions(output, found, folder=folder)
    if found.live:
        line(output, found, "decisions", f"{last_decision(found)}, batches and shadows aside")
    if found.last_snapshot:
        taken = found.last_snapshot
        line(
            output, found, "snapshot",
            f"{taken.id}, {taken.rows:,} rows, known as of {moment(taken.as_of)} ({found.snapshots} in all)",
        )  # fmt: skip
    if found.cut:
        line(output, found, "cut", f"{len(found.cut):,} streamed answers, the last one {found.cut[-1]}", style="red")
    for budget in found.budgets:
        left = "no requests yet" if budget.left is None else f"{budget.left:.0%} of the error budget left"
        broke = f"{budget.bad:,} of {budget.rows:,} requests broke it"
        style = "red" if budget.left is not None and budget.left <= 0 else ""
        line(output, found, "promise", f"{budget.level} {budget.promised:.4g}: {left}, {broke}", style=style)
    if found.unwatched:
        line(output, found, "drift", in_words(found.unwatched))
    chain = "recomputed, whole" if found.verified else "not recomputed (--verify)"
    line(output, found, "ledger", f"{found.events:,} events, {chain}")


def last_decision(found: Status) -> str:
    """When somebody who waited was last answered, and how long ago where that is long."""
    silent = found.at - found.last_asked
    if not found.last_asked:
        return "none of late"
    return f"the last one {moment(found.last_asked)}" + (f", {span(silent)} ago" if silent >= LONG_US else "")


def show_versions(output: Output, found: Status, *, folder: str) -> None:
    """Who answers, who did before, and which version is on its way."""
    live, share = found.live, found.share
    part = f" answers {100 * (1 - share):.3g} %;" if share else ""
    made = f"made by {live.candidate}, generation {found.generation}" if live else ""
    line(output, found, "live", f"{live.id}{part or ','} {made}" if live else NONE)
    if found.canary:
        line(output, found, "canary", f"{found.canary} answers {100 * share:.3g} %")
    if found.previous and found.previous != found.canary:
        back = f"kring rollback {folder} --reason '…' brings it back{', once the canary is gone' if share else ''}"
        why = found.no_way_back
        line(
            output, found, "previous",
            f"{found.previous}: it can't come back now: {why}" if why else f"{found.previous}: {back}",
            style="red" if why else "",
        )  # fmt: skip
    if found.rollout_told:
        line(output, found, "rollout", found.rollout_told)
        output.say(f"            kring rollout show {folder}")


def show_alarms(output: Output, found: Status, *, folder: str) -> None:
    """The alarms that are not over, the most urgent first."""
    ringing = by_urgency(one for one in found.alarms if one.state != "resolved")
    for alarm in ringing[:FEW]:
        handled = f" {moment(alarm.handled_at)}" if alarm.handled_at else ""
        state = "" if alarm.state == "open" else f" ({alarm.state}{handled})"
        line(output, found, alarm.tier, f"found {moment(alarm.at)}{state}: {alarm.what}", style="red")
    if ringing:
        rest = f"{len(ringing) - FEW:,} more: " if len(ringing) > FEW else ""
        output.say(f"            {rest}kring alarms {folder}")
    else:
        line(output, found, "alarms", "none is open" if found.operator.now or not found.live else UNLOOKED)


def show_operator(output: Output, found: Status, *, folder: str) -> None:
    """Whether somebody judges and watches; where nothing answers yet, nobody has to."""
    if found.operator.now:
        line(output, found, "operator", "runs: it judges rollouts, watches, and tells of alarms")
        return
    if found.live is None:
        line(output, found, "operator", "none runs; one is needed as soon as a version answers (kring serve runs one)")
        return
    why = f"NONE RUNS: {found.operator.why_not}. Nothing is watched, told or taken back by itself"
    line(output, found, "operator", why, style="red")
    output.say(f"            kring operate {folder}   (stays in the foreground; or kring serve {folder})")


def line(output: Output, found: Status, label: str, text: str, *, style: str = "") -> None:
    """A label and what is said of it; versions say what they are, but where the label does."""
    said = text if label in ("live", "canary", "previous") else with_roles(text, found.roles)
    output.say("\n".join(lines(said, first=f"  {label:<10}", rest=" " * 12)), style=style)


def in_words(unwatched: Mapping[str, str]) -> str:
    """Columns whose drift is not watched, by the reason why."""
    if ALL in unwatched:
        return f"not watched for any column: {WHY.get(unwatched[ALL], unwatched[ALL])}"
    reasons = sorted({*unwatched.values()})
    parts = (f"{', '.join(name for name in unwatched if unwatched[name] == why)} ({why})" for why in reasons)
    return f"not watched for {'; '.join(parts)}"
