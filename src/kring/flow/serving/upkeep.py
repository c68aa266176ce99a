"""The process that keeps the logs in order: sealed segments onto the ledger and into tables, what is too old away.

python -m kring.flow.serving.upkeep PLAN
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from kring.errors import Busy, Conflict, KringError
from kring.flow import adapters, history
from kring.flow.compacting import compact
from kring.flow.flags import record_switches
from kring.flow.operating.asking import record_pulled
from kring.flow.project import Project, open_project
from kring.flow.retaining import retain
from kring.flow.serving import meeting as meetings
from kring.flow.serving.meeting import Meeting
from kring.flow.trials import judge_trials
from kring.host.files import LocalFiles
from kring.host.lifeline import hold
from kring.record.event import Segment

EVERY_S: Final = 10.0
ACTOR: Final = "server"
LEFT_US: Final = 86_400_000_000
"""How long a segment that nobody has open may stand unsealed after it was written to."""


def keep_in_order(project: Project, meeting: Meeting, *, judged: dict[str, int]) -> None:
    """Everything that is due in one system. It may end anywhere, and is done again later. `judged`: see
    `judge_trials`."""
    now = project.clock.now()
    adapters.adopt_claims(
        meeting.claims, folder=project.home.log, files=project.files, system=project.system.name, now=now
    )
    record_switches(project)
    record_pulled(project)
    for run in judge_trials(project, judged=judged):
        project.say(f"the trial {run.name} is {run.state}: {run.why}")
    remember_sealed(project, now=now)
    compact(project, now=now)
    retain(project, now=now)
    adapters.seal_left(project.home.log, files=project.files, system=project.system.name, before=now - LEFT_US)


def remember_sealed(project: Project, *, now: int) -> list[Segment]:
    """Put on the ledger what writers have sealed since, in the order of writers and numbers."""
    sealed = adapters.sealed_segments(project.home.log)
    with project.ledger() as ledger:
        known = {segment.id for segment in history.all_of(ledger, Segment)}
        new = sorted((one for one in sealed if one.id not in known), key=lambda one: (one.writer, one.number))
        if new:
            entries = [history.entry(segment, id=segment.id, actor=ACTOR, at=now) for segment in new]
            ledger.append(entries, expect_seq=ledger.head().seq)
    return new


def look_after(
    projects: Sequence[Project], meeting: Meeting, *, say: Callable[[str], None], judged: dict[str, int]
) -> None:
    """All systems once; what is in the way of one does not keep another waiting, and is tried again."""
    for project in projects:
        try:
            keep_in_order(project, meeting, judged=judged)
        except (Busy, Conflict):
            continue  # somebody else is at it
        except KringError as error:
            say(f"the log of {project.system.name} could not be kept in order: {error.message}")


def open_more(folders: Sequence[str], projects: dict[str, Project], *, said: dict[str, str]) -> None:
    """Open the systems that could not be opened before; what is in the way of one is said once."""
    for folder in folders:
        if folder in projects:
            continue
        try:
            projects[folder] = open_project(Path(folder), say=say)
        except KringError as error:
            if said.get(folder) != str(error):
                say(f"the log in {folder} is not kept in order: {error}")
            said[folder] = str(error)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str]) -> None:
    """Look after the logs until SIGTERM or SIGINT."""
    lifeline = hold()
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    plan = meetings.read_plan(LocalFiles(), Path(arguments[0]))
    projects: dict[str, Project] = {}
    said: dict[str, str] = {}
    judged: dict[str, int] = {}
    lifeline.ready()
    while not stopped.wait(EVERY_S):
        open_more(plan.folders, projects, said=said)
        look_after([*projects.values()], Meeting(Path(plan.state)), say=say, judged=judged)


if __name__ == "__main__":
    main(sys.argv[1:])
