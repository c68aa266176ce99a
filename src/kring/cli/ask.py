"""`kring ask`: put a question to the live version."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from kring.cli.output import Output, answers, folder_argument
from kring.flow.asking import ask
from kring.flow.project import open_project
from kring.record.reply import Reply

SHOWN: Final = 3


@click.command(short_help="Put a question to the live version.")
@click.argument("question", metavar="QUESTION")
@folder_argument
@answers
def command(output: Output, question: str, folder: Path) -> None:
    """Answer QUESTION from the documents of the system in DIR, with the pages that say it, or say that none does.
    The answer is on record before it is shown; a text that begins with - comes after --."""
    reply = ask(open_project(folder, say=output.progress), question)
    show_reply(output, reply)
    output.say(f"next: kring trace {reply.decision} {folder}")
    output.result(reply)


def show_reply(output: Output, reply: Reply) -> None:
    """The answer, where it stands, how far it is supported and who gave it."""
    output.say(reply.answer, style="bold" if reply.found else "yellow")
    cited = ", ".join(reply.citations[:SHOWN]) or "no page"
    output.say(f"  {'from' if reply.found else 'nearest'}  {cited}")
    output.say(f"  support {reply.support:.2f} · {reply.decision} · answered by {reply.answered_by}", style="dim")
    if reply.fallback:
        output.say(f"  stood in for another: {reply.fallback}", style="yellow")
    if reply.guards:
        output.say(f"  the question breaks the contract: {', '.join(reply.guards)}", style="yellow")
