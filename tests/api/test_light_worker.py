"""A data worker loads nothing heavy, whatever it serves."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from kring.flow.project import open_project
from kring.flow.serving.meeting import Meeting
from kring.flow.serving.starting import prepare
from kring.record.serving import Plan

HEAVY = (
    "polars",
    "deltalake",
    "pyarrow",
    "litestar",
    "sqlalchemy",
    "pandas",
    "scipy",
    "sklearn",
    "onnx",
    "skl2onnx",
    "yaml",
    "jinja2",
    "vl_convert",
    "rich",
    "click",
    "jwt",
    "grpc",
    "opentelemetry",
)
SCRIPT = """
import asyncio, json, sys
from pathlib import Path
from kring.api.serve import door_of
from kring.flow.serving import meeting
from kring.flow.serving.worker import Worker
from kring.host.files import LocalFiles

async def main(plan):
    worker = Worker(meeting.read_plan(LocalFiles(), Path(plan)), seat=0, say=print)
    worker.open()
    door_of(worker)
    worker.look()
    names = sorted(worker.desk.lines)
    worker.close()
    return names

names = asyncio.run(main(sys.argv[1]))
print(json.dumps({"lines": names, "loaded": sorted({name.partition(".")[0] for name in sys.modules})}))
"""


def test_a_worker_with_four_systems_loads_nothing_heavy(released: dict[str, Path], tmp_path: Path) -> None:
    folders = [Path(shutil.copytree(folder, tmp_path / name)) for name, folder in released.items()]
    started = prepare([open_project(folder) for folder in folders], Plan(state="", folders=()), say=print)
    started.page.close()
    plan = Meeting(Path(started.plan.state)).plan
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(plan)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["lines"] == sorted(released)
    assert set(told["loaded"]) & set(HEAVY) == set()


def test_the_command_that_starts_a_server_loads_nothing_that_only_its_processes_need() -> None:
    """No answer is given before it has read and published what is served."""
    heavy = ("scipy", "sklearn", "onnxruntime", "jwt", "deltalake", "litestar", "granian", "vl_convert")
    program = f"import sys, kring.cli.serve; print(*[name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []
