"""`kring.toml` is edited while a server runs: what holds at once, what waits, and that the server says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flagged import write_flagged
from living import control_of, kill, until
from served import Server, serving_copy, wait_until_managed
from systems import kring, made_live, replaced

FLAG = "/ofrep/v1/evaluate/flags/greeting"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_live(write_flagged(tmp_path_factory.mktemp("edited") / "loans"))


@pytest.fixture
def server(folder: Path, tmp_path: Path) -> Iterator[Server]:
    with serving_copy(folder, tmp_path, workers=2) as running:
        wait_until_managed(running)
        yield running


def edit(server: Server, *changes: tuple[str, str]) -> str:
    """The file as it was, now with other texts in it."""
    file = server.folders[0] / "kring.toml"
    before = text = file.read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    file.write_text(text)
    return before


def another_control(server: Server) -> None:
    """Have the control process die, and wait for the next."""
    before = server.log.read_text().count("control is ready")
    kill(control_of(server))
    until(lambda: server.log.read_text().count("control is ready") > before, "another control process", log=server.log)
    wait_until_managed(server)


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
    until(lambda: everywhere(server, "Good day"), "another greeting", log=server.log)
    assert "goes by the flags, limits and rollouts of another kring.toml from here on" in server.log.read_text()
    seen = server.ask("GET", "/api/flags").json["flags"]
    assert next(one for one in seen if one["flag"]["name"] == "greeting")["flag"]["variants"]["plain"] == "Good day"
    edit(server, ("[guard]", "[access]\nper_key = { per_second = 2 }\n\n[guard]"))
    until(lambda: "429" in {greeting(server) for _ in range(20)}, "a limit", log=server.log)
    assert not server.ask("GET", "/readyz").json["notes"]


def test_what_is_taken_at_the_start_waits_and_the_server_says_so(server: Server) -> None:
    before = edit(server, ('out_of_contract = "reject"', 'out_of_contract = "flag"\ntimeout_ms = 2000'))
    until(lambda: "guard holds when kring serve is started again" in noted(server), "a note", log=server.log)
    assert server.log.read_text().count("guard holds when kring serve is started again") == 1
    broken = {"email": "a@b.org", "region": "north", "amount": -5.0, "income": 61.5}
    assert {server.ask("POST", "/api/decisions", {"inputs": broken}).status for _ in range(20)} == {422}
    (server.folders[0] / "kring.toml").write_text(before)
    until(lambda: not noted(server), "nothing to say", log=server.log)


def test_a_file_that_does_not_hold_changes_nothing_and_is_told(server: Server) -> None:
    before = edit(server, ('default = "plain"', 'default = "nobody knows"'))
    until(lambda: "kring.toml is not gone by as it is now" in noted(server), "a note", log=server.log)
    assert everywhere(server, "Hello")
    (server.folders[0] / "kring.toml").write_text(before.replace('plain = "Hello"', 'plain = "Again"'))
    until(lambda: everywhere(server, "Again") and not noted(server), "the flag of the mended file", log=server.log)


def test_a_flag_with_a_trial_keeps_what_its_arms_mean(server: Server) -> None:
    assert kring("trial", "start", "greetings", server.folders[0]).code == 0
    arms = {"Hello", "Good to see you"}
    until(lambda: {greeting(server, who=f"u{n}") for n in range(20)} == arms, "both arms", log=server.log)
    edit(server, ('plain = "Hello"', 'plain = "Good day"'), ("low = 0.4", "low = 0.45"))
    until(lambda: "greeting holds when the trial on it has ended" in noted(server), "a note", log=server.log)
    assert {greeting(server, who=f"u{n}") for n in range(20)} == arms
    limit = server.ask("POST", FLAG.replace("greeting", "limit"), {"context": {"targetingKey": "ada"}})
    assert limit.json["value"] == 0.45, "the other flags are gone by"
    assert kring("trial", "stop", "greetings", server.folders[0], "--reason", "seen enough").code == 0
    until(lambda: everywhere(server, "Good day") and not noted(server), "the flag as it is in the file", log=server.log)


def test_an_edited_contract_waits(server: Server) -> None:
    file = server.folders[0] / "contract.odcs.yaml"
    before = file.read_text()
    file.write_text(before.replace("maximum: 1000", "maximum: 5000"))
    until(lambda: "the contract holds when kring serve is started again" in noted(server), "a note", log=server.log)
    broken = {"email": "a@b.org", "region": "north", "amount": 4000.0, "income": 61.5}
    assert server.ask("POST", "/api/decisions", {"inputs": broken}).status == 422
    file.write_text(before)
    until(lambda: not noted(server), "nothing to say", log=server.log)


def test_after_another_start_of_the_control_process_the_same_waits(server: Server) -> None:
    """It begins with the file as it is then, and goes on with what the workers serve by."""
    edit(server, ('out_of_contract = "reject"', 'out_of_contract = "flag"'))
    until(lambda: "guard holds" in noted(server), "a note", log=server.log)
    told = server.log.read_text()
    another_control(server)
    edit(server, ('plain = "Hello"', 'plain = "Good day"'))
    until(lambda: everywhere(server, "Good day"), "another greeting", log=server.log)
    assert "guard holds" in noted(server)
    more = server.log.read_text().removeprefix(told)
    assert more.count("another kring.toml from here on") == 1
    assert "guard holds" not in more, "it was said before"


@pytest.mark.parametrize(
    ("name", "sound", "broken", "told"),
    [
        ("kring.toml", "[guard]", "[guard", "this is not TOML"),
        ("kring.toml", 'window = "1d"', 'window = "ever"', "watch.window: "),
        ("kring.toml", 'name = "loans"', 'name = "loans2"', "another name is another system"),
        ("contract.odcs.yaml", "schema:", "schema: [", ""),
    ],
)
def test_a_control_process_that_starts_beside_a_broken_file_goes_on_and_takes_the_mended_one(
    server: Server, name: str, sound: str, broken: str, told: str
) -> None:
    row = {"email": "a@b.org", "region": "north", "amount": 5.0, "income": 61.5}
    edit(server, ('plain = "Hello"', 'plain = "Good day"'))
    until(lambda: everywhere(server, "Good day"), "another greeting", log=server.log)
    file = server.folders[0] / name
    before = file.read_text()
    file.write_text(replaced(before, {sound: broken}))
    another_control(server)
    until(lambda: f"{name} is not gone by as it is now: {told}" in noted(server), "a note", log=server.log)
    assert f"{name} is not gone by as it is now: {told}" in server.log.read_text()
    assert (f"({name}, line " in noted(server)) == ("loans2" not in broken), "the place, where it has one"
    id = server.ask("POST", "/api/decisions", {"inputs": row}).json["id"]
    assert server.ask("POST", f"/api/decisions/{id}/outcome", {"value": True}).status == 200
    assert server.ask("GET", f"/api/decisions/{id}").json["outcome"]["value"] is True
    assert server.ask("GET", "/systems/loans", headers={"accept": "text/html"}).status == 200
    assert everywhere(server, "Good day"), "the last edit that held"
    file.write_text(before)
    edit(server, ('plain = "Good day"', 'plain = "Hello"'))
    until(lambda: everywhere(server, "Hello") and not noted(server), "the file as it began", log=server.log)
    assert server.log.read_text().count("control is ready") == 2, "without another start"
