"""Edits of both files while somebody is on duty: the log is heard anew only where it says something else by them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_duty import begun, edited

from kring.flow.duty.process import operate
from kring.flow.duty.turns import Duty
from kring.flow.project import open_project
from kring.host import settled
from systems import write_loans
from worlds import World, world_in


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = world_in(tmp_path / "loans", step_for="20d")
    yield made
    made.close()


def test_an_edit_of_the_contract_alone_is_noticed(world: World) -> None:
    begun(world)
    said: list[str] = []
    duty = Duty(world.project, holder="a", environ={}, say=said.append)
    duty.turn()
    watcher = duty._watcher
    contract = world.project.folder / world.project.system.data.contract
    before = contract.read_text()
    contract.write_text(before.replace("status: active", "status: deprecated"))
    duty.turn()
    assert said == ["loans goes by another contract from now on"]
    assert duty.project.contract.digest != world.project.contract.digest
    assert duty._operator.project is duty._trainer.project is duty.project
    assert duty._watcher is watcher, "it says nothing else of the log"
    contract.write_text("schema: [")
    for _ in range(3):
        duty.turn()
    contract.unlink()
    for _ in range(3):
        duty.turn()
    assert len(said) == 3
    for line in said[1:]:
        assert line.startswith(f"{contract.name} of loans is not gone by as it is now: ")
    contract.write_text(before)
    duty.turn()
    assert said[3:] == ["loans goes by another contract from now on"]
    assert duty.project.contract == world.project.contract
    duty.close()


def test_a_file_that_is_written_in_place_is_gone_by_when_it_is_whole(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first half holds, too, and lacks what stands at the end."""
    monkeypatch.setattr(settled, "QUIET_S", 0.5)
    begun(world)
    said: list[str] = []
    duty = Duty(world.project, holder="a", environ={}, say=said.append)
    duty.turn()
    file = world.project.folder / "kring.toml"
    text = file.read_text().replace('owner = "', 'owner = "the new ')
    half = text.rindex("\n[") + 1
    is_begun = threading.Event()

    def write() -> None:
        with file.open("w") as stream:
            for part in (text[:half], text[half:]):
                stream.write(part)
                stream.flush()
                is_begun.set()
                time.sleep(0.02)

    writer = threading.Thread(target=write)
    writer.start()
    is_begun.wait(10)
    duty.turn()
    writer.join()
    assert said == ["loans goes by another kring.toml from now on"]
    assert duty.project.system == open_project(world.project.folder, say=said.append).system
    duty.close()


CELLAR = '\n[[notify]]\nname = "cellar"\nto = "webhook"\nurl = "http://127.0.0.1:9/"\ninner = true\nleast = "page"\n'


@pytest.mark.parametrize(
    ("before", "after", "is_anew"),
    [
        ('owner = "', 'owner = "the new ', False),
        ("floor = 0.02", "floor = 0.3", False),
        ("[gate]\n", f"{CELLAR}\n[gate]\n", False),
        ('feedback = "none"', 'feedback = "some"', True),
        ("[gate]\n", "[slo]\nsuccess = 0.9\n\n[gate]\n", True),
        ("[gate]\n", "\n# not a word\n[gate]\n", False),
    ],
)
def test_the_log_is_heard_anew_only_where_it_says_something_else(
    before: str, after: str, is_anew: bool, world: World
) -> None:
    begun(world)
    world.decide(60)
    said: list[str] = []
    duty = Duty(world.project, holder="a", environ={}, say=said.append)
    duty.turn()
    watcher, rounds, heard = duty._watcher, duty._rounds, duty._follower
    edited(world, before, after)
    duty.turn()
    assert said == ["loans goes by another kring.toml from now on"]
    assert [duty._watcher is watcher, duty._rounds is rounds, duty._follower is heard] == [not is_anew] * 3
    assert duty._operator.project is duty.project
    assert duty.project.system.digest == open_project(world.project.folder).system.digest
    assert ("tell cellar" in {one.name for one in threading.enumerate()}) == (CELLAR in after)
    duty.close()


def test_a_system_that_can_t_be_read_at_the_start_keeps_no_other_waiting(tmp_path: Path) -> None:
    """Its duty begins as soon as its file holds."""
    whole, broken = write_loans(tmp_path / "loans"), write_loans(tmp_path / "credits")
    config = broken / "kring.toml"
    text = config.read_text().replace('name = "loans"', 'name = "credits"')
    config.write_text("[system")
    said, stopped = list[str](), threading.Event()

    def waited(words: str) -> None:
        for _ in range(600):
            if any(words in line for line in said):
                return
            threading.Event().wait(0.1)
        pytest.fail(f"{words}: {said}")

    running = threading.Thread(
        target=operate, args=((), stopped), kwargs={"say": said.append, "every_s": 0.05, "folders": (broken, whole)}
    )
    running.start()
    try:
        waited("loans is operated here")
        assert [line for line in said if "is not operated before its files can be read" in line] == said[:1]
        assert str(broken) in said[0]
        written = config.with_suffix(".new")
        written.write_text(text)
        written.replace(config)  # whole at once: half a file would be said to be unreadable as well
        waited("credits is operated here")
    finally:
        stopped.set()
        running.join()
    assert len(said) == 3
