"""The supervisor with real children: killed, hung, flapping, stubborn; and when it is killed itself."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kring.host.page import open_page

SOON = 60.0
"""Seconds that a slow machine may take for what takes a moment."""


class Running:
    """A supervisor as a process, and what it and its children have said."""

    def __init__(self, folder: Path, processes: list[dict[str, object]], **patience: float) -> None:
        self.page = folder / "page"
        self.folder = folder
        told = json.dumps({"processes": processes, "patience": {"stable": 600.0, **patience}})
        self.said = (folder / "said").open("a+")
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("kept_supervisor.py")), str(self.page), told],
            stdout=self.said,
        )

    def text(self) -> str:
        return (self.folder / "said").read_text()

    def until(self, true: Callable[[], object], *, what: str) -> None:
        end = time.monotonic() + SOON
        while not true():
            assert time.monotonic() < end, f"{what} did not happen; it said:\n{self.text()}"
            time.sleep(0.01)

    def hears(self, *texts: str) -> None:
        for text in texts:
            self.until(lambda text=text: text in self.text(), what=text)

    def started(self, name: str) -> list[int]:
        """The process numbers of all starts of `name`."""
        file = self.folder / "started"
        lines = file.read_text().splitlines() if file.exists() else []
        return [int(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} ")]

    def stops(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.ends()

    def ends(self) -> int:
        code = self.process.wait(SOON)
        every = [pid for pids in map(self.started, ("a", "b", "c", "grandchild")) for pid in pids]
        self.until(lambda: not any(map(lives, every)), what="the end of every child")
        return code


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    running: list[Running] = []

    def start(*processes: dict[str, object], **patience: float) -> Running:
        running.append(Running(tmp_path, list(processes), **patience))
        return running[-1]

    yield start
    for each in running:
        each.process.kill()
        each.process.wait()
        each.said.close()


def test_a_killed_child_is_started_again_and_others_go_on(run: Callable[..., Running]) -> None:
    server = run({"name": "a", "seat": 0}, {"name": "b"})
    server.hears("a is ready", "b is ready")
    for times in (1, 2):
        os.kill(server.started("a")[-1], signal.SIGKILL)
        server.until(lambda times=times: server.text().count("a is ready") == times + 1, what="another start")
    assert "a ended: ended by SIGKILL; it is started again at once" in server.text()
    assert "a ended: ended by SIGKILL; it is started again in 0.1 s" in server.text()
    assert (len(server.started("a")), len(server.started("b"))) == (3, 1)
    assert server.stops() == 0


@pytest.mark.parametrize(
    ("mode", "patience", "why"),
    [
        ("silent", {"heartbeat": 3.0}, "it gave no sign of life for 3"),
        ("overruns", {}, "its work overran its deadline by"),
        ("holds the lock", {}, "its work overran its deadline by"),
        ("never ready", {"start": 5.0}, "it was not ready after 5 s"),
    ],
)
def test_a_hung_child_is_killed_and_replaced(
    run: Callable[..., Running], mode: str, patience: dict[str, float], why: str
) -> None:
    server = run(
        {"name": "a", "seat": 1, "modes": [mode, "stubborn"], "stop_grace": 0.3}, {"name": "b", "seat": 2}, **patience
    )
    server.hears("b is ready", f"a is killed: {why}")
    server.until(lambda: len(server.started("a")) >= 2, what="another start")
    assert len(server.started("b")) == 1
    assert not (server.folder / "ended").exists(), "what holds the interpreter's lock can't be stopped from inside"
    assert server.stops() in (0, 3)


def test_while_all_is_calm_an_end_and_a_stop_are_heard_at_once(run: Callable[..., Running]) -> None:
    """The longest of looks is not waited for: with this one the test would not end in time."""
    server = run({"name": "a", "seat": 0}, {"name": "b"}, calm=10 * SOON, heartbeat=20 * SOON)
    server.hears("a is ready", "b is ready")
    os.kill(server.started("a")[-1], signal.SIGKILL)
    server.hears("a ended: ended by SIGKILL; it is started again at once")
    server.until(lambda: server.text().count("a is ready") == 2, what="another start")
    assert server.stops() == 0


def test_a_stop_before_all_are_ready_is_a_stop(run: Callable[..., Running]) -> None:
    server = run({"name": "a", "seat": 0, "modes": ["never ready"]}, {"name": "b"})
    server.until(lambda: server.started("a"), what="the start")
    assert server.stops() in (0, 3)
    assert len(server.started("a")) == 1


def test_a_flood_of_signals_does_no_harm(run: Callable[..., Running]) -> None:
    server = run({"name": "a", "seat": 0})
    server.hears("a is ready")
    for _ in range(2000):
        server.process.send_signal(signal.SIGHUP)
        server.process.send_signal(signal.SIGCHLD)
    assert server.stops() == 0
    assert len(server.started("a")) == 1


def test_children_killed_in_any_order_all_come_back(run: Callable[..., Running]) -> None:
    server = run({"name": "a", "seat": 0}, {"name": "b", "seat": 1}, {"name": "c"}, first_wait=0.01, longest_wait=0.02)
    server.hears("a is ready", "b is ready", "c is ready")
    chance = random.Random(5)
    for _ in range(12):
        name = chance.choice("abc")
        before = server.text().count(f"{name} is ready")
        os.kill(server.started(name)[-1], signal.SIGKILL)
        server.until(lambda: server.text().count(f"{name} is ready") > before, what=f"another {name}")  # noqa: B023
    vitals = [seat.vitals() for seat in open_page(server.page, writer=False).seats]
    server.until(lambda: lives(server.started("a")[-1]), what="a")
    assert [each.pid for each in vitals[:2]] == [server.started("a")[-1], server.started("b")[-1]]
    assert server.stops() == 0


def test_the_supervisor_is_light() -> None:
    heavy = "numpy polars onnxruntime granian yaml"
    program = (
        f"import sys, kring.flow.serving.supervise; print(*[name for name in {heavy.split()} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []


def test_what_a_killed_child_started_goes_with_it(run: Callable[..., Running]) -> None:
    server = run({"name": "a", "modes": ["grandchild"]})
    server.hears("a is ready")
    grandchild = server.started("grandchild")[0]
    os.kill(server.started("a")[0], signal.SIGKILL)
    server.until(lambda: not lives(grandchild), what="the end of the grandchild")
    assert server.stops() == 0


def test_too_much_memory_is_given_back(run: Callable[..., Running]) -> None:
    server = run({"name": "a", "seat": 0, "memory_mb": 1})
    server.hears("a is replaced: it holds")
    server.until(lambda: len(server.started("a")) >= 2, what="another start")
    server.stops()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_drain_waits_for_what_is_under_way_and_ends_workers_first(
    run: Callable[..., Running], number: signal.Signals, code: int
) -> None:
    server = run({"name": "b"}, {"name": "a", "seat": 0, "modes": ["busy"]}, {"name": "c", "seat": 1})
    server.hears("a is ready", "b is ready", "c is ready")
    server.until(lambda: open_page(server.page, writer=False).seats[0].vitals().in_flight, what="work")
    server.process.send_signal(number)
    server.until(lambda: open_page(server.page, writer=False).draining, what="the drain")
    assert server.ends() == code
    ended = [line.split() for line in (server.folder / "ended").read_text().splitlines()]
    assert {name: draining for name, draining, _ in ended} == dict.fromkeys("abc", "draining=True")
    assert ended[-1][0] == "b", "what is no worker ends last"
    assert "still under way" not in server.text()


def test_a_drain_does_not_wait_for_ever(run: Callable[..., Running]) -> None:
    server = run({"name": "a", "seat": 0, "modes": ["busy", "stubborn"], "stop_grace": 0.5}, drain=1.0)
    server.hears("a is ready")
    assert server.stops() == 3
    assert "1 requests are still under way after" in server.text()
    assert "a is killed: it did not end within its grace" in server.text()


def test_a_second_signal_ends_the_waiting(run: Callable[..., Running]) -> None:
    server = run({"name": "a", "seat": 0, "modes": ["busy", "stubborn"], "stop_grace": 600.0}, drain=600.0)
    server.hears("a is ready")
    server.process.send_signal(signal.SIGINT)
    server.hears("the server stops")
    assert server.stops(signal.SIGINT) == 130


def test_nothing_is_started_again_while_the_server_stops(run: Callable[..., Running]) -> None:
    server = run({"name": "a", "seat": 0, "modes": ["busy"]}, {"name": "b"})
    server.hears("a is ready", "b is ready")
    server.process.send_signal(signal.SIGTERM)
    server.hears("the server stops")
    os.kill(server.started("b")[0], signal.SIGKILL)
    assert server.ends() == 0
    assert len(server.started("b")) == 1


@pytest.mark.parametrize("modes", [[], ["grandchild"], ["stubborn"]])
def test_a_supervisor_that_is_killed_leaves_no_orphan(run: Callable[..., Running], modes: list[str]) -> None:
    server = run({"name": "a", "seat": 0, "modes": modes}, {"name": "b", "modes": modes})
    server.hears("a is ready", "b is ready")
    assert server.stops(signal.SIGKILL) == -signal.SIGKILL


def test_a_worker_that_hung_when_its_supervisor_died_is_ended_by_the_next(run: Callable[..., Running]) -> None:
    server = run({"name": "a", "seat": 0, "modes": ["holds the lock", "stubborn"]}, overrun=600.0)
    server.hears("a is ready")
    pid = server.started("a")[0]
    server.process.kill()
    server.process.wait()
    assert lives(pid), "nothing in it can run that would end it"
    (server.folder / "started").unlink()
    another = run({"name": "a", "seat": 0})
    another.hears(f"a worker of an earlier start is killed: process {pid}")
    another.until(lambda: not lives(pid), what="the end of the old one")
    another.until(lambda: another.text().count("a is ready") == 2, what="a new worker")
    assert another.stops() == 0


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        ("misconfigured", "a can't be started: the port is not a number | http | 1 to 65535 | mend it"),
        ("crashes", "a can't be started: exit code 7 | exit code 7 | | look at what it printed before"),
    ],
)
def test_a_child_that_can_never_start_ends_the_server_with_its_own_words(
    run: Callable[..., Running], mode: str, told: str
) -> None:
    server = run({"name": "b", "seat": 0}, {"name": "a", "modes": [mode]})
    assert server.ends() == 3
    assert f"error 3: {told}".replace(" | | ", " |  | ") in server.text()
    assert len(server.started("a")) == 3


def test_a_child_that_fails_but_is_not_needed_is_tried_again_for_ever(run: Callable[..., Running]) -> None:
    server = run({"name": "b", "seat": 0}, {"name": "a", "modes": ["crashes"], "essential": False}, longest_wait=0.2)
    server.until(lambda: len(server.started("a")) >= 6, what="the sixth start")
    server.hears("b is ready")
    assert "in 0.1 s" in server.text()
    assert "in 0.2 s" in server.text()
    assert server.stops() == 0


def test_a_child_that_fails_for_another_reason_each_time_is_tried_again(run: Callable[..., Running]) -> None:
    server = run({"name": "a", "modes": ["fails in turn"]}, longest_wait=0.1)
    server.until(lambda: len(server.started("a")) >= 5, what="the fifth start")
    assert server.stops() == 0


def test_what_is_not_to_be_started_again_ends_the_server_when_it_ends(run: Callable[..., Running]) -> None:
    server = run({"name": "a", "modes": ["crashes"], "restart": False})
    assert server.ends() == 3
    assert "error 3: a ended: exit code 7" in server.text()
    assert len(server.started("a")) == 1


def test_a_reload_bumps_the_pointers(run: Callable[..., Running]) -> None:
    server = run({"name": "a", "seat": 0})
    server.hears("a is ready")
    page = open_page(server.page, writer=False)
    for generation in (1, 2, 3):
        server.process.send_signal(signal.SIGHUP)
        server.until(lambda wanted=generation: page.generation("pointers") == wanted, what="the reload")
    assert server.stops() == 0
    assert len(server.started("a")) == 1


def test_a_supervisor_that_stood_still_blames_nobody(run: Callable[..., Running]) -> None:
    """The whole machine was suspended: all heartbeats are old when it goes on."""
    server = run({"name": "a", "seat": 0}, heartbeat=1.0)
    server.hears("a is ready")
    pid = server.started("a")[0]
    for number in (signal.SIGSTOP, signal.SIGCONT):
        server.process.send_signal(number)
        if number == signal.SIGSTOP:
            os.kill(pid, number)
            time.sleep(1.5)
    time.sleep(0.3)
    os.kill(pid, signal.SIGCONT)
    page = open_page(server.page, writer=False)
    heartbeat = page.seats[0].vitals().heartbeat
    server.until(lambda: page.seats[0].vitals().heartbeat > heartbeat, what="a heartbeat")
    assert server.stops() == 0
    assert server.started("a") == [pid]
    assert "killed" not in server.text()
