"""The one way in which commands speak: text for people, or exactly one JSON object for programs.

For people, text and tables go to stdout, progress and errors to stderr. With `--json` the object is
all that stdout gets, at the end, and everything else goes to stderr. A reader that goes away
(`kring status | head`) does not stop the work.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Concatenate, ParamSpec, TextIO, TypeVar
from unicodedata import category

import click
import msgspec
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kring.cli.moments import with_moments
from kring.errors import EXIT_DONE, ConfigError, KringError, StorageError

PLAIN_WIDTH = 200
P = ParamSpec("P")
F = TypeVar("F", bound=Callable[..., None])


class Output:
    """What a command is given to speak with. `code` is the exit code so far."""

    def __init__(self, *, json: bool) -> None:
        self.json = json
        self.code = EXIT_DONE
        self._value: object = {}
        self._stdout = _open(sys.stdout)
        self._stderr = _open(sys.stderr)
        self._people = _console(self._stderr if json else self._stdout)
        self._aside = _console(self._stderr)

    def say(self, text: str, *, style: str = "") -> None:
        """A line or paragraph for people. `style` is rich's, such as "bold" or "green"."""
        self._people.print(Text(visible(text), style=style), soft_wrap=True)

    def progress(self, text: str) -> None:
        """What is being done, one line each time, on stderr."""
        self._aside.print(Text(f"· {visible(text)}", style="dim"), soft_wrap=True)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> None:
        """Rows under headings; numbers stand to the right, and None is shown as a dash."""
        rows = [list(row) for row in rows]
        table = Table(title=visible(title) or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        for number, name in enumerate(columns):
            cells = [row[number] for row in rows if row[number] is not None]
            right = bool(cells) and all(isinstance(cell, (int, float)) for cell in cells)
            table.add_column(visible(name), justify="right" if right else "left", overflow="fold")
        for row in rows:
            table.add_row(*(Text(_cell(cell)) for cell in row))
        self._people.print(table)

    def result(self, value: object, *, code: int = EXIT_DONE) -> None:
        """What the command found, for programs: a record or a dict. `code` 1 means that the answer is no.
        The last result before the end counts."""
        self._value = value
        self.code = code

    def fail(self, error: KringError) -> None:
        """End with `error` instead of a result."""
        self._value = {"error": as_object(error)}
        self.code = error.exit_code
        if not self.json:
            self.tell(error)

    def tell(self, error: KringError) -> None:
        """`error` and each of its faults for people, on stderr."""
        self._line(("✗ ", "bold red"), (error.message, "bold"))
        faults = error.faults if isinstance(error, ConfigError) else ()
        for fault in faults:
            self._line((f"  {fault.where}", "cyan"))
            self._line((f"    {fault.message}", ""))
            self._explain(fault, indent="    ")
        if error.where and not faults:
            self._line((f"  {error.where}", "cyan"))
        self._explain(error, indent="  ")

    def finish(self) -> int:
        """Write the one object when programs read, and return the exit code. `StorageError` when stdout is full."""
        self._answer(encode(self._value) + b"\n" if self.json else b"")
        return self.code

    def raw(self, data: bytes) -> None:
        """Bytes for people's stdout as they are, such as a schema; nothing with `--json`."""
        if not self.json:
            self._answer(data)

    def _answer(self, data: bytes) -> None:
        try:
            self._stdout.flush()
            buffer = getattr(self._stdout, "buffer", None)
            if buffer is None:
                self._stdout.write(data.decode())
            else:
                buffer.write(data)
            self._stdout.flush()
        except BrokenPipeError:
            discard(self._stdout)
        except OSError as error:
            discard(self._stdout)
            reason = (error.strerror or "no reason given").lower()
            raise StorageError(
                f"the answer can't be written: {reason}", next="make room, or write elsewhere"
            ) from error

    def _explain(self, error: KringError, *, indent: str) -> None:
        for label, text in (("got", error.got), ("allowed", error.allowed), ("next", error.next)):
            if text:
                self._line((f"{indent}{label:<8} ", "dim"), (text, "green" if label == "next" else ""))

    def _line(self, *parts: tuple[str, str]) -> None:
        """One line of (text, style) on stderr."""
        self._aside.print(Text.assemble(*((visible(text), style) for text, style in parts)), soft_wrap=True)


class _Console(Console):
    """A console that falls silent when its reader goes away."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        discard(self.file)


def _console(stream: TextIO) -> _Console:
    plain = not stream.isatty()
    return _Console(file=stream, highlight=False, markup=False, emoji=False, width=PLAIN_WIDTH if plain else None)


def _open(stream: TextIO | None) -> TextIO:
    """`stream`, made to write what its encoding can't as escapes; nowhere when it was closed."""
    if stream is None:
        return Path(os.devnull).open("w", encoding="utf-8")
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
    return stream


def discard(stream: object) -> None:
    """Let what is still to be written to `stream` go nowhere, so that closing it does not fail."""
    try:
        number = stream.fileno() if hasattr(stream, "fileno") else -1
        if number >= 0:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, number)
            os.close(nowhere)
    except OSError:
        return


def visible(text: str) -> str:
    """`text` without the control characters by which data could speak to a terminal; every blank is a plain one."""
    return "".join(
        sign if sign.isprintable() or sign in "\n\t" else " " if category(sign) == "Zs" else "�" for sign in text
    )


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.4g}"
    return f"{value:,}" if isinstance(value, int) else visible(str(value))


def as_object(error: KringError) -> dict[str, object]:
    """An error as programs read it; a `ConfigError` carries its faults."""
    told: dict[str, object] = {
        "code": error.code,
        "message": error.message,
        "got": error.got,
        "allowed": error.allowed,
        "next": error.next,
        "where": {"file": error.file, "line": error.line, "key": error.key},
    }
    if isinstance(error, ConfigError):
        told["faults"] = [as_object(fault) for fault in error.faults]
    return told


def encode(value: object) -> bytes:
    """One line of JSON; moments in RFC 3339, paths as texts, numbers that JSON does not know as null."""
    plain = msgspec.to_builtins(value, enc_hook=lambda other: str(other) if isinstance(other, Path) else _refuse(other))
    return msgspec.json.encode(with_moments(plain))


def _refuse(value: object) -> str:
    raise TypeError(f"an answer holds {type(value).__name__}")


def answers(body: Callable[Concatenate[Output, P], None]) -> Callable[P, None]:
    """Makes a function the body of a command: adds `--json`, and hands it the `Output` first."""
    return json_option(click.pass_obj(body))


def json_option(body: F) -> F:
    """The switch that every command has. It is looked for before anything is parsed, so that wrong use is
    told in JSON too."""
    told = "Answer with one JSON object on stdout; everything else goes to stderr."
    return click.option("--json", is_flag=True, expose_value=False, help=told)(body)


def folder_argument(body: F) -> F:
    """The folder of the system, `folder: Path`; the current one when left out."""
    return click.argument("folder", metavar="[DIR]", default=".", type=click.Path(path_type=Path))(body)
