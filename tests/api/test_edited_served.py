"""`kring.toml` is edited while a server runs: what holds at once, what waits, and that the server says so."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flagged import write_flagged
from served import Server, serving, wait_until_managed
from systems import kring

FLAG = "/ofrep/v1/evaluate/flags/greeting"
SOON_S = 60.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_flagged(tmp_path_factory.mktemp("edited") / "loans")
    told = kring("go", folder)
    assert told.code == 0, told.err
    return folder


@pytest.fixture
def server(folder: Path, tmp_path: Path) -> Iterator[Server]:
    with serving([Path(shutil.copytree(folder, tmp_path / "loans"))], workers=2) as running:
        wait_until_managed(running)
        yield running
        assert "Traceback" not in running.log.read_text()


def edit(server: Server, *changes: tuple[str, str]) -> str:
    """The file as it was, now with other texts in it."""
    file = server.folders[0] / "kring.toml"
    before = text = file.read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    file.write_text(text)
    return before


def until(server: Server, true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + SOON_S
    while not true():
        assert time.monotonic() < end, f"{what}\n{server.log.read_text()}"
        time.sleep(0.05)


def greeting(server: Server, *, who: str = "ada") -> str:
    told = server.ask("POST", FLAG, {"context": {"targetingKey": who}})
    return str(told.json["value"]) if told.status == 200 else str(told.status)


def everywhere(server: Server, value: str) -> bool:
    """Whether many connections are told it: the kernel gives them to both workers."""
    return {greeting(server) for _ in range(20)} == {value}


def noted(server: Server) -> str:
    """What both workers say waits; empty when they say nothing, or not the same."""
    told = {server.ask("GET", "/readyz").json["notes"].get("kring.toml", "") for _ in range(20)}
    return told.pop() if len(told) == 1 else ""


def test_flags_and_limits_hold_without_a_restart(server: Server) -> None:
    assert greeting(server) == "Hello"
    edit(server, ('plain = "Hello"', 'plain = "Good day"'))
    until(server, lambda: everywhere(server, "Good day"), "another greeting")
    assert "goes by the flags, limits and rollouts of another kring.toml from here on" in server.log.read_text()
    seen = server.ask("GET", "/api/flags").json["flags"]
    assert next(one for one in seen if one["flag"]["name"] == "greeting")["flag"]["variants"]["plain"] == "Good day"
    edit(server, ("[guard]", "[access]\nper_key = { per_second = 2 }\n\n[guard]"))
    until(server, lambda: "429" in {greeting(server) for _ in range(20)}, "a limit")
    assert not server.ask("GET", "/readyz").json["notes"]


def test_what_is_taken_at_the_start_waits_and_the_server_says_so(server: Server) -> None:
    before = edit(server, ('out_of_contract = "reject"', 'out_of_contract = "flag"\ntimeout_ms = 2000'))
    until(server, lambda: "guard holds when kring serve is started again" in noted(server), "a note")
    assert server.log.read_text().count("guard holds when kring serve is started again") == 1
    broken = {"email": "a@b.org", "region": "north", "amount": -5.0, "income": 61.5}
    assert {server.ask("POST", "/api/decisions", {"inputs": broken}).status for _ in range(20)} == {422}
    (server.folders[0] / "kring.toml").write_text(before)
    until(server, lambda: not noted(server), "nothing to say")


def test_a_file_that_does_not_hold_changes_nothing_and_is_told(server: Server) -> None:
    before = edit(server, ('default = "plain"', 'default = "nobody knows"'))
    until(server, lambda: "kring.toml is not gone by as it is now" in noted(server), "a note")
    assert everywhere(server, "Hello")
    (server.folders[0] / "kring.toml").write_text(before.replace('plain = "Hello"', 'plain = "Again"'))
    until(server, lambda: everywhere(server, "Again") and not noted(server), "the flag of the mended file")


def test_a_flag_with_a_trial_keeps_what_its_arms_mean(server: Server) -> None:
    assert kring("trial", "start", "greetings", server.folders[0]).code == 0
    arms = {"Hello", "Good to see you"}
    until(server, lambda: {greeting(server, who=f"u{n}") for n in range(20)} == arms, "both arms")
    edit(server, ('plain = "Hello"', 'plain = "Good day"'), ("low = 0.4", "low = 0.45"))
    until(server, lambda: "greeting holds when the trial on it has ended" in noted(server), "a note")
    assert {greeting(server, who=f"u{n}") for n in range(20)} == arms
    limit = server.ask("POST", FLAG.replace("greeting", "limit"), {"context": {"targetingKey": "ada"}})
    assert limit.json["value"] == 0.45, "the other flags are gone by"
    assert kring("trial", "stop", "greetings", server.folders[0], "--reason", "seen enough").code == 0
    until(server, lambda: everywhere(server, "Good day") and not noted(server), "the flag as it is in the file")


def test_an_edited_contract_waits(server: Server) -> None:
    file = server.folders[0] / "contract.odcs.yaml"
    before = file.read_text()
    file.write_text(before.replace("maximum: 1000", "maximum: 5000"))
    until(server, lambda: "the contract holds when kring serve is started again" in noted(server), "a note")
    broken = {"email": "a@b.org", "region": "north", "amount": 4000.0, "income": 61.5}
    assert server.ask("POST", "/api/decisions", {"inputs": broken}).status == 422
    file.write_text(before)
    until(server, lambda: not noted(server), "nothing to say")


def test_after_another_start_of_the_control_process_the_same_waits(server: Server) -> None:
    """It begins with the file as it is then, and goes on with what the workers serve by."""
    edit(server, ('out_of_contract = "reject"', 'out_of_contract = "flag"'))
    until(server, lambda: "guard holds" in noted(server), "a note")
    told = server.log.read_text()
    (control,) = [pid for pid in below(server.process.pid) if "kring.console.serve" in words_of(pid)]
    os.kill(control, signal.SIGKILL)
    until(server, lambda: server.log.read_text().count("control is ready") == 2, "another control process")
    wait_until_managed(server)
    edit(server, ('plain = "Hello"', 'plain = "Good day"'))
    until(server, lambda: everywhere(server, "Good day"), "another greeting")
    assert "guard holds" in noted(server)
    more = server.log.read_text().removeprefix(told)
    assert more.count("another kring.toml from here on") == 1
    assert "guard holds" not in more, "it was said before"


def below(root: int) -> set[int]:
    """The processes that one has started."""
    return {int(one) for one in Path(f"/proc/{root}/task/{root}/children").read_text().split()}


def words_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
