"""`kring flag list|show|off|on`: the declared flags of a system, and their kill switches."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import click

from kring.charts.words import moment
from kring.cli.output import Output, answers, folder_argument
from kring.decide.flags import Evaluated
from kring.errors import UserError
from kring.flow.flags import FlagSeen, Switched, evaluate, flag_named, flags_of, switch_flag
from kring.flow.project import Project, open_project
from kring.record.running import FlagRule

NAME = click.argument("name", metavar="NAME")
WHY = click.option("--reason", "why", default="", help="Why; it stays on the ledger.")
BY = click.option("--by", "actor", default="command line", show_default=True, help="Who decides this.")


@click.group(short_help="Show flags, and switch them off and on.")
def command() -> None:
    """Flags: values that change without a release, asked for over OFREP. A flag that is off has its `off` variant for
    everybody, within a second, on every worker, whether or not the ledger can be reached."""


@command.command("list")
@folder_argument
@answers
def list_(output: Output, folder: Path) -> None:
    """List the flags of the system in DIR."""
    flags = flags_of(open_project(folder, say=output.progress))
    if flags:
        output.table(
            ("flag", "variants", "default", "rules", "trial", "switch"),
            [
                (one.flag.name, ", ".join(one.flag.variants), one.flag.default, len(one.flag.rules), one.trial or None,
                 switch_of(one))
                for one in flags
            ],
        )  # fmt: skip
    else:
        output.say("no flag is declared; next: write [[flag]] in kring.toml")
    output.result({"flags": flags})


@command.command("show")
@NAME
@folder_argument
@click.option("--context", "text", help="""For whom: '{"targetingKey": "customer-7", "plan": "pro"}'.""")
@answers
def show_(output: Output, name: str, folder: Path, *, text: str | None) -> None:
    """Show the flag NAME: its variants, its rules in their order, its switch; with --context, what it says to one."""
    project = open_project(folder, say=output.progress)
    flag_named(project, name)
    (seen,) = [one for one in flags_of(project) if one.flag.name == name]
    answer = evaluate(project, name, context_in(text)) if text is not None else None
    tell(output, seen, answer)
    output.result({"flag": seen, "answer": answer} if answer is not None else {"flag": seen})


@command.command("off")
@NAME
@folder_argument
@WHY
@BY
@answers
def off_(output: Output, name: str, folder: Path, *, why: str, actor: str) -> None:
    """Pull the kill switch of the flag NAME: everybody has its `off` variant."""
    said(output, switch_flag(opened(output, folder, actor), name, off=True, why=why))


@command.command("on")
@NAME
@folder_argument
@WHY
@BY
@answers
def on_(output: Output, name: str, folder: Path, *, why: str, actor: str) -> None:
    """Let the flag NAME follow its rules again."""
    said(output, switch_flag(opened(output, folder, actor), name, off=False, why=why))


def opened(output: Output, folder: Path, actor: str) -> Project:
    return replace(open_project(folder, say=output.progress), actor=actor)


def said(output: Output, switched: Switched) -> None:
    switch = switched.switch
    output.say(
        f"{switch.flag} is off: every worker gives its off variant within a second" if switch.off
        else f"{switch.flag} follows its rules again",
        style="bold yellow" if switch.off else "bold green",
    )  # fmt: skip
    if not switched.recorded:
        output.say(f"! the ledger does not know yet ({switched.trouble}); it is told when it can be", style="yellow")
    output.result(switched)


def context_in(text: str) -> dict[str, object]:
    """The context that was typed; `UserError` for what is none."""
    try:
        context = json.loads(text)
    except (ValueError, RecursionError):
        context = None
    key = context.get("targetingKey") if isinstance(context, dict) else None
    if not isinstance(context, dict) or not isinstance(key, str) or not key:
        raise UserError(
            "this is no context",
            got=text[:80],
            allowed="a JSON object with the text targetingKey",
            next="""--context '{"targetingKey": "customer-7"}'""",
            key="--context",
        )
    return context


def tell(output: Output, seen: FlagSeen, answer: Evaluated | None) -> None:
    flag = seen.flag
    output.say(f"{flag.name}: {flag.description or 'no description'}", style="bold")
    output.table(("variant", "value"), [(name, json.dumps(value)) for name, value in flag.variants.items()])
    if seen.is_off:
        output.say(f"off: everybody has {flag.off}", style="bold yellow")
    for number, rule in enumerate(flag.rules, start=1):
        output.say(f"  {number}. {ruling(rule)}")
    if seen.trial:
        output.say(f"  then the trial {seen.trial} divides whoever is left")
    else:
        output.say(f"  otherwise {flag.default}")
    if seen.switch is not None:
        switch = seen.switch
        why = f": {switch.why}" if switch.why else ""
        output.say(f"switched {'off' if switch.off else 'on'} {moment(switch.at)} by {switch.by}{why}")
    if answer is not None:
        output.say(f"→ {answer.variant} = {json.dumps(answer.value)} ({answer.reason})", style="bold green")


def ruling(rule: FlagRule) -> str:
    whom = f"when {rule.when}" if rule.when else "everybody"
    return f"{whom}: {rule.variant}{'' if rule.share >= 1 else f' for {rule.share:.4g} of them'}"


def switch_of(seen: FlagSeen) -> str:
    """Whether it is off, and since when."""
    return f"OFF since {moment(seen.switch.at)}" if seen.switch is not None and seen.switch.off else "on"
