"""`kring key create|list|revoke`: the keys of programs and people that ask over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, ParamSpec, get_args

import click

from kring.charts.words import moment
from kring.cli.output import Output, answers
from kring.errors import EXIT_NO
from kring.flow.keys import create_key, list_keys, revoke_key
from kring.flow.project import Project, open_project
from kring.frame.durations import EXAMPLES, fits, microseconds
from kring.record.access import ApiKey, Role

P = ParamSpec("P")
NEVER: Final = "never"


class Span(click.ParamType[int]):
    """A duration above zero, or `never`. Microseconds inside, 0 for never."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        text = str(value)
        if text == NEVER:
            return 0
        if not fits(text) or not microseconds(text):
            self.fail(f"{text[:60]!r} is no duration; write {EXAMPLES}, or {NEVER}", param, ctx)
        return microseconds(text)


def folders_argument(body: Callable[P, None]) -> Callable[P, None]:
    """The folders of one or more systems; the current one when left out."""
    return click.argument("folders", metavar="[DIR]...", nargs=-1, type=click.Path(path_type=Path))(body)


@click.group(short_help="Make, list and end the keys of programs that ask.")
def command() -> None:
    """Keys of programs and people that ask over HTTP. A key has one role in one or more systems; only a digest of it
    is kept, on the ledger of each."""


@command.command("create")
@folders_argument
@click.option("--role", required=True, type=click.Choice(get_args(Role)), help="What its holder may do.")
@click.option("--name", "label", required=True, help="Whose key it is, such as the program that uses it.")
@click.option("--expires", default="365d", show_default=True, type=Span(), help=f"When it ends, or {NEVER}.")
@click.option("--by", "actor", default="command line", show_default=True, help="Who makes it.")
@answers
def create_(output: Output, folders: tuple[Path, ...], *, role: Role, label: str, expires: int, actor: str) -> None:
    """Make a key for the systems in DIR..., and show it once. Whoever has it has its role: hand it over safely."""
    made = create_key(opened(output, folders), role=role, label=label, owner=actor, lasts_us=expires)
    until = f"until {moment(made.key.expires)}" if made.key.expires else "for ever"
    output.raw(f"{made.secret}\n".encode())
    output.say(f"{role} in {', '.join(made.key.systems)}, {until}; it is not shown again", style="bold")
    output.result({"key": shown(made.key), "secret": made.secret})


@command.command("list")
@folders_argument
@answers
def list_(output: Output, folders: tuple[Path, ...]) -> None:
    """List the keys of the systems in DIR..., oldest first. No secret is kept, so none is shown."""
    projects = opened(output, folders)
    keys, now = list_keys(projects), projects[0].clock.now()
    if keys:
        rows = [
            (key.id, key.label, key.role, ", ".join(key.systems), moment(key.created), ending(key, now)) for key in keys
        ]
        output.table(("key", "name", "role", "systems", "made", "ends"), rows)
    else:
        output.say('there is no key yet; next: kring key create --role caller --name "till 4"')
    output.result({"keys": [shown(key) for key in keys]})


@command.command("revoke")
@click.argument("id", metavar="ID")
@folders_argument
@click.option("--by", "actor", default="command line", show_default=True, help="Who ends it.")
@answers
def revoke_(output: Output, id: str, folders: tuple[Path, ...], *, actor: str) -> None:
    """End the key ID in the systems in DIR...; the whole key will do as well. Whoever shows it is refused within a
    second. The exit code is 1 when it still holds in a system that is not named."""
    projects = opened(output, folders)
    key = revoke_key(projects, id, owner=actor)
    here = {project.system.name for project in projects}
    left = [name for name in key.systems if name not in here]
    output.say(f"{key.id} ({key.label}) is ended", style="bold")
    if left:
        output.say(f"! its ledger in {', '.join(left)} does not know yet: revoke it there too", style="bold yellow")
    output.result({"key": shown(key), "left": left}, code=EXIT_NO if left else 0)


def opened(output: Output, folders: tuple[Path, ...]) -> list[Project]:
    return [open_project(folder, say=output.progress) for folder in folders or (Path(),)]


def shown(key: ApiKey) -> dict[str, object]:
    """What anybody may see of a key."""
    return {name: getattr(key, name) for name in key.__struct_fields__ if name != "digest"}


def ending(key: ApiKey, now: int) -> str:
    """When it ends, or that it has."""
    if key.revoked:
        return f"revoked {moment(key.revoked)}"
    if not key.expires:
        return NEVER
    return f"{'expired' if now >= key.expires else 'on'} {moment(key.expires)}"
