"""A command for the tests of the application: it ends in the way that it is told to."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import click

from kring.cli.app import COMMANDS, Entry, run
from kring.cli.output import Output, answers, folder_argument
from kring.errors import ConfigError, NotFound, Refused, StorageError
from kring.frame.read import read
from kring.record.verdict import GateLine


@click.command()
@click.option("--end", default="well")
@folder_argument
@answers
def command(output: Output, folder: Path, end: str) -> None:
    """Probe."""
    output.progress("probing")
    print("a stray print")
    ENDS[end](output, folder)


def well(output: Output, folder: Path) -> None:
    output.say("all [bold]is[/bold] well \x1b[31m:smile:")
    output.table(
        ["name", "rows", "ok"], [["a", 12345, True], ["b", None, False], ["c" * 300, 0.123456, None]], title="t"
    )
    output.result({"line": GateLine(metric="m", op=">", limit=1.0), "folder": folder, "odd": float("nan")})


def no(output: Output, folder: Path) -> None:
    output.result({"ok": False}, code=1)


def no_exit(output: Output, folder: Path) -> None:
    click.get_current_context().exit(1)


def raises(error: BaseException):
    def end(output: Output, folder: Path) -> None:
        output.result({"never": "seen"})
        raise error

    return end


def system(output: Output, folder: Path) -> None:
    output.result({"name": read(folder).name})


def much(output: Output, folder: Path) -> None:
    for number in range(20_000):
        output.say(f"line {number}")
    print("the work went on", file=sys.stderr)
    output.result({}, code=1)


def ctrl_c(output: Output, folder: Path) -> None:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(20)


ENDS = {
    "well": well,
    "no": no,
    "exit": no_exit,
    "refused": raises(Refused("the gate says no", got="0.51", next="train again")),
    "missing": raises(NotFound("no such id", key="id")),
    "storage": raises(StorageError("disk full", file="/x", line=3)),
    "faults": raises(ConfigError("2 faults", faults=(ConfigError("one", line=1), ConfigError("two", line=2)))),
    "bug": raises(ZeroDivisionError("division by zero")),
    "os": raises(PermissionError(13, "Permission denied", "/y")),
    "memory": raises(MemoryError()),
    "interrupt": raises(KeyboardInterrupt()),
    "system": system,
    "much": much,
    "ctrl_c": ctrl_c,
}
COMMANDS["probe"] = Entry("probe_command", "Probe.")

if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
