"""`kring rollout show`: a rollout in words for somebody who was woken by it."""

from __future__ import annotations

from math import log
from pathlib import Path
from typing import Final

import click

from kring.charts.versions import Roles, with_roles
from kring.charts.words import lines, moment
from kring.cli.output import Output, answers, folder_argument
from kring.flow.operating.asking import Asked, ask_rollout
from kring.flow.operating.showing import GuardrailShown, RolloutShown, Transition, show
from kring.flow.project import Project, open_project
from kring.release.words import told_e

LAST: Final = 8


@click.group(short_help="Show how a new version comes to answer, and how sure that is.")
def command() -> None:
    """The rollout of a system."""


@command.command("show")
@folder_argument
@click.option("--home", type=click.Path(path_type=Path), help="Where the state lies, when it is not DIR/.kring.")
@answers
def show_(output: Output, folder: Path, home: Path | None) -> None:
    """Show the newest rollout: what happens, who answers, how sure it is, what is missing to go on, what to do."""
    found = show(opened(output, folder, home))
    tell(output, found)
    output.result(found)


def opened(output: Output, folder: Path, home: Path | None) -> Project:
    project = open_project(folder, say=output.progress)
    return project.in_home(home) if home else project


def tell(output: Output, found: RolloutShown) -> None:
    """A page of it."""
    roles = found.roles
    output.say(paragraph(f"{found.system}: {found.headline}", roles), style="bold")
    output.say(paragraph(f"{found.answers} It is {moment(found.at)}.", roles))
    heading(output, "How sure it is", found.sure, roles)
    if found.guardrails:
        columns = ("guardrail", "new: bad of units", "old: bad of units", "evidence of harm", "of safety")
        output.table(columns, [row(one) for one in found.guardrails])
    heading(output, "What is missing to go on", found.missing, roles)
    heading(output, "What to do", found.todo, roles)
    output.say("\nHow it came to this", style="bold")
    for one in told_once(found.transitions)[-LAST:]:
        step = f" {one.step} %" if one.step and one.state in ("step", "held") else ""
        said = f"{moment(one.at)}  {one.state}{step}: {one.reason} ({one.actor})"
        output.say(paragraph(said, roles, first="  ", rest=" " * 24), style="dim")


def told_once(moves: tuple[Transition, ...]) -> list[Transition]:
    """The transitions but those that another one followed at once, for the same reason."""
    return [
        one
        for one, after in zip(moves, (*moves[1:], None), strict=True)
        if after is None or (after.at, after.reason) != (one.at, one.reason)
    ]


def heading(output: Output, title: str, said: tuple[str, ...], roles: Roles) -> None:
    """A title and its sentences; a command, which begins with blanks, stays on its line."""
    if said:
        output.say(f"\n{title}", style="bold")
    for one in said:
        output.say(f"  {one}" if one.startswith(" ") else paragraph(one, roles, first="  ", rest="    "))


def paragraph(text: str, roles: Roles, *, first: str = "", rest: str = "") -> str:
    """Text that says what each version is, no wider than a terminal."""
    return "\n".join(lines(with_roles(text, roles), first=first, rest=rest))


def row(one: GuardrailShown) -> tuple[str, ...]:
    """One guardrail; what is judged on pairs of answers has no units."""
    harm = f"{told(one.harm)} (back at {told(one.harm_line)})"
    proof = f"{told(one.proof)} ({'proven' if one.proof >= one.proof_line else 'not yet'}: {told(one.proof_line)})"
    if one.route == "paired":
        return one.name, "in shadow", "in shadow", "–", proof
    return one.name, f"{one.new_bad:,} of {one.new_units:,}", f"{one.old_bad:,} of {one.old_units:,}", harm, proof


def told(value: float) -> str:
    """An e-value in words."""
    return told_e(log(value)) if value > 0 else "0"


def ask(output: Output, folder: Path, what: Asked, *, reason: str, actor: str, home: Path | None) -> None:
    """Ask for it, and say what became of it."""
    project = opened(output, folder, home)
    rollout = ask_rollout(project, what, reason=reason, actor=actor)
    at = f"{rollout.state} at {rollout.step} %" if rollout.step and rollout.state != "aborted" else rollout.state
    output.say(f"{rollout.version}: {at}", style="bold green")
    output.say(f"next: kring rollout show {folder}")
    output.result(rollout)
