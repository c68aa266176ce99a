"""The start of a serving machine: what has to hold before anybody is asked anything, and which processes there are."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from kring.access.hosts import is_private, require_listening
from kring.flow.keys import NewKey, ensure_dev_key
from kring.flow.project import Project
from kring.flow.serving import meeting as meetings
from kring.flow.serving.meeting import Meeting
from kring.flow.serving.publish import Publisher, require_apart
from kring.host.page import MappedPage, new_page
from kring.record.serving import Plan


class Started(NamedTuple):
    """What is told when a server starts; `key` only at the first start."""

    plan: Plan
    page: MappedPage
    key: NewKey | None


def prepare(projects: Sequence[Project], plan: Plan, *, say: Callable[[str], None]) -> Started:
    """Everything that the processes read, written before the first of them starts.

    `Refused` when the address needs more protection, `UserError` for systems that can't stand together, and whatever
    keeps a system from being served: no live version, another contract, broken bytes.
    """
    require_apart(projects)
    require_listening(plan.host, auth=True, tls=bool(plan.certificate), behind_proxy=plan.behind_proxy)
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
    key = ensure_dev_key(projects) if is_private(plan.host, behind_proxy=plan.behind_proxy) else None
    if key is not None:
        publisher.publish()
    return Started(plan, page, key)


def worker_command(plan: Plan, seat: int) -> list[str]:
    """The command line of one data worker."""
    return [sys.executable, "-m", "kring.flow.serving.worker", str(Meeting(Path(plan.state)).plan), str(seat)]


def run(started: Started) -> int:
    """Run until stopped."""
    plan = started.plan
    children = [subprocess.Popen(worker_command(plan, seat), env=os.environ) for seat in range(plan.workers)]
    try:
        while all(child.poll() is None for child in children):
            time.sleep(0.2)
    except KeyboardInterrupt:
        started.page.drain()
    finally:
        for child in children:
            with suppress(ProcessLookupError):
                child.terminate()
        for child in children:
            child.wait()
    return 0
