"""The process that operates systems: beside a server, or alone.

python -m kring.flow.duty.process PLAN
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from kring.errors import KringError
from kring.flow.duty.standby import Standby, Unread
from kring.flow.project import Project
from kring.flow.serving import meeting as meetings
from kring.flow.serving.meeting import Meeting
from kring.host.files import LocalFiles
from kring.host.lifeline import hold
from kring.host.page import MappedPage, open_page

EVERY_S: Final = 1.0


def operate(
    projects: Sequence[Project],
    stopped: threading.Event,
    *,
    say: Callable[[str], None],
    read_only: Callable[[], bool] = lambda: False,
    every_s: float = EVERY_S,
    folders: Sequence[Path] = (),
) -> None:
    """A turn for each system again and again, until `stopped`: of `projects`, and of what is in `folders` as soon as it
    can be read. What is in the way of one keeps no other waiting."""
    holder = f"operator {os.getpid()} on {os.uname().nodename}"
    begin = partial(Standby, holder=holder, environ=os.environ, say=say)
    duties: list[Standby | Unread] = [begin(one) for one in projects]
    duties += [Unread(one, begin=begin, say=say) for one in folders]
    try:
        while True:
            for duty in duties:
                duty.turn(read_only=read_only())
            if stopped.wait(every_s):
                return
    finally:
        for duty in duties:
            duty.close()


def until_told() -> threading.Event:
    """Set by SIGTERM or SIGINT."""
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    return stopped


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str]) -> None:
    """Operate the systems of a serving machine until it stops."""
    lifeline = hold()
    stopped = until_told()
    plan = meetings.read_plan(LocalFiles(), Path(arguments[0]))
    page: MappedPage | None = None
    with suppress(KringError):
        page = open_page(Meeting(Path(plan.state)).page, writer=False)
    lifeline.ready()
    folders = [Path(folder) for folder in plan.folders]
    operate((), stopped, say=say, read_only=lambda: bool(page is not None and page.read_only), folders=folders)


if __name__ == "__main__":
    main(sys.argv[1:])
