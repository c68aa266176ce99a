"""The whole circle once, on the flights that left New York in 2013."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Final

from kring.errors import StorageError, Unavailable, UserError
from kring.flow.project import Project, open_project
from kring.flow.replaying.replay import replay
from kring.flow.replaying.report import write_report
from kring.flow.tracing import trace
from kring.host.clock import SimulatedClock, stopwatch
from kring.host.files import LocalFiles, storage_error
from kring.host.git import commit_of
from kring.host.process import run_bounded
from kring.host.random import SeededRandom
from kring.record.lineage import Lineage
from kring.record.replay import Replay

NAME: Final = "flights"
MARKER: Final = ".kring-demo"
START: Final = datetime(2013, 3, 31, tzinfo=UTC)
END: Final = datetime(2014, 1, 1, tzinfo=UTC)
SHORT_END: Final = datetime(2013, 5, 1, tzinfo=UTC)
FEED_SECONDS: Final = 300.0
FEED_MB: Final = 4096


@dataclass(frozen=True)
class Demo:
    """Where the demo lies, what happened in it, and its report."""

    folder: Path
    project: Project
    replay: Replay
    report: Path


def demo(folder: Path, *, short: bool, seed: int, say: Callable[[str], None]) -> Demo:
    """Put the example into `folder`, make its feed, and let it live from April on.

    A folder that an earlier demo made is made anew; any other that is not empty is a `UserError`.
    """
    began = stopwatch()
    set_up(folder, say=say)
    project = open_project(folder, say=say)
    start, end = (int(day.timestamp()) * 1_000_000 for day in (START, SHORT_END if short else END))
    project = replace(project, commit=commit_of(example()))
    project = project.at(home=folder / ".kring", clock=SimulatedClock(start), random=SeededRandom(seed), actor="demo")
    result = replay(project, start=start, end=end, seed=seed)
    report = write_report(project, result)
    say(f"done    in {stopwatch() - began:.0f} s")
    return Demo(folder=folder, project=project, replay=result, report=report)


def traced(made: Demo) -> Lineage:
    """One decision of the demo, followed back to its source."""
    return trace(made.project, made.replay.trace_id)


def set_up(folder: Path, *, say: Callable[[str], None]) -> None:
    """Copy the example and make the feed from the installed package."""
    if folder.exists() and any(folder.iterdir()) and not (folder / MARKER).exists():
        raise UserError(
            "the demo needs a folder of its own",
            got=str(folder),
            allowed="an empty or new folder, or one that an earlier demo made",
            next="name another with --out",
        )
    source, files = example(), LocalFiles()
    try:
        files.write(folder / MARKER, b"made by kring demo; the next demo makes it anew\n")
        clear(folder)
        for path in sorted(source.iterdir()):
            if path.is_file():
                files.write(folder / path.name, files.read(path))
    except OSError as error:
        raise storage_error("make", folder, error) from error
    say("feed    336,776 flights that left New York in 2013")
    feed = folder / "feed" / "2013.parquet"
    done = run_bounded(
        [sys.executable, str(folder / "feed.py"), str(feed)],
        timeout_s=FEED_SECONDS,
        memory_mb=FEED_MB,
        output_limit=1 << 16,
        cwd=folder,
        env=os.environ,
    )
    if done.code != 0:
        said = done.output.decode(errors="replace").strip()
        raise Unavailable("the feed of the demo could not be made", got=said, next="pip install 'kring[demo]'")


def clear(folder: Path) -> None:
    """Remove all but the marker, so that a demo that was killed here is still known as one."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != MARKER:
            path.unlink()


def example() -> Path:
    """The example's folder: inside an installed package, or in the checkout it is developed in."""
    package = Path(str(resources.files("kring")))
    for folder in (package / "examples" / NAME, package.parents[1] / "examples" / NAME):
        if (folder / "kring.toml").exists():
            return folder
    raise StorageError("the example is missing from this installation", got=str(package), next="install kring again")
