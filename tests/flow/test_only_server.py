"""One server to a system: another one is told who serves it, and what hangs from an earlier one is ended."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kring.errors import Busy
from kring.flow.project import Project, open_project
from kring.flow.serving.meeting import Meeting
from kring.flow.serving.starting import only_server
from kring.host.page import new_page
from kring.host.vitals import start_of
from systems import write_loans


@pytest.fixture
def loans(tmp_path: Path) -> Project:
    return open_project(write_loans(tmp_path / "loans"), say=print)


def test_another_server_is_refused_and_told_who_serves(loans: Project) -> None:
    with only_server([loans, loans], say=print):
        with pytest.raises(Busy, match="loans is served already") as refused, only_server([loans], say=print):
            pytest.fail("two serve it")
        assert refused.value.got == f"process {os.getpid()}"
    with only_server([loans], say=print):
        pass


MAPS = """
import mmap, sys
with open(sys.argv[1], "r+b") as file:
    held = mmap.mmap(file.fileno(), 0)
print("there", flush=True)
input()
"""


@pytest.mark.parametrize("which", ["same", "later", "of a copy"])
def test_only_workers_of_an_earlier_start_are_ended(loans: Project, which: str) -> None:
    """A process that only has the number of one, because it came later, is left alone; so is one that works in another
    folder, of which this one is a copy."""
    path = Meeting(loans.home.root.resolve() / "serve").page
    page = new_page(path, workers=3)
    command = [sys.executable, "-c", MAPS, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"there\n"
        page.seats[1].claim(process.pid, start=start_of(process.pid) + (1 if which == "later" else 0))
        if which == "of a copy":
            copy = path.with_name("copy")
            shutil.copy(path, copy)
            copy.replace(path)
        said: list[str] = []
        with only_server([loans], say=said.append):
            if which == "same":
                assert process.wait(60) == -9
                assert said == [f"a worker of an earlier start is killed: process {process.pid}"]
            else:
                assert (process.poll(), said) == (None, [])
        process.kill()
