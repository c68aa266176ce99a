"""`kring new`: describe a system from a file of data, by questions to people, or both."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from kring.cli.output import Output, answers, visible
from kring.errors import UserError
from kring.flow.creating import Created, create
from kring.flow.interviewing import interview
from kring.frame.questions import SKIP, Answers, Question
from kring.host.files import LocalFiles
from kring.record.contract import Scalar
from kring.record.version import Output as Answer

MOST_SHOWN = 40


@click.command(short_help="Describe a new system from a file of data, or by questions.")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--from", "data", type=click.Path(path_type=Path), help="The data: CSV, Parquet or JSON lines.")
@click.option("--target", default="", help="The column that is to be foretold.")
@click.option("--interview", "asked", is_flag=True, help="Ask for what only people know.")
@answers
def command(output: Output, folder: Path, data: Path | None, target: str, asked: bool) -> None:
    """Look at the data and write kring.toml and a contract that run as they are. What only people know is asked
    for, or left as a named open question."""
    if data is None and (target or not asked):
        raise UserError(
            "a system begins with data or with answers",
            got="--target without --from" if target else "neither --from nor --interview",
            allowed="--from DATA --target COLUMN, --interview, or both",
            next=f"kring new {folder} --from data.csv --target COLUMN",
        )
    created = create(
        folder,
        data=data,
        target=target,
        files=LocalFiles(),
        interview=_interviewed if asked else None,
        say=output.progress,
    )
    _show(output, created)
    output.result(created)


def _interviewed(known: Answers, answer: Answer | None, labels: tuple[Scalar, ...]) -> Answers:
    click.echo(f"Questions that only people can answer; {SKIP}.", err=True)
    return interview(_ask, known=known, output=answer, labels=labels, patient=_terminal())


def _terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _ask(question: Question) -> str:
    """Put the question on stderr and read a line; `EOFError` at the end of the input."""
    told = f" ({question.allowed})" if question.allowed else ""
    click.echo(f"{visible(question.words)}{visible(told)}\n> ", err=True, nl=False)
    try:
        line = sys.stdin.readline() if sys.stdin is not None else ""
    except UnicodeDecodeError as error:
        raise UserError("the answer is not in UTF-8", got=str(error)[:80], next="answer in UTF-8") from error
    if not _terminal():
        click.echo(err=True)
    if not line:
        raise EOFError
    return line


def _show(output: Output, created: Created) -> None:
    if created.task:
        output.say(f"{created.why} ({created.task})")
        output.say(f"held out: {created.split}")
        output.say(f"{len(created.inputs):,} columns are inputs: {_listed(created.inputs)}")
    if created.left_out:
        rows = list(created.left_out.items())
        output.table(("left out", "why"), rows[:MOST_SHOWN])
        if len(rows) > MOST_SHOWN:
            output.say(f"and {len(rows) - MOST_SHOWN:,} more")
    if created.protected:
        output.say(f"people are compared by: {_listed(created.protected)}")
    if created.open:
        output.say("open questions:", style="bold")
        for name, words in created.open.items():
            output.say(f"  {name}: {words}")
    for file in created.files:
        output.say(f"wrote {file}")
    output.say(f"next: kring go {created.folder}" if created.task else f"next: {_data_wanted(created)}", style="bold")


def _data_wanted(created: Created) -> str:
    return f"kring new {created.folder} --from DATA --target COLUMN"


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:MOST_SHOWN]) + (" …" if len(names) > MOST_SHOWN else "")
