"""Children and their lifelines: what they say arrives, what they print doesn't mix in, none is left behind."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kring.errors import Unavailable
from kring.host.child import Child, start
from kring.host.lifeline import Report

SOON = 60.0
HOLD = "import os, sys, time\nfrom kring.errors import ConfigError\nfrom kring.host.lifeline import hold\n"


@pytest.fixture
def begin() -> Iterator[Callable[[str], Child]]:
    children: list[Child] = []

    def run(program: str) -> Child:
        children.append(start([sys.executable, "-c", HOLD + program], env={"GREETING": "hello"}))
        return children[-1]

    yield run
    for child in children:
        child.close()
        child.close()


def ended(child: Child) -> int:
    end = time.monotonic() + SOON
    while (code := child.poll()) is None:
        assert time.monotonic() < end
        time.sleep(0.005)
    return code


def test_a_start_that_went_well_is_reported(begin: Callable[[str], Child]) -> None:
    child = begin("line = hold()\nline.ready()\nsys.exit(os.environ['GREETING'] != 'hello')")
    assert ended(child) == 0
    assert child.reports() == [Report(ready=True)]
    assert child.reports() == []


def test_a_start_that_failed_says_all_of_it(begin: Callable[[str], Child]) -> None:
    child = begin("hold().failed(ConfigError('no port', got='x' * 10**6, allowed='1', next='mend\\nit'))\nsys.exit(2)")
    assert ended(child) == 2
    assert child.reports() == [Report(code="config", message="no port", got="x" * 2000, allowed="1", next="mend\nit")]


def test_what_is_no_report_is_left_out(begin: Callable[[str], Child]) -> None:
    program = (
        "import socket\n"
        "line = socket.socket(fileno=int(os.environ['KRING_LIFELINE']))\n"
        "for text in (b'\\n{\\n[1]\\n\\xff\\n', b'y' * 300_000, b'\\n{\"ready\":true}\\n{\"ready\":'):\n"
        "    line.sendall(text)\n"
    )
    child = begin(program)
    found: list[Report] = []
    end = time.monotonic() + SOON
    while child.poll() is None and time.monotonic() < end:
        found += child.reports()
    assert ended(child) == 0
    assert found + child.reports() == [Report(ready=True)]


def test_a_lifeline_is_not_handed_on(begin: Callable[[str], Child]) -> None:
    """A process that the child started would keep the supervisor from hearing its end."""
    program = (
        "import subprocess\n"
        "line = hold()\n"
        'code = \'import os; print(os.listdir("/proc/self/fd"), os.environ.get("KRING_LIFELINE"))\'\n'
        "seen = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, close_fds=False).stdout\n"
        'line.ready() if \'None\' in seen and len(eval(seen.rpartition("]")[0] + "]")) <= 4 else sys.exit(seen)\n'
    )
    child = begin(program)
    assert ended(child) == 0
    assert child.reports() == [Report(ready=True)]


def test_without_a_supervisor_nothing_happens() -> None:
    program = HOLD + "line = hold()\nline.ready()\nline.failed(ConfigError('no port'))\nprint('alive')"
    env = {key: value for key, value in os.environ.items() if key != "KRING_LIFELINE"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=env)
    assert done.stdout == "alive\n"


def test_it_can_be_asked_or_made_to_end(begin: Callable[[str], Child]) -> None:
    asked = begin("hold().ready()\ntime.sleep(600)")
    asked.terminate()
    assert ended(asked) == -signal.SIGTERM
    asked.terminate()
    made = begin("import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nhold().ready()\ntime.sleep(600)")
    while not made.reports():
        time.sleep(0.005)
    made.terminate()
    assert made.poll() is None
    made.kill()
    assert ended(made) == -signal.SIGKILL


def test_what_prints_without_end_disturbs_nobody(
    begin: Callable[[str], Child], capfd: pytest.CaptureFixture[str]
) -> None:
    child = begin("line = hold()\nprint('x' * 1_000_000)\nline.ready()")
    assert ended(child) == 0
    assert child.reports() == [Report(ready=True)]
    out, err = capfd.readouterr()
    assert (out, len(err)) == ("", 1_000_001)


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(Unavailable, match="could not start worker"):
        start([str(tmp_path / "worker")], env={})
    assert len(os.listdir("/proc/self/fd")) == before


def test_with_no_file_left_the_start_fails_and_later_ones_do_not(begin: Callable[[str], Child]) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = [os.open("/dev/null", os.O_RDONLY)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (taken[0] + 2, before[1]))
    try:
        with pytest.raises(Unavailable, match="could not start"):
            start([sys.executable, "-c", "pass"], env={})
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        os.close(taken[0])
    assert ended(begin("hold().ready()")) == 0


def test_a_child_gives_way_to_others_when_told_to() -> None:
    child = start([sys.executable, "-c", HOLD + "hold().ready()\ntime.sleep(600)"], env={}, niceness=7)
    try:
        assert os.getpriority(os.PRIO_PROCESS, child.pid) == os.getpriority(os.PRIO_PROCESS, 0) + 7
    finally:
        child.close()
