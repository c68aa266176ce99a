"""The application: which commands there are, and what becomes of their errors.

A command is imported when it is called, so that `kring --help` is quick.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Final, NamedTuple

import click

from kring import __version__
from kring.cli.output import Output, json_option
from kring.errors import EXIT_COULD_NOT, EXIT_INTERRUPTED, KringError, Unavailable, UserError


class Entry(NamedTuple):
    """Where a command lives, and what it does in a few words."""

    module: str
    help: str


COMMANDS: Final[dict[str, Entry]] = {
    "demo": Entry("kring.cli.demo", "Take a real system once round the circle."),
    "new": Entry("kring.cli.new", "Describe a new system from a file of data, or by questions."),
    "clean": Entry("kring.cli.clean", "Propose repairs of the feed; a person accepts them."),
    "check": Entry("kring.cli.check", "Hold kring.toml, its contract and the feed against each other."),
    "snapshot": Entry("kring.cli.snapshot", "List and show accepted states of the data."),
    "train": Entry("kring.cli.train", "Fit every candidate, export it, prove it and measure it."),
    "compare": Entry("kring.cli.compare", "Show the candidates' evidence side by side."),
    "release": Entry("kring.cli.release", "Judge a run by the gate; sign and start what passes."),
    "go": Entry("kring.cli.go", "Check, train, compare and release in one go."),
    "score": Entry("kring.cli.score", "Decide every row of a file; keep the record of it."),
    "ask": Entry("kring.cli.ask", "Put a question to the live version."),
    "serve": Entry("kring.cli.serve", "Answer requests of programs, in the protocols they speak."),
    "replay": Entry("kring.cli.replay", "Run the system over history, as it would have been."),
    "status": Entry("kring.cli.status", "Show what is live, its rollout, the last snapshot and the alarms."),
    "alarms": Entry("kring.cli.alarms", "Show what rings; see it, silence it, end it."),
    "trace": Entry("kring.cli.trace", "Follow an id back to evidence, data, commit and owner."),
    "explain": Entry("kring.cli.explain", "Say why a decision came out as it did."),
    "outcome": Entry("kring.cli.outcome", "Say what turned out to be true of decisions."),
    "review": Entry("kring.cli.review", "Look at decisions, and say what they should have been."),
    "operate": Entry("kring.cli.operate", "Judge rollouts and watch, without serving."),
    "rollout": Entry("kring.cli.rollout", "Show how a new version comes to answer, and how sure that is."),
    "hold": Entry("kring.cli.hold", "Keep a rollout where it is."),
    "resume": Entry("kring.cli.resume", "Let a rollout that was held go on."),
    "abort": Entry("kring.cli.abort", "Give up a version that is on its way."),
    "rollback": Entry("kring.cli.rollback", "Let the previous version answer again."),
    "flag": Entry("kring.cli.flag", "Show flags, and switch them off and on."),
    "trial": Entry("kring.cli.trial", "Compare arms on what users do, at any time."),
    "forget": Entry("kring.cli.forget", "Forget a person: rows, keys, and what is sealed with them."),
    "key": Entry("kring.cli.key", "Make, list and end the keys of programs that ask."),
    "retrain": Entry("kring.cli.retrain", "See, start, approve, refuse and cancel trainings."),
    "brief": Entry("kring.cli.brief", "Tell where live is worse, what drifts, who disagrees."),
    "drill": Entry("kring.cli.drill", "Rehearse a failure on a copy of the system."),
    "bench": Entry("kring.cli.bench", "Put your own system under load."),
    "schema": Entry("kring.cli.schema", "Print the JSON Schema of kring.toml for editors."),
}


TRACEBACK: Final = "KRING_DEBUG=1 shows the traceback"


class Interrupted(KringError):
    """Ctrl-C. Made and told here, and never raised."""

    code = "interrupted"
    exit_code = EXIT_INTERRUPTED


class Bug(KringError):
    """An exception that no part of Kring meant to raise. Made and told here, and never raised."""

    code = "bug"
    exit_code = EXIT_COULD_NOT


class LazyGroup(click.Group):
    """The commands of the table whose file is there."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return [name for name, entry in COMMANDS.items() if importlib.util.find_spec(entry.module)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command = importlib.import_module(COMMANDS[cmd_name].module).command
        return command if isinstance(command, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        names = self.list_commands(ctx)
        if args[0] not in names and not args[0].startswith("-"):
            close = difflib.get_close_matches(args[0].lower(), names, n=1)
            raise UserError(
                "there is no command of this name",
                got=args[0],
                allowed=", ".join(names),
                next=f"did you mean `{close[0]}`?" if close else "kring --help says what each of them does",
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name].help) for name in self.list_commands(ctx)])


