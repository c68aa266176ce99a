"""`kring rollback`: the previous version answers again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from kring.charts.versions import with_roles
from kring.charts.words import lines
from kring.cli.output import Output, answers, folder_argument
from kring.errors import KringError
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
    plan = going_back(project)
    try:
        pointer, before, shadow, canary, trouble = roll_back(project, reason=reason, actor=actor)
    except KringError:
        tell_undone(output, plan, going_back(project))
        raise
    if pointer.live != before:
        output.say(f"{pointer.live} answers again (generation {pointer.generation})", style="bold green")
    if canary:
        output.say(f"{canary} answers no share any more; {pointer.live} answers everything", style="bold green")
    if shadow:
        output.say(f"{shadow} is no longer asked as a shadow; {pointer.live} answers", style="bold green")
    tell_done(output, plan)
    if trouble:
        told = f"the ledger could not be told ({trouble}): workers go by {FILE}, and it is told when it can be"
        output.say(told, style="yellow")
    output.say(f"next: kring status {typed(folder)}")
    output.result(pointer)


def tell_undone(output: Output, plan: GoingBack | None, now: GoingBack | None) -> None:
    """That it was not done, and who answers on; where that can't be read, that nobody knows."""
    if plan is None:
        return
    if now is None or (now.goes, now.then) != (plan.goes, plan.then):
        output.say("It is not known whether that was done: kring status says who answers.", style="bold red")
        return
    said = f"NOT DONE: nothing was changed, and {plan.goes} answers on. Why not:"
    output.say("\n".join(lines(with_roles(said, plan.roles), rest="  ")), style="bold red")


def tell_done(output: Output, plan: GoingBack | None) -> None:
    """What of that which rang is over with it, and what is not."""
    if plan is None:
        return
    if plan.rollout:
        say(output, plan, f"The rollout of {plan.rollout.version} has ended.")
    if plan.end:
        say(output, plan, f"{some(plan.end)} about {plan.goes} ended with it: {what(plan.end)}.")
    if plan.stay:
        say(output, plan, f"{some(plan.stay)} about something else: {what(plan.stay)}.")
    if plan.rang:
        say(output, plan, f"Of {plan.then} rang when it answered: {what(plan.rang)}. The cause may still be there.")


def say(output: Output, plan: GoingBack, text: str) -> None:
    """A sentence with what each version was before."""
    roles = {id: f"was {role}" for id, role in plan.roles.items()}
    output.say("\n".join(lines(with_roles(text, roles), first="  ", rest="    ")))


def some(alarms: Sequence[Alarm]) -> str:
    return f"{len(alarms):,} open alarm{'' if len(alarms) == 1 else 's'}"


def what(alarms: Sequence[Alarm]) -> str:
    """The first of them in a few words each."""
    return first_of(alarms, len(alarms))
