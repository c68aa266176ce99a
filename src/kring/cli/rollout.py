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
from kring.flow.operating.rollout_words import ENDED
from kring.flow.operating.showing import GuardrailShown, RolloutShown, Transition, show, typed
from kring.flow.project import Project, open_project
from kring.record.rollout import Rollout
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
        proven = f"of safety ({told(found.guardrails[0].proof_line)} = proven)"
        columns = ("guardrail", "limit", "new: bad", "old: bad", "evidence of harm", proven)
        over = found.rollout.state in ENDED
        rows = [row(one, over=over) for one in found.guardrails]
        output.table(columns, rows if len(rows) == 1 else [*rows, together(found)])
    heading(output, "What is missing to go on", found.missing, roles)
    heading(output, "What to do", found.todo, roles)
    output.say("\nHow it came to this", style="bold")
    for one in told_once(found.transitions)[-LAST:]:
        step = f" {one.step} %" if one.step and one.state in ("step", "held") else ""
        said = f"{moment(one.at)}  {one.state.replace('_', ' ')}{step}: {one.reason} ({one.actor})"
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


def row(one: GuardrailShown, *, over: bool) -> tuple[str, ...]:
    """One guardrail; what is judged on pairs of answers has no units."""
    lacks = "not reached" if over else "not yet"
    proof = f"{told(one.proof)}, {'proven' if one.proof >= one.proof_line else lacks}"
    if one.route == "paired":
        return one.name, one.limit, "in shadow", "in shadow", "–", proof
    new, old = f"{one.new_bad:,} of {one.new_units:,}", f"{one.old_bad:,} of {one.old_units:,}"
    return one.name, one.limit, new, old, told(one.harm), proof


def together(found: RolloutShown) -> tuple[str, ...]:
    """The mean of all guardrails, by which a version goes back."""
    return "mean of all", "", "", "", f"{told(found.harm)} (back at {told(found.harm_line)})", ""


def done(rollout: Rollout, what: Asked) -> str:
    """What became of a rollout for which somebody asked this."""
    at = f" at {rollout.step} %" if rollout.step else ""
    if what == "abort":
        return f"{rollout.version} is given up; the version that was live answers everything"
    if what == "hold":
        share = "it still answers its share, and" if rollout.before != "shadow" else "it"
        return f"{rollout.version} is held{at}: {share} goes no further until it is resumed"
    return f"{rollout.version} goes on{at}, with the same evidence and new time"


def told(value: float) -> str:
    """An e-value in words."""
    return told_e(log(value)) if value > 0 else "0"


def ask(output: Output, folder: Path, what: Asked, *, reason: str, actor: str, home: Path | None) -> None:
    """Ask for it, and say what became of it."""
    project = opened(output, folder, home)
    rollout = ask_rollout(project, what, reason=reason, actor=actor)
    output.say("\n".join(lines(done(rollout, what), rest="  ")), style="bold green")
    output.say(f"next: kring rollout show {typed(folder)}")
    output.result(rollout)
