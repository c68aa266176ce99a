"""`kring bench serve`: a load test of one's own system."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, Literal

import click

from kring.cli.output import Output, answers, folder_argument
from kring.errors import EXIT_NO
from kring.flow.benching.asking import MOST_CONNECTIONS, MOST_SECONDS
from kring.flow.benching.bench import bench
from kring.flow.benching.page import write_page
from kring.flow.project import open_project
from kring.record.load import LoadTest

KEY: Final = "KRING_KEY"
COLUMNS: Final = ("connections", "per second", "median ms", "90 % ms", "99 % ms", "CPU µs", "refused", "no answer")


class Numbers(click.ParamType[tuple[int, ...]]):
    """Whole numbers with commas between them."""

    name = "numbers"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        parts = str(value).split(",")
        if not all(part.strip().isascii() and part.strip().isdigit() and len(part.strip()) < 10 for part in parts):
            self.fail(f"{str(value)[:60]!r} are no numbers; write 1,16,64", param, ctx)
        return tuple(int(part) for part in parts)


@click.group(short_help="Put your own system under load.")
def command() -> None:
    """Measure what a system holds."""


@command.command("serve")
@folder_argument
@click.option("--url", default="", help="A server on this machine; its key is read from the variable KRING_KEY.")
@click.option("--connections", default="1,16,64", show_default=True, type=Numbers(),
              help=f"How many ask at once, one level after the other; up to {MOST_CONNECTIONS}.")  # fmt: skip
@click.option("--seconds", default=3, show_default=True, type=click.IntRange(1, MOST_SECONDS),
              help="How long each level lasts.")  # fmt: skip
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64),
              help="Data workers of the server that is started.")  # fmt: skip
@click.option("--client", default="auto", show_default=True, type=click.Choice(["auto", "wrk", "built-in"]),
              help="Who asks: wrk where it is installed, or Kring's own client.")  # fmt: skip
@click.option(
    "--html", type=click.Path(dir_okay=False, path_type=Path), help="Where to write the page with the charts."
)
@answers
def serve_(
    output: Output,
    folder: Path,
    *,
    url: str,
    connections: tuple[int, ...],
    seconds: int,
    workers: int,
    client: Literal["auto", "wrk", "built-in"],
    html: Path | None,
) -> None:
    """Ask the system in DIR about rows of its newest snapshot, as fast as it answers, and draw what came of it.

    The server is started for it, over a copy of the system, and nothing of the test is kept. With --url a server
    that runs on this machine is asked instead: it keeps a record of every answer. Ends with 1 when a request was
    refused or got no answer."""
    project = open_project(folder, say=output.progress)
    key = os.environ.get(KEY, "").strip()
    test = bench(project, connections=connections, seconds=seconds, client=client, url=url, key=key, workers=workers)
    output.table(COLUMNS, rows(test), title=f"{test.system}, {seconds} s each, by {test.client}")
    if test.first_answer_s is not None:
        output.say(f"first answer {test.first_answer_s:.2f} s after the start")
    page = write_page(project, test, path=html)
    output.say(f"page: {page}")
    bad = any(level.refused or level.failed for level in test.levels)
    output.result({"test": test, "page": page}, code=EXIT_NO if bad else 0)


def rows(test: LoadTest) -> list[tuple[object, ...]]:
    return [
        (
            level.connections,
            round(level.per_s),
            level.p50_ms,
            level.p90_ms,
            level.p99_ms,
            level.cpu_us,
            level.refused,
            level.failed,
        )
        for level in test.levels
    ]
