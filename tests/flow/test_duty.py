"""The operator on duty: one leads, the other waits; it goes by kring.toml as it is, and on after an end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kring.flow.duty.turns import Duty, Standby
from kring.flow.operating.asking import ask_rollout
from kring.flow.operating.operator import operating
from kring.flow.project import open_project
from kring.host.clock import SimulatedClock
from kring.host.random import SeededRandom
from systems import day, write_loans
from worlds import HOUR, World, passed

STEPS = """shadow = "0s"
steps = [20, 50]
guardrails = ["error", "fallback"]
min_units = 200
bake = "1d"
floor = 0.02
step_for = "20d"
"""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    folder = write_loans(tmp_path / "loans")
    text = (folder / "kring.toml").read_text().replace('shadow = "2d"\nbake = "1d"\n', STEPS)
    (folder / "kring.toml").write_text(text)
    own = open_project(folder)
    there = own.at(home=folder / ".kring", clock=SimulatedClock(day(1)), random=SeededRandom(0), actor="test")
    made = World(there, plan=own.system.rollout)
    made.project = made.operator.project = there
    yield made
    made.close()


def on_duty(world: World, said: list[str], *, holder: str = "a") -> Standby:
    return Standby(world.project, holder=holder, environ={}, say=said.append)


def begun(world: World) -> None:
    """A rollout at its first step, and nobody who leads."""
    world.begin()
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
