"""Kill switches: one file that holds whatever becomes of the ledger, and the ledger that hears of it later."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from flagged import write_flagged
from kring.errors import IntegrityError, NotFound
from kring.flow import history
from kring.flow.flags import evaluate, flags_of, record_switches, switch_flag
from kring.flow.project import Project, open_project
from kring.flow.serving.meeting import Meeting
from kring.flow.serving.upkeep import look_after
from kring.flow.switching import SwitchFile
from kring.host.files import LocalFiles
from kring.record.switch import Switch, Switches
from systems import kring

PRO = {"targetingKey": "ada", "plan": "pro", "age": 30}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return open_project(write_flagged(tmp_path / "loans"))


def on_ledger(project: Project) -> list[Switch]:
    with project.ledger() as ledger:
        return list(history.all_of(ledger, Switch))


def test_off_and_on_again_and_all_of_it_on_the_ledger(project: Project) -> None:
    assert evaluate(project, "greeting", PRO).variant == "warm"
    told = switch_flag(project, "greeting", off=True, why="it offends")
    assert told.recorded
    assert (evaluate(project, "greeting", PRO).variant, evaluate(project, "greeting", PRO).reason) == (
        "cold",
        "DISABLED",
    )
    assert [one.flag.name for one in flags_of(project) if one.is_off] == ["greeting"]
    switch_flag(project, "greeting", off=False)
    assert evaluate(project, "greeting", PRO).variant == "warm"
    assert [(one.flag, one.off, one.why) for one in on_ledger(project)] == [
        ("greeting", True, "it offends"),
        ("greeting", False, ""),
    ]
    assert record_switches(project) == []


def test_without_the_ledger_it_is_told_later(project: Project) -> None:
    switch_flag(project, "limit", off=True)
    ledger = project.home.ledger
    kept = ledger.read_bytes()
    ledger.unlink()
    ledger.mkdir()
    told = switch_flag(project, "greeting", off=True)
    assert (told.recorded, bool(told.trouble)) == (False, True)
    assert evaluate(project, "greeting", PRO).reason == "DISABLED"
    assert {one.flag.name for one in flags_of(project) if one.is_off} == {"greeting", "limit"}
    ledger.rmdir()
    ledger.write_bytes(kept)
    assert [one.flag for one in record_switches(project)] == ["greeting"]
    assert [one.flag for one in on_ledger(project)] == ["limit", "greeting"]


def test_the_process_that_keeps_the_log_in_order_tells_the_ledger(project: Project, tmp_path: Path) -> None:
    file = SwitchFile(project.home.root, files=project.files)
    file.set(Switch(flag="greeting", off=True, at=1, by="Night Duty"))
    said: list[str] = []
    look_after([project], Meeting(tmp_path / "serve"), say=said.append, judged={})
    assert ([(one.flag, one.by) for one in on_ledger(project)], said) == ([("greeting", "Night Duty")], [])


def test_a_clock_that_runs_backwards_undoes_nothing(project: Project) -> None:
    file = SwitchFile(project.home.root, files=project.files)
    file.set(Switch(flag="greeting", off=True, at=1000, by="test"))
    later = file.set(Switch(flag="greeting", off=False, at=5, by="test"))
    assert later.at == 1001
    assert file.off() == frozenset()


def test_of_many_at_once_each_one_holds(project: Project) -> None:
    names = [f"flag{number}" for number in range(12)]

    def pull(name: str) -> None:
        SwitchFile(project.home.root, files=LocalFiles()).set(Switch(flag=name, off=True, at=1, by=name))

    threads = [threading.Thread(target=pull, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert SwitchFile(project.home.root, files=project.files).off() == set(names)


def test_a_damaged_file_changes_nothing_for_who_has_read_it(project: Project) -> None:
    file = SwitchFile(project.home.root, files=project.files)
    assert file.off() == frozenset()
    file.set(Switch(flag="greeting", off=True, at=1, by="test"))
    assert file.off() == {"greeting"}
    for damage in (b"", b"{", b'{"switches": {"greeting": 5}}'):
        file.path.write_bytes(damage)
        assert file.off() == {"greeting"}
        with pytest.raises(IntegrityError, match="can't be read"):
            file.read()
    assert file.set(Switch(flag="limit", off=True, at=2, by="test")).off
    assert file.off() == {"limit"}
    file.path.unlink()
    assert (file.off(), file.read()) == (frozenset(), Switches())


def test_a_file_that_cannot_be_read_changes_nothing(project: Project) -> None:
    file = SwitchFile(project.home.root, files=project.files)
    file.set(Switch(flag="greeting", off=True, at=1, by="test"))
    assert file.off() == {"greeting"}
    file.path.unlink()
    file.path.mkdir()
    assert file.off() == {"greeting"}
    file.path.rmdir()
    assert file.off() == frozenset()


def test_what_is_no_flag(project: Project) -> None:
    with pytest.raises(NotFound) as refused:
        switch_flag(project, "greting", off=True)
    assert refused.value.next == "did you mean `greeting`?"
    assert not (project.home.root / "switches.json").exists()


def test_the_command_line(project: Project) -> None:
    folder = project.folder
    assert kring("flag", "list", folder, "--json").json["flags"][0]["flag"]["name"] == "greeting"
    told = kring("flag", "off", "greeting", folder, "--reason", "it offends", "--by", "Night Duty")
    assert (told.code, "greeting is off" in told.out) == (0, True)
    shown = kring("flag", "show", "greeting", folder, "--context", '{"targetingKey": "ada", "plan": "pro", "age": 20}')
    assert "off: everybody has cold" in shown.out
    assert "by Night Duty: it offends" in shown.out
    assert "→ cold" in shown.out
    assert kring("flag", "on", "greeting", folder).code == 0
    assert "OFF" not in kring("flag", "list", folder).out
