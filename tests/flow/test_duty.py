"""The operator on duty: one leads, the other waits; it goes by kring.toml as it is, and on after an end."""

from __future__ import annotations

import itertools
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kring.errors import Busy
from kring.flow.duty.standby import Standby
from kring.flow.duty.turns import Duty
from kring.flow.operating.asking import ask_rollout
from kring.flow.operating.limits import Habits
from kring.flow.operating.operator import operating
from kring.flow.operating.rollout_book import RolloutBook
from kring.flow.project import open_project
from kring.flow.pulling import PullFile
from kring.ports.decision_log import Logged
from kring.record.operator import TrainingAsked
from kring.record.pulled import Pulled
from kring.record.version import Policy
from worlds import HOUR, World, passed, world_in

SECOND = 1_000_000


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Callable[[str], World]]:
    worlds: list[World] = []

    def make(name: str) -> World:
        worlds.append(world_in(tmp_path / name, step_for="20d"))
        return worlds[-1]

    yield make
    for one in worlds:
        one.close()


@pytest.fixture
def world(made: Callable[[str], World]) -> World:
    return made("loans")


def on_duty(world: World, said: list[str], *, holder: str = "a") -> Standby:
    return Standby(world.project, holder=holder, environ={}, say=said.append)


def begun(world: World) -> None:
    """A rollout at its first step, and nobody who leads."""
    world.begin()
    stepped_aside(world)


def stepped_aside(world: World) -> None:
    """The world's own operator leads no more."""
    world.ledger.lease("leader", holder="one", ttl=0.0, now=world.clock.now())


def test_it_moves_a_rollout_from_the_log_and_goes_on_after_an_end(world: World) -> None:
    begun(world)
    said: list[str] = []
    for _ in range(60):
        duty = on_duty(world, said)
        world.decide(100)
        duty.turn()
        duty.close()
        world.operator.refresh()
        if world.rollout.state == "done":
            break
    assert world.walked()[2:] == [("step", 20), ("step", 50), ("promoted", 50), ("baking", 50), ("done", 50)], said


def test_of_two_one_leads_and_the_other_waits(world: World) -> None:
    begun(world)
    first, second = [], []
    one, two = on_duty(world, first), on_duty(world, second, holder="b")
    one.turn()
    two.turn()
    assert first == ["loans is operated here"]
    assert second[0].startswith("loans is operated elsewhere: a holds")
    two.turn()
    assert len(second) == 1, "once is enough"
    one.close()
    two.turn()
    assert second[-1] == "loans is operated here"
    two.close()


def test_it_goes_by_kring_toml_as_it_is(world: World) -> None:
    begun(world)
    said: list[str] = []
    duty = Duty(world.project, holder="a", environ={}, say=said.append)
    duty.turn()
    path = world.project.folder / "kring.toml"
    before = path.read_text()
    path.write_text("[system")
    world.decide(100)
    duty.turn()
    world.operator.refresh()
    assert world.rollout.state == "step", "what can't be read changes nothing"
    assert any("is not gone by as it is now" in line for line in said)
    path.write_text(before.replace("floor = 0.02", "floor = 0.3"))
    world.decide(100)
    duty.turn()
    world.operator.refresh()
    assert (world.rollout.state, world.rollout.brakes) == ("held", ("config_changed",))
    duty.close()


def test_a_clock_that_jumps_holds_until_somebody_has_looked(world: World) -> None:
    begun(world)
    duty = Duty(world.project, holder="a", environ={}, say=print)
    duty._clock = (world.clock.now() - HOUR, world.clock.monotonic())
    duty.turn()
    world.operator.refresh()
    assert (world.rollout.state, world.rollout.brakes) == ("held", ("clock",))
    world.decide(100)
    duty.turn()
    world.operator.refresh()
    assert world.rollout.state == "held"
    duty.close()


def test_a_rollout_that_begins_right_after_an_edit_is_not_held_by_it(world: World) -> None:
    """The operator reads the file behind the state that says of the rollout, however short ago it was edited."""
    begun(world)
    duty = Duty(world.project, holder="a", environ={}, say=print)
    duty.turn()
    ask_rollout(world.project, "abort", reason="another plan", actor="duty")
    path = world.project.folder / "kring.toml"
    path.write_text(path.read_text().replace("floor = 0.02", "floor = 0.3"))
    (world.project.home.versions / "v_3").mkdir()
    with operating(replace(world.project, system=open_project(path.parent).system), holder="release") as hand:
        hand.step([passed("v_3")])
    world.operator.refresh()
    world.decide(100)
    duty.turn()
    world.operator.refresh()
    assert (world.rollout.version, world.rollout.state, world.rollout.brakes) == ("v_3", "step", ())
    duty.close()


