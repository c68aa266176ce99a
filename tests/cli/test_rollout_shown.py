"""`kring rollout show`, `hold`, `resume`, `abort`: what they say to somebody who was woken, and what they refuse."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kring.flow.operating.showing import show as shown
from kring.flow.project import open_project
from kring.host.clock import SimulatedClock
from kring.host.random import SeededRandom
from systems import day, kring, write_loans
from worlds import World

STEPS = """shadow = "0s"
steps = [20, 50]
guardrails = ["error", "fallback"]
min_units = 200
bake = "1d"
floor = 0.02
step_for = "2d"
"""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    folder = write_loans(tmp_path / "loans")
    text = (folder / "kring.toml").read_text().replace('shadow = "2d"\nbake = "1d"\n', STEPS)
    (folder / "kring.toml").write_text(text)
    own = open_project(folder)
    there = own.at(home=folder / ".kring", clock=SimulatedClock(day(1)), random=SeededRandom(0), actor="test")
    made = World(there, plan=own.system.rollout)
    made.operator.project = there
    yield made
    made.close()


def show(world: World) -> str:
    """The page, with its lines as long as they are meant: commands end theirs."""
    told = kring("rollout", "show", world.project.folder)
    assert told.code == 0, told.err
    assert all(len(line) <= 100 or "/" in line or "─" in line for line in told.out.splitlines()), told.out
    return re.sub(r"\n +(?=[a-z0-9])(?!kring)", " ", told.out)


def test_a_step_says_who_answers_what_is_missing_and_what_to_do(world: World) -> None:
    world.begin()
    world.hour()
    page = show(world)
    assert "v_2 (canary, 20 %) answers 20 % of the traffic, since 2024-01-0" in page
    assert "v_1 (live) answers 80 %; the new one, v_2 (canary, 20 %), the rest." in page
    assert "Evidence of harm stands at 1, where 1 is none; at 20 a version is rolled back by itself." in page
    assert "of 200 units of the new version at 20 %" in page
    assert "None seems to run" in page, "the world of the test ended years ago"
    assert f"kring operate {world.project.folder}\n" in page
    assert f"kring rollback {world.project.folder} --reason '…'\n" in page


def test_what_runs_goes_on_by_itself_and_what_nobody_runs_does_not(world: World) -> None:
    world.begin()
    world.hour()
    found = shown(world.project)
    assert "Nothing: it goes on, or back, by itself." in found.todo
    assert any(one.startswith("Without proof by 2024-01-0") for one in found.missing)
    assert found.roles == {"v_1": "live", "v_2": "canary, 20 %"}
    late = shown(replace(world.project, clock=SimulatedClock(world.clock.now() + 3 * 86_400_000_000)))
    assert "Nothing: it goes on, or back, by itself." not in late.todo
    assert any("None seems to run" in one for one in late.missing)


def test_a_rollback_is_told_before_it_is_done(world: World) -> None:
    world.begin()
    world.hour()
    told = kring("rollback", world.project.folder, "--reason", "trying it")
    assert told.code == 0, told.err
    assert told.out.startswith("v_2 (canary, 20 %) goes, v_1 (live) answers everything; the rollout of v_2 ends.\n")
    assert "next: kring status" in told.out
    again = kring("rollback", world.project.folder, "--reason", "again")
    assert (again.code, again.out) == (1, "")
    assert "nothing was changed" in again.err
    assert "which answers on" in again.err


def test_a_rollback_says_by_what_proof(world: World) -> None:
    world.begin()
    world.until("rolled_back", hours=10, bad_new=0.3, bad_old=0.01)
    page = show(world)
    assert "v_2 (gone) was ROLLED BACK by proof at 2024-01-0" in page
    assert "error got worse" in page
    assert "v_1 (live) answers everything." in page
    assert "The rollout needs nothing" in page


def test_what_is_held_says_why_and_how_it_goes_on(world: World) -> None:
    world.begin()
    folder = world.project.folder
    held = kring("hold", folder, "--reason", "let me look", "--by", "duty", "--json")
    assert (held.code, held.json["state"], held.json["step"]) == (0, "held", 20)
    page = show(world)
    assert "v_2 (canary, 20 %) WAITS at 20 % of the traffic" in page
    assert "let me look" in page
    assert f"kring resume {world.project.folder}" in page
    again = kring("hold", folder, "--reason", "again")
    assert again.code == 1
    assert "it is held already: kring resume lets it go on" in again.err
    resumed = kring("resume", folder, "--reason", "fine", "--json")
    assert (resumed.json["state"], resumed.json["step"]) == ("step", 20)
    aborted = kring("abort", folder, "--reason", "no")
    assert aborted.code == 0
    assert "was given up" in show(world)


def test_an_edited_configuration_is_said_and_not_resumed(world: World) -> None:
    world.begin()
    path = world.project.folder / "kring.toml"
    before = path.read_text()
    path.write_text(before.replace("floor = 0.02", "floor = 0.2"))
    kring("hold", world.project.folder, "--reason", "edited")
    refused = kring("resume", world.project.folder, "--reason", "go")
    assert refused.code == 1
    assert "put kring.toml back as it was" in refused.err
    path.write_text(before)
    assert kring("resume", world.project.folder, "--reason", "go").code == 0


def test_a_second_release_is_refused_while_one_is_under_way(world: World) -> None:
    world.begin()
    told = kring("release", world.project.folder)
    assert told.code == 3
    assert "two at once would spoil each other's tests" in told.err
    assert "kring rollout show" in told.err


@pytest.mark.parametrize("words", [("hold",), ("resume",), ("abort",), ("rollback",)])
def test_each_wants_a_reason(world: World, words: tuple[str, ...]) -> None:
    told = kring(*words, world.project.folder)
    assert told.code == 2
    assert "--reason" in told.err


@pytest.mark.parametrize("words", [("hold", "--reason", "x"), ("resume", "--reason", "x"), ("abort", "--reason", "x")])
def test_without_a_rollout_there_is_nothing_to_ask(tmp_path: Path, words: tuple[str, ...]) -> None:
    folder = write_loans(tmp_path / "loans")
    told = kring(words[0], folder, *words[1:])
    assert told.code == 1
    assert "no rollout is under way: kring release starts one" in told.err
    shown = kring("rollout", "show", folder)
    assert shown.code == 2
    assert "has no rollout yet" in shown.err
