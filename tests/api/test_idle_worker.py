"""A data worker that nobody asks any more ends its day by itself, at a look at the page."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from faces import LOAN

from kring.flow.project import open_project
from kring.flow.serving.meeting import Meeting
from kring.flow.serving.starting import prepare
from kring.record.serving import Plan
from kring.stores.sealed import sealed_segments

SCRIPT = """
import asyncio, json, sys
from pathlib import Path
from kring.flow.serving import meeting
from kring.flow.serving.days import DAY_US
from kring.flow.serving.worker import Worker
from kring.host.clock import SimulatedClock
from kring.host.files import LocalFiles

async def main(plan, loan):
    worker = Worker(meeting.read_plan(LocalFiles(), Path(plan)), seat=0, say=print)
    worker.open()
    line = worker.desk.lines["loans"]
    await line.ask(line.reader.read([loan]))
    for days in (0, 1, 1, 9):
        worker._days._clock = SimulatedClock(worker.clock.now() + days * DAY_US)
        worker.look()
        print(json.dumps(sorted(path.name for path in Path(sys.argv[3]).glob("*.seal"))))
    worker.close()

asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
"""


def test_a_worker_seals_what_it_has_open_when_the_day_is_over(released: dict[str, Path], tmp_path: Path) -> None:
    project = open_project(Path(shutil.copytree(released["loans"], tmp_path / "loans")))
    started = prepare([project], Plan(state="", folders=()), say=print)
    started.page.close()
    plan = Meeting(Path(started.plan.state)).plan
    command = [sys.executable, "-c", SCRIPT, str(plan), json.dumps(LOAN), str(project.home.log)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert [json.loads(line) for line in done.stdout.splitlines()] == [[], *[["0-1.seal"]] * 3]
    (segment,) = sealed_segments(project.home.log)
    assert segment.decisions == 1
