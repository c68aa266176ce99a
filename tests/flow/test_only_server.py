"""One server to a system: another one is told who serves it, and what hangs from an earlier one is ended."""

from __future__ import annotations

import os
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


@pytest.mark.parametrize("same", [True, False])
def test_only_workers_of_an_earlier_start_are_ended(loans: Project, same: bool) -> None:
    """A process that only has the number of one, because it came later, is left alone."""
    page = new_page(Meeting(loans.home.root.resolve() / "serve").page, workers=3)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, process_group=0) as process:
        page.seats[1].claim(process.pid, start=start_of(process.pid) + (0 if same else 1))
        said: list[str] = []
        with only_server([loans], say=said.append):
            if same:
                assert process.wait(60) == -9
                assert said == [f"a worker of an earlier start is killed: process {process.pid}"]
            else:
                assert (process.poll(), said) == (None, [])
        process.kill()