def edited(world: World, before: str, after: str) -> Path:
    path = world.project.folder / "kring.toml"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    return path


def test_whoever_takes_over_goes_by_the_file_as_it_is_then(world: World) -> None:
    begun(world)
    one, two = on_duty(world, []), on_duty(world, [], holder="b")
    one.turn()
    two.turn()
    ask_rollout(world.project, "abort", reason="another plan", actor="duty")
    path = edited(world, "floor = 0.02", "floor = 0.3")
    one.close()
    (world.project.home.versions / "v_3").mkdir()
    with operating(replace(world.project, system=open_project(path.parent).system), holder="release") as hand:
        hand.step([passed("v_3")])
    for _ in range(3):
        world.operator.refresh()
        world.decide(100)
        two.turn()
    world.operator.refresh()
    assert (world.rollout.version, world.rollout.state, world.rollout.brakes) == ("v_3", "step", ())
    assert two.project.system.rollout.floor == 0.3
    two.close()


def test_another_file_holds_for_all_that_is_done(world: World) -> None:
    """Who is told, what is watched: no process has to be started anew."""
    begun(world)
    said: list[str] = []
    duty = Duty(world.project, holder="a", environ={}, say=said.append)
    duty.turn()
    told = '\n[[notify]]\nname = "cellar"\nto = "webhook"\nurl = "http://127.0.0.1:9/"\ninner = true\nleast = "page"\n'
    path = world.project.folder / "kring.toml"
    before = path.read_text()
    path.write_text(before + told + "\n[slo]\nsuccess = 0.9\n")
    duty.turn()
    assert "tell cellar" in {one.name for one in threading.enumerate()}
    assert duty._watcher.monitors.system.slo.success == 0.9
    assert said == ["loans goes by another kring.toml from now on"]
    path.write_text(before)
    duty.turn()
    assert "tell cellar" not in {one.name for one in threading.enumerate()}
    duty.close()


def test_an_edit_that_does_not_touch_a_rollout_changes_nothing_of_it(made: Callable[..., World]) -> None:
    left, changed = made("left"), made("changed")
    for world in (left, changed):
        begun(world)
        duty = on_duty(world, [])
        for hour in range(40):
            if world is changed and hour % 7 == 3:
                edited(world, 'owner = "', 'owner = "the new ')
            world.decide(100, bad_new=0.01, bad_old=0.01)
            duty.turn()
            world.operator.refresh()
        duty.close()
    assert changed.walked() == left.walked()
    assert changed.operator.state.progress == left.operator.state.progress


def test_an_edit_while_the_ledger_can_t_be_reached_waits_for_it(world: World) -> None:
    begun(world)
    said: list[str] = []
    duty = on_duty(world, said)
    duty.turn()
    there = world.project.home.ledger
    there.rename(there.with_suffix(".away"))
    edited(world, "floor = 0.02", "floor = 0.3")
    edited(world, 'feedback = "none"', 'feedback = "some"')  # the log is to be heard anew
    duty.turn()
    duty.turn()
    assert "the ledger of loans is gone" in said[-1]
    there.with_suffix(".away").rename(there)
    duty.turn()
    assert said[-1] == "loans is operated here"
    world.operator.refresh()
    assert (world.rollout.state, world.rollout.brakes) == ("held", ("config_changed",))
    duty.close()


def test_a_training_survives_an_edit(world: World) -> None:
    begun(world)
    duty = Duty(world.project, holder="a", environ={}, say=print)
    duty.turn()
    duty._operator.step([TrainingAsked(what="now", actor="ada", reason="new data")])
    duty.turn()
    child = duty._trainer._child
    assert child is not None
    os.killpg(child.pid, signal.SIGSTOP)  # so that it can't have come to its end
    edited(world, 'owner = "', 'owner = "the new ')
    duty.turn()
    assert duty._trainer._child is child
    assert child.poll() is None
    duty.close()
    assert child.poll() is not None, "it is taken up again by whoever leads next"


def test_a_file_that_is_gone_stops_no_judging(world: World) -> None:
    begun(world)
    said: list[str] = []
    duty = on_duty(world, said)
    duty.turn()
    path = world.project.folder / "kring.toml"
    path.rename(path.with_suffix(".away"))
    for _ in range(3):
        world.decide(100, bad_new=0.9)
        duty.turn()
        duty.close()  # who takes over finds no file either
    world.operator.refresh()
    assert world.rollout.state == "rolled_back", said
    path.with_suffix(".away").rename(path)
    duty.turn()
    duty.close()
    assert not [line for line in said if "goes by another" in line], "it is the same as before"


