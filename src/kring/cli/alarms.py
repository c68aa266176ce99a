"""`kring alarms`: what rings, in words for somebody who was woken; seen, silenced or over."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, ParamSpec

import click
from msgspec.structs import asdict

from kring.charts.versions import Versions
from kring.charts.words import lines, moment
from kring.cli.output import Output, answers, folder_argument
from kring.errors import UserError
from kring.flow import alarming
from kring.flow.alarming import Alarms
from kring.flow.operating.showing import typed
from kring.flow.operating.telling import send_test
from kring.flow.project import Project, open_project
from kring.frame.durations import EXAMPLES, fits, microseconds
from kring.record.alarm import Alarm, Handling
from kring.record.running import Tier
from kring.watch import wording
from kring.watch.meaning import means

P = ParamSpec("P")
FIRST: Final = 3
"""Alarms of one kind that are told in full when they were found together."""

OF_ONE: Final = ("show", "ack", "silence", "resolve", "test")
"""Commands that want to know of which alarm, or target."""

SHORT: Final = ("sure", "do", "now", "id")
"""What is said of an alarm to whoever has just handled it."""

STYLES: Final[dict[Tier, str]] = {"page": "bold red", "ticket": "bold yellow", "note": "bold"}


class Duration(click.ParamType[int]):
    """A duration above zero. Microseconds inside."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        text = str(value)
        if not fits(text) or not microseconds(text):
            self.fail(f"{text[:60]!r} is no duration; write {EXAMPLES}", param, ctx)
        return microseconds(text)


def home_option(body: Callable[P, None]) -> Callable[P, None]:
    """Where the state lies."""
    told = "Where the state lies, when it is not DIR/.kring."
    return folder_argument(click.option("--home", type=click.Path(path_type=Path), help=told)(body))


def handling(body: Callable[P, None]) -> Callable[P, None]:
    """Which alarm is meant, and who does it."""
    by = click.option("--by", "actor", default="command line", show_default=True, help="Who decides this.")
    return click.argument("id", metavar="ID")(home_option(by(body)))


