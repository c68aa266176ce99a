"""The start of a serving machine: what has to hold before anybody is asked anything, and which processes there are."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from kring.access.hosts import is_private, require_names
from kring.flow import adapters
from kring.flow.cleaning import repairs_of_rows
from kring.flow.keys import NewKey, ensure_dev_key
from kring.flow.project import Project
from kring.flow.serving import meeting as meetings
from kring.flow.serving.keeping import MEGABYTE, Patience, Spec
from kring.flow.serving.listening import listenable
from kring.flow.serving.meeting import Meeting
from kring.flow.serving.publish import Publisher, require_apart
from kring.flow.serving.spanning import told_to
from kring.flow.serving.supervise import Supervisor, end_survivors
from kring.host.clock import SystemClock
from kring.host.page import MappedPage, new_page
from kring.host.turns import alone
from kring.host.vitals import machine_memory
from kring.record.serving import Plan

WORKER: Final = "kring.api.serve"
WORKERS_SHARE: Final = 0.75
"""The part of the machine's memory that the data workers may hold between them. One that holds more than its part of
this is replaced before the machine has to end somebody."""

OTHERS: Final = {
    "control": ("kring.console.serve", 0),
    "render": ("kring.flow.serving.render", 10),
    "upkeep": ("kring.flow.serving.upkeep", 10),
    "operator": ("kring.flow.duty.process", 5),
}
"""The other processes by name, each with its niceness: on a busy machine answers come first, then what guards them,
then the rest. What they do waits when they can't be started, and decisions go on."""


class Started(NamedTuple):
    """What is told when a server starts; `key` only at the first start."""

    plan: Plan
    page: MappedPage
    key: NewKey | None


@contextmanager
def only_server(projects: Sequence[Project], *, say: Callable[[str], None]) -> Iterator[None]:
    """Be the one server of these systems while the block runs, once what an earlier one left hanging is ended.

    `Busy` names the process that serves one of them already.
    """
    with ExitStack() as held:
        states = {project.home.root.resolve() / "serve": project.system.name for project in projects}
        for state, name in states.items():
            held.enter_context(alone(state / "running", busy=f"{name} is served already"))
            end_survivors(Meeting(state).page, say=say)
        yield


def prepare(projects: Sequence[Project], plan: Plan, *, say: Callable[[str], None]) -> Started:
    """Everything that the processes read, written before the first of them starts.

    `UserError` for systems that can't stand together, what `listenable` raises, and whatever keeps a system from being
    served: no live version, another contract, broken bytes.
    """
    require_apart(projects)
    require_names(plan.hosts, origins=plan.origins)
    adapters.require_provider(plan.provider)
    plan = told_to(listenable(plan), environ=os.environ, say=say)
    files = projects[0].files
    root = projects[0].home.root.resolve() / "serve"
    meeting = Meeting(root)
    plan = msgspec.structs.replace(
        plan, state=str(root), folders=tuple(str(project.folder.resolve()) for project in projects)
    )
    page = new_page(meeting.page, workers=plan.workers)
    meetings.write(files, meeting.plan, plan)
    publisher = Publisher(projects, meeting, page, say)
    publisher.publish()
    say_beyond_rows(projects, say=say)
    key = ensure_dev_key(projects) if is_private(plan.host, behind_proxy=plan.behind_proxy) else None
    if key is not None:
        publisher.publish()
    return Started(plan, page, key)


def say_beyond_rows(projects: Sequence[Project], *, say: Callable[[str], None]) -> None:
    """The repairs that a feed gets and a request does not."""
    for project in projects:
        for repair in repairs_of_rows(project)[1]:
            say(f"{project.system.name}: the repair {repair.id} compares rows, so no request is repaired by it")


def processes(plan: Plan) -> list[Spec]:
    """What is to be kept running: data workers, and beside them what looks after them."""
    where = str(Meeting(Path(plan.state)).plan)
    memory_mb = int(machine_memory() * WORKERS_SHARE / plan.workers) // MEGABYTE
    workers = [
        Spec(
            name=f"worker {seat}",
            argv=(sys.executable, "-P", "-m", WORKER, where, str(seat)),
            seat=seat,
            stop_grace=plan.drain_s,
            memory_mb=memory_mb,
        )
        for seat in range(plan.workers)
    ]
    others = [
        Spec(name=name, argv=(sys.executable, "-P", "-m", module, where), essential=False, niceness=niceness)
        for name, (module, niceness) in OTHERS.items()
    ]
    return [*workers, *others]


def run(started: Started, *, say: Callable[[str], None]) -> int:
    """Run until stopped; the exit code. `Unavailable` when a worker can't be started."""
    plan = started.plan
    patience = Patience(drain=plan.drain_s)
    clock = SystemClock()
    return Supervisor(processes(plan), started.page, monotonic=clock.monotonic, say=say, patience=patience).run()