def print_version(context: click.Context, parameter: click.Parameter, asked: bool) -> None:
    """The body of `kring --version`."""
    del parameter
    if asked and isinstance(context.obj, Output):
        context.obj.say(f"kring {__version__}")
        context.obj.result({"version": __version__})
        context.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=print_version,
    help="Show the version and exit.",
)
@json_option
def app() -> None:
    """Data in, decisions out, everything traceable.

    Every command takes the folder of a system, the current one when left out, and ends with 0 when it is
    done, 1 when the answer is no, 2 for wrong use or input, 3 when it could not, 130 when interrupted.
    """


def run(arguments: Sequence[str]) -> int:
    """Run one command line; returns the exit code, and raises nothing."""
    output = Output(json=wants_json(arguments))
    away = contextlib.redirect_stdout(sys.stderr) if output.json else contextlib.nullcontext()
    try:
        with away:
            error = _attempt(output, arguments)
        if error is not None:
            output.fail(error)
        return output.finish()
    except KringError as late:  # the answer itself could not be written
        with contextlib.suppress(OSError):
            output.tell(late)
        return late.exit_code
    except OSError:  # nor can anything be told
        return output.code or EXIT_COULD_NOT


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether `--json` stands among the arguments, before a `--` that ends the options."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in options


def _attempt(output: Output, arguments: Sequence[str]) -> KringError | None:
    """Run the command; what went wrong, if anything."""
    try:
        code = app.main(list(arguments), prog_name="kring", standalone_mode=False, obj=output)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  the edge: nobody above can tell it
        if os.environ.get("KRING_DEBUG") == "1":
            traceback.print_exc(file=sys.stderr)
        return _told(error)
    if isinstance(code, int) and code:
        output.code = code
    return None


def _told(error: BaseException) -> KringError:
    """Any exception as an error with a remedy."""
    if isinstance(error, KringError):
        return error
    if isinstance(error, (click.Abort, KeyboardInterrupt, EOFError)):
        return Interrupted("interrupted", next="what was finished is kept; run the command again")
    return _usage(error) if isinstance(error, click.ClickException) else _unexpected(error)


def _usage(error: click.ClickException) -> UserError:
    message = error.format_message().rstrip(".")
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(message, err=True)
    if isinstance(error, click.exceptions.NoArgsIsHelpError) or message == "Missing command":
        return UserError("no command was given", next="kring --help says what each of them does")
    context = error.ctx if isinstance(error, click.UsageError) else None
    usage = " ".join(context.get_usage().removeprefix("Usage: ").split()) if context else ""
    command = context.command_path if context else "kring"
    return UserError(message[:1].lower() + message[1:], allowed=usage, next=f"{command} --help")


def _unexpected(error: BaseException) -> KringError:
    if isinstance(error, OSError):
        reason = (error.strerror or str(error)).lower()
        return Unavailable(f"the machine said no: {reason}", file=str(error.filename or ""), next=TRACEBACK)
    if isinstance(error, MemoryError):
        return Unavailable("there is not enough memory", next="close other programs, or take fewer rows")
    told = f"a fault of Kring's own: {type(error).__name__}: {error}"
    return Bug(told[:300].removesuffix(": "), next=TRACEBACK)