def test_what_is_wrong_with_the_file_is_said_once_and_tried_again(world: World) -> None:
    """A contract may come after the line that names it."""
    begun(world)
    said: list[str] = []
    duty = Duty(world.project, holder="a", environ={}, say=said.append)
    duty.turn()
    folder, contract = world.project.folder, world.project.system.data.contract
    edited(world, f'contract = "{contract}"', 'contract = "later.yaml"')
    duty.turn()
    duty.turn()
    assert len(said) == 1
    (folder / contract).rename(folder / "later.yaml")
    duty.turn()
    assert duty.project.system.data.contract == "later.yaml"
    edited(world, 'name = "loans"', 'name = "credits"')
    duty.turn()
    assert "another name" in said[-1]
    assert duty.project.system.name == "loans"
    duty.close()


def test_a_fault_of_one_system_is_said_once_and_tried_again_later_and_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(world)
    turns, is_broken = list[float](), True

    def hear(self: RolloutBook, logged: Logged) -> None:
        turns.append(world.clock.monotonic())
        if is_broken:
            raise ValueError("ada@example.com owes 4711")
        heard(self, logged)

    heard = RolloutBook.hear
    monkeypatch.setattr(RolloutBook, "hear", hear)
    said: list[str] = []
    duty = on_duty(world, said)
    world.decide(100)
    for _ in range(300):
        duty.turn()
        world.clock.advance(world.clock.now() + SECOND)
    assert [line for line in said if "ValueError in test_duty.py" in line] == said[:1]
    assert len(said) == 1
    assert not [line for line in said if "ada" in line or "4711" in line]
    pauses = [round(later - sooner) for sooner, later in itertools.pairwise(turns)]
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    is_broken = False
    for _ in range(61):
        duty.turn()
        world.clock.advance(world.clock.now() + SECOND)
    assert said[1:] == ["loans is operated here"]
    duty.close()


def test_a_rollback_that_can_t_be_recorded_yet_keeps_nobody_from_judging(world: World) -> None:
    """Upkeep, or a person, is at the ledger: it is told at a later turn."""
    begun(world)
    said: list[str] = []
    duty = on_duty(world, said)
    duty.turn()
    at = world.clock.now()
    PullFile(world.project.home.root, files=world.project.files).add(
        Pulled(version="v_2", at=at, by="ada", reason="complaints")
    )
    world.ledger.lease("operator", holder="upkeep", ttl=60.0, now=at)
    duty.turn()
    assert said == ["loans is operated here"]
    world.ledger.lease("operator", holder="upkeep", ttl=0.0, now=at)
    duty.turn()
    world.operator.refresh()
    assert world.rollout.state == "rolled_back"
    duty.close()


def test_a_live_version_that_can_t_be_opened_keeps_no_training_from_its_end(world: World) -> None:
    begun(world)
    said: list[str] = []
    duty = Duty(world.project, holder="a", environ={}, say=said.append)
    assert duty._limited(passed("v_9")) == passed("v_9"), "which limits there are is for the rollout to refuse"
    assert "v_1" in said[0]
    duty.close()


def test_who_reads_for_long_after_a_training_still_leads(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    edited(world, 'guardrails = ["error", "fallback"]', 'guardrails = ["error", "latency"]')
    world.begin()
    for _ in range(3):
        world.decide(100)
    stepped_aside(world)
    duty, heard = Duty(world.project, holder="a", environ={}, say=print), Habits.hear
    duty.turn()
    duty._policies["v_1"] = Policy(output="probability", threshold=0.5, labels=("no", "yes"), cost={}, currency="")

    def slowly(self: Habits, logged: Logged) -> None:
        if world.clock.now() - before < 60 * SECOND:
            world.clock.advance(world.clock.now() + SECOND)
        with pytest.raises(Busy):
            world.ledger.lease("leader", holder="b", ttl=15.0, now=world.clock.now())
        heard(self, logged)

    monkeypatch.setattr(Habits, "hear", slowly)
    before = world.clock.now()
    assert "latency" in duty._limited(passed("v_9")).limits
    assert world.clock.now() - before > 30 * SECOND
    duty.close()


def test_who_reads_for_long_still_leads(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that needs a second for each frame of a rollout begun before."""
    begun(world)
    world.decide(60)
    duty, heard = on_duty(world, []), RolloutBook.hear

    def slowly(self: RolloutBook, logged: Logged) -> None:
        world.clock.advance(world.clock.now() + SECOND)
        with pytest.raises(Busy):
            world.ledger.lease("leader", holder="b", ttl=15.0, now=world.clock.now())
        heard(self, logged)

    monkeypatch.setattr(RolloutBook, "hear", slowly)
    before = world.clock.now()
    duty.turn()
    assert world.clock.now() - before > 30 * SECOND
    duty.close()
