"""`kring rollback`: the previous version answers again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from kring.charts.versions import with_roles
from kring.charts.words import lines
from kring.cli.output import Output, answers, folder_argument
from kring.flow.operating.asking import roll_back
from kring.flow.operating.going_back import GoingBack, going_back
from kring.flow.operating.showing import typed
from kring.flow.project import open_project
from kring.flow.pulling import FILE
from kring.record.alarm import Alarm
from kring.watch.wording import first_of


@click.command(short_help="Let the previous version answer again.")
@folder_argument
@click.option("--reason", required=True, help="Why; it stays on the ledger.")
@click.option("--by", "actor", default="command line", show_default=True, help="Who decides this.")
@click.option("--home", type=click.Path(path_type=Path), help="Where the state lies, when it is not DIR/.kring.")
@answers
def command(output: Output, folder: Path, reason: str, actor: str, home: Path | None) -> None:
    """Go back at once: a version that answers a share loses it, else the previous version answers again. A rollout
    under way ends."""
    project = open_project(folder, say=output.progress)
    project = project.in_home(home) if home else project
    tell_before(output, going_back(project))
    pointer, before, shadow, canary, trouble = roll_back(project, reason=reason, actor=actor)
    if pointer.live != before:
        output.say(f"{pointer.live} answers again (generation {pointer.generation})", style="bold green")
    if canary:
        output.say(f"{canary} answers no share any more; {pointer.live} answers everything", style="bold green")
    if shadow:
        output.say(f"{shadow} is no longer asked as a shadow; {pointer.live} answers", style="bold green")
    if trouble:
        told = f"the ledger could not be told ({trouble}): workers go by {FILE}, and it is told when it can be"
        output.say(told, style="yellow")
    output.say(f"next: kring status {typed(folder)}")
    output.result(pointer)


def tell_before(output: Output, plan: GoingBack | None) -> None:
    """What is about to happen, and what of that which rings will end by it."""
    if plan is None:
        return
    ends = f"; the rollout of {plan.rollout.version} ends" if plan.rollout else ""
    say(output, plan, f"{plan.goes} goes, {plan.then} answers everything{ends}.", indent=0)
    if plan.end:
        say(output, plan, f"{some(plan.end)} about {plan.goes} will be over with it: {what(plan.end)}.")
    if plan.stay:
        say(output, plan, f"{some(plan.stay)} will go on ringing, not being about {plan.goes}: {what(plan.stay)}.")
    if plan.rang:
        say(output, plan, f"Of {plan.then} rang when it answered: {what(plan.rang)}. The cause may still be there.")


def say(output: Output, plan: GoingBack, text: str, *, indent: int = 2) -> None:
    output.say("\n".join(lines(with_roles(text, plan.roles), first=" " * indent, rest=" " * (indent + 2))))


def some(alarms: Sequence[Alarm]) -> str:
    return f"{len(alarms):,} open alarm{'' if len(alarms) == 1 else 's'}"


def what(alarms: Sequence[Alarm]) -> str:
    """The first of them in a few words each."""
    return first_of(alarms, len(alarms))