class Alarmed(click.Group):
    """A group that lists when none of its commands is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if len(args) == 1 and args[0] in OF_ONE and Path(args[0]).is_dir():
            raise UserError(
                f"kring alarms {args[0]} wants the ID of an alarm",
                got=f"no ID; there is a folder {args[0]} here, too",
                next=f"kring alarms ./{args[0]} shows the alarms of that folder",
            )
        named = bool(args) and (args[0] in self.commands or args[0] in ("-h", "--help"))
        return super().parse_args(ctx, args if named else ["list", *args])


@click.group(cls=Alarmed, short_help="Show what rings; see it, silence it, end it.")
def command() -> None:
    """Alarms of a system. Without a command those that are not over are shown: kring alarms [DIR] [--all]."""


@command.command("list")
@home_option
@click.option("--all", "every", is_flag=True, help="Also those that are over, the newest first.")
@answers
def list_(output: Output, folder: Path, home: Path | None, *, every: bool) -> None:
    """Show the alarms that are not over, the most urgent first: what happened, since when, how sure that is, what it
    does, whose it is and what to do."""
    project = opened(output, folder, home)
    found = alarming.alarms(project, every=every)
    tell(output, found, every=every, folder=folder, now=project.clock.now())
    output.result(found)


@command.command("show")
@click.argument("id", metavar="ID")
@home_option
@answers
def show_(output: Output, id: str, folder: Path, home: Path | None) -> None:
    """Show the alarm ID, over or not, or all of a group. The beginning of an id is enough."""
    project = opened(output, folder, home)
    found, versions = alarming.meant(project, id), alarming.versions_of(project)
    for one in found:
        tell_one(output, one, versions=versions, folder=folder)
    say_commands(output, found, folder, no_way_back=versions.no_way_back)
    output.result({"alarms": found, "means": {one.id: means(one) for one in found}, **asdict(versions)})


@command.command("ack")
@handling
@click.option("--because", "reason", default="", help="What you are about to do.")
@answers
def ack_(output: Output, id: str, folder: Path, *, actor: str, home: Path | None, reason: str) -> None:
    """Say that you are at the alarm ID, or at all of a group: it is told again only when it gets more urgent."""
    done(output, opened(output, folder, home), id, "acknowledge", actor=actor, reason=reason)


@command.command("silence")
@handling
@click.option("--for", "lasts", required=True, type=Duration(), help=f"For how long: {EXAMPLES}.")
@click.option("--because", "reason", default="", help="Why; it stays on the ledger.")
@answers
def silence_(output: Output, id: str, folder: Path, *, actor: str, home: Path | None, lasts: int, reason: str) -> None:
    """Silence the alarm ID, or all of a group, for some time. What lasts longer speaks again then; what gets more
    urgent, before."""
    project = opened(output, folder, home)
    done(output, project, id, "silence", actor=actor, reason=reason, until=project.clock.now() + lasts)


@command.command("resolve")
@handling
@click.option("--because", "reason", required=True, help="Why it is over; it stays on the ledger.")
@answers
def resolve_(output: Output, id: str, folder: Path, *, actor: str, home: Path | None, reason: str) -> None:
    """Say that the alarm ID is over, or all of a group. If it is not, it rings again at the next look."""
    done(output, opened(output, folder, home), id, "resolve", actor=actor, reason=reason)


@command.command("test")
@click.argument("name", metavar="NAME")
@home_option
@answers
def test_(output: Output, name: str, folder: Path, home: Path | None) -> None:
    """Send a message to the target NAME of [[notify]]: nothing has happened, but would it arrive?"""
    message = send_test(opened(output, folder, home), name, environ=os.environ)
    output.say(f"{name} has it: {message.subject}", style="bold green")
    output.result({"target": name, "id": message.id, "sent": True})


def opened(output: Output, folder: Path, home: Path | None) -> Project:
    project = open_project(folder, say=output.progress)
    return project.in_home(home) if home else project


def done(output: Output, project: Project, id: str, how: Handling, *, actor: str, reason: str, until: int = 0) -> None:
    """Do it, and say how each of them stands."""
    found = alarming.handle(project, id, how, actor=actor, reason=reason, until=until)
    tell_alarms(output, found, versions=alarming.versions_of(project), folder=project.folder, only=SHORT)
    output.say("")
    for said in sorted({wording.what_follows(one) for one in found}):
        output.say("\n".join(lines(said, first="  ", rest="  ")))
    if how == "silence":
        output.say(f"  to end the silence:  kring alarms silence {id} {typed(project.folder)} --for 1s")
    output.result({"alarms": found})


def tell(output: Output, found: Alarms, *, every: bool, folder: Path, now: int) -> None:
    """All of them in words; of many that were found together the first ones."""
    if not found.alarms:
        output.say(f"{found.system}: no alarm {'has rung yet' if every else 'is open'}", style="bold green")
    elif not every:
        output.say(f"{wording.summary(found.system, found.alarms)}; it is {moment(now)}", style="bold")
    if found.unwatched:
        told = f"! nobody looks for new ones, or tells of them: {found.unwatched} (kring operate {typed(folder)})"
        output.say("\n".join(lines(told, rest="  ")), style="red")
    tell_alarms(output, found.alarms, versions=found, folder=folder)
    say_commands(output, found.alarms, folder, no_way_back=found.no_way_back)
    for late in found.untold:
        again = f"tried again {moment(late.due)}" if late.state == "waiting" else "given up"
        told = f"! {late.target} was not told: {late.reason} (tried {late.attempts}x, {again})"
        output.say("\n".join(lines(told, rest="  ")), style="yellow")


def tell_alarms(
    output: Output, alarms: Sequence[Alarm], *, versions: Versions, folder: Path, only: Sequence[str] = ()
) -> None:
    """What is known of each, or that `only`; of many of one kind that were found together the first ones."""
    together: defaultdict[tuple[str, str, str], list[Alarm]] = defaultdict(list)
    for one in alarms:
        together[one.group or one.id, one.kind, one.tier].append(one)
    for members in together.values():
        for one in members[:FIRST]:
            like = members[0] if one is not members[0] else None
            tell_one(output, one, versions=versions, folder=folder, like=like, only=only)
        if len(members) > FIRST:
            rest = lines(wording.others(members[FIRST:]), rest="  ")
            output.say("\n" + "\n".join(rest), style=STYLES[members[0].tier])


def tell_one(
    output: Output,
    alarm: Alarm,
    *,
    versions: Versions,
    folder: Path,
    like: Alarm | None = None,
    only: Sequence[str] = (),
) -> None:
    """Its headline, and what is known of it, or that `only`."""
    head, told = wording.block(alarm, versions=versions, like=like, folder=typed(folder), only=only)
    output.say("\n" + "\n".join(head), style="dim" if alarm.state == "resolved" else STYLES[alarm.tier])
    output.say("\n".join(told))


def say_commands(output: Output, alarms: Sequence[Alarm], folder: Path, *, no_way_back: str) -> None:
    """What can be said of those that are not over, as it can be typed here, but for a way back that is closed."""
    ringing = [one for one in alarms if one.state != "resolved"]
    if ringing:
        output.say("\n" + "\n".join(wording.commands(ringing, folder=typed(folder), no_way_back=no_way_back)))
