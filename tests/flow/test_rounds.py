"""A rollout on a real log and ledger: its states one after the other, and what stops, kills, splits or doubles it."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from kring.errors import Busy, Conflict
from kring.flow import adapters, history
from kring.flow.operating.asking import ask_rollout, roll_back
from kring.flow.operating.following import Follower
from kring.flow.operating.operator import LEADER, Operator, open_operator
from kring.flow.operating.rounds import Rounds
from kring.flow.project import Project, open_project
from kring.host.clock import SimulatedClock
from kring.host.random import SeededRandom
from kring.metrics.assignment import assigned, unit_names
from kring.ports.ledger import Ledger
from kring.record.alarm import Alarm
from kring.record.decision import Decisions
from kring.record.operator import BatchSealed, OperatorEvent, OperatorState, Retrained, RollbackAsked
from kring.record.rollout import Pointer, Rollout
from kring.record.running import RolloutPlan
from kring.serve.decider import UNANSWERED
from kring.stores.file import FileLog, open_log
from systems import day, write_loans

HOUR = 3_600_000_000
PLAN = RolloutPlan(
    shadow_us=0, steps=(20, 50), guardrails=("error", "fallback"), min_units=200, bake_us=24 * HOUR, floor=0.02,
    step_us=48 * HOUR,
)  # fmt: skip


class Killed(BaseException):
    """The process ends here."""


class World:
    """A system whose decisions are made by the hash alone, an hour at a time."""

    def __init__(self, project: Project, *, writers: int = 1, plan: RolloutPlan = PLAN, seed: int = 1) -> None:
        system = msgspec.structs.replace(
            project.system, rollout=plan, data=msgspec.structs.replace(project.system.data, subject="email")
        )
        self.project = replace(project, system=system)
        self.clock = project.clock
        self.logs: list[FileLog] = [
            open_log(project.home.log, files=project.files, writer=number, system=system.name)
            for number in range(writers)
        ]
        self.chance = random.Random(seed)
        self.ledger: Ledger = adapters.open_ledger(project.home.ledger, system=system.name)
        for version in ("v_1", "v_2"):
            (project.home.versions / version).mkdir(parents=True, exist_ok=True)
        self.deaths = -1
        self.start()

    def start(self) -> None:
        """A new process: all that was in memory is gone."""
        self.operator: Operator = open_operator(
            self.project, self.ledger, holder="one", retrain=None, right=LEADER, seconds=40 * 86_400, patient=True
        )
        history_ = adapters.read_log(self.project.home.log, system=self.project.system.name)
        self.follower = Follower(history_, {})
        self.rounds = Rounds(
            self.operator, task=self.project.task, policy_of=lambda _: pytest.fail("no outcome is judged here"),
            log=history_, folder=self.project.home.log,
        )  # fmt: skip

    def begin(self) -> None:
        """The first version answers, the second is on its way."""
        self.operator.step([passed("v_1")])
        self.hour()
        for _ in range(25):
            self.hour(units=0)
        self.operator.step([passed("v_2")])
        self.turn()

    def hour(self, *, units: int = 100, bad_new: float = 0.0, bad_old: float = 0.0) -> None:
        """An hour of decisions, then a turn of the operator."""
        self.decide(units, bad_new=bad_new, bad_old=bad_old)
        self.turn()

    def decide(self, units: int, *, bad_new: float = 0.0, bad_old: float = 0.0) -> None:
        pointer, now = self.operator.state.pointer, self.clock.now() + HOUR
        assert isinstance(self.clock, SimulatedClock)
        assert pointer is not None
        people = [f"p{self.chance.randrange(10**9)}" for _ in range(units)]
        names = unit_names(people, pointer.unit, at=now)
        canary = (
            assigned(names, salt=pointer.salt, share=pointer.share, highest=pointer.highest).tolist()
            if pointer.canary
            else [False] * units
        )
        for number, (person, is_canary) in enumerate(zip(people, canary, strict=True)):
            version = pointer.canary if is_canary else pointer.live
            rate = bad_new if version == "v_2" else bad_old
            by = UNANSWERED if self.chance.random() < rate else version
            self.logs[number % len(self.logs)].append(answered(version, by, person, at=now - HOUR + number))
        for log in self.logs:
            log.commit()
        self.clock.advance(now)

    def turn(self) -> None:
        self.operator.refresh()
        for logged in self.follower.news(until=self.clock.now()):
            self.rounds.hear(logged)
        self.rounds.turn(lambda: self.follower.cursors)

    @property
    def rollout(self) -> Rollout:
        assert self.operator.state.rollout is not None
        return self.operator.state.rollout

    @property
    def pointer(self) -> Pointer:
        assert self.operator.state.pointer is not None
        return self.operator.state.pointer

    def until(self, *states: str, hours: int = 200, **how: float) -> None:
        for _ in range(hours):
            if self.rollout.state in states:
                return
            self.hour(**how)  # type: ignore[arg-type]
        pytest.fail(f"still {self.rollout.state} at {self.rollout.step} %: {self.rollout.reason}")

    def walked(self) -> list[tuple[str, int]]:
        """The states of the newest rollout, as the ledger tells them."""
        moves = [one for one in history.all_of(self.ledger, Rollout) if one.id == self.rollout.id]
        return [(one.state, one.step) for one in moves]

    def close(self) -> None:
        self.ledger.close()
        for log in self.logs:
            log.close()


def passed(version: str) -> Retrained:
    return Retrained(trigger="test", result="pass", reason="gate passed", run="r", version=version)


def answered(version: str, by: str, person: str, *, at: int) -> Decisions:
    return Decisions(
        system="loans", version=version, answered_by=by, arm="live", kind="online", at=at, n=1, inputs={},
        outputs={"probability": [0.5]}, latency_us=900, subjects=[person],
    )  # fmt: skip


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., World]:
    own = open_project(write_loans(tmp_path / "loans"))
    worlds: list[World] = []

    def make(name: str = "home", **how: object) -> World:
        there = own.at(home=tmp_path / name, clock=SimulatedClock(day(1)), random=SeededRandom(0), actor="test")
        worlds.append(World(there, **how))  # type: ignore[arg-type]
        return worlds[-1]

    yield make
    for one in worlds:
        one.close()


WAY = [
    ("draft", 0), ("validating", 0), ("step", 20), ("step", 50), ("promoted", 50), ("baking", 50), ("done", 50),
]  # fmt: skip


def test_a_good_version_walks_every_step_and_answers_at_the_end(made: Callable[..., World]) -> None:
    world = made()
    world.begin()
    assert (world.pointer.canary, world.pointer.share, world.pointer.live) == ("v_2", 0.2, "v_1")
    world.until("baking")
    assert (world.pointer.canary, world.pointer.share, world.pointer.live) == ("v_1", 0.05, "v_2")
    assert world.pointer.highest, "who had the new version does not go back"
    world.until("done")
    assert world.walked() == WAY
    assert (world.pointer.canary, world.pointer.live, world.pointer.previous) == ("", "v_2", "v_1")
    sealed = list(history.all_of(world.ledger, BatchSealed))
    assert [one.batch for one in sealed] == list(range(1, len(sealed) + 1))
    assert all(one.units >= 100 for one in sealed)


def test_a_version_that_fails_is_rolled_back_and_told(made: Callable[..., World]) -> None:
    world = made()
    world.begin()
    world.until("rolled_back", hours=10, bad_new=0.3, bad_old=0.01)
    assert world.walked()[-3:] == [("step", 20), ("rolling_back", 20), ("rolled_back", 20)]
    assert (world.pointer.live, world.pointer.canary) == ("v_1", "")
    alarm = next(history.all_of(world.ledger, Alarm))
    assert (alarm.kind, alarm.metric) == ("release", "rolled_back")
    assert "error got worse" in alarm.what


def test_a_version_that_fails_only_at_the_end_goes_back_from_baking(made: Callable[..., World]) -> None:
    world = made()
    world.begin()
    world.until("baking")
    world.until("rolled_back", hours=24, bad_new=0.4)
    assert (world.pointer.live, world.pointer.canary) == ("v_1", "")


def test_no_data_holds_and_data_lets_it_go_on(made: Callable[..., World]) -> None:
    world = made(plan=msgspec.structs.replace(PLAN, step_us=2000 * HOUR))
    world.begin()
    world.hour()
    world.until("held", hours=60, units=0)
    assert world.rollout.brakes == ("no_data",)
    world.hour()
    assert (world.rollout.state, world.rollout.step) == ("step", 20)
    world.until("done")
    assert [one for one in world.walked() if one[0] != "held"][-3:] == WAY[-3:]


def test_a_step_without_proof_in_its_time_is_held(made: Callable[..., World]) -> None:
    world = made(plan=msgspec.structs.replace(PLAN, min_units=100_000))
    world.begin()
    world.until("held", hours=60)
    assert "the time for 20 % is over" in world.rollout.reason
    assert world.pointer.share == 0.2, "traffic stays as it is"
    resumed = ask_rollout(world.project, "resume", reason="more time", actor="duty")
    assert (resumed.state, resumed.step) == ("step", 20)


def test_an_edited_configuration_holds_until_it_is_put_back(made: Callable[..., World]) -> None:
    world = made()
    world.begin()
    before = world.project
    edited = msgspec.structs.replace(before.system, rollout=msgspec.structs.replace(PLAN, alpha=0.2))
    world.operator.project = replace(before, system=edited)
    world.hour()
    assert (world.rollout.state, world.rollout.brakes) == ("held", ("config_changed",))
    world.operator.project = before
    world.hour()
    assert world.rollout.state == "held", "a person looks at it first"
    assert ask_rollout(before, "resume", reason="put back", actor="duty").state == "step"


def test_a_version_that_is_deleted_waits_and_the_live_one_answers(made: Callable[..., World]) -> None:
    world = made()
    world.begin()
    shutil.rmtree(world.project.home.versions / "v_2")
    world.hour()
    assert world.rollout.state == "held"
    assert "its folder is gone" in world.rollout.reason
    assert (world.pointer.live, world.pointer.canary) == ("v_1", "")
    assert [one.metric for one in history.all_of(world.ledger, Alarm)] == ["held"]


def test_a_second_version_waits_for_the_first(made: Callable[..., World]) -> None:
    world = made()
    world.begin()
    world.operator.step([passed("v_3")])
    assert (world.rollout.version, world.rollout.state) == ("v_2", "step")
    assert [one.metric for one in history.all_of(world.ledger, Alarm)] == ["waiting"]


def test_people_hold_resume_and_abort_beside_the_operator(made: Callable[..., World]) -> None:
    world = made()
    world.begin()
    assert ask_rollout(world.project, "hold", reason="look", actor="duty").state == "held"
    world.operator.refresh()
    world.hour()
    assert world.rollout.state == "held"
    assert ask_rollout(world.project, "abort", reason="no", actor="duty").state == "aborted"
    world.operator.refresh()
    assert (world.pointer.live, world.pointer.canary) == ("v_1", "")


def test_a_rollback_of_a_canary_takes_its_share(made: Callable[..., World]) -> None:
    world = made()
    world.begin()
    back = roll_back(world.project, reason="complaints", actor="duty")
    assert (back.pointer.live, back.canary) == ("v_1", "v_2")
    world.hour()
    assert world.rollout.state == "rolled_back"
    assert world.pointer.canary == ""


@pytest.mark.parametrize("dies_at", range(1, 24, 3))
def test_killed_after_any_commit_it_goes_on_as_if_nothing_had_been(dies_at: int, made: Callable[..., World]) -> None:
    """The process dies when the commit is on the ledger and nothing after it has happened."""
    plan = msgspec.structs.replace(PLAN, floor=0.05)
    straight, broken = made("straight", plan=plan), made("broken", plan=plan)
    commits = 0
    for world in (straight, broken):
        world.begin()
    real = broken.operator._commit

    def dies(state: OperatorState, commands: Sequence[object], events: Sequence[OperatorEvent]) -> None:
        nonlocal commits
        real(state, commands, events)  # type: ignore[arg-type]
        commits += 1
        if commits == dies_at:
            raise Killed

    broken.operator._commit = dies  # type: ignore[method-assign]
    for _ in range(60):
        straight.hour(bad_old=0.01, bad_new=0.01)
        try:
            broken.hour(bad_old=0.01, bad_new=0.01)
        except Killed:
            broken.start()
            broken.turn()
    assert commits >= dies_at, "it was killed"
    assert broken.walked() == straight.walked()
    assert broken.rollout.state in ("baking", "done")
    assert broken.operator.state.progress == straight.operator.state.progress


@pytest.mark.parametrize("writers", [2, 3])
def test_how_decisions_are_spread_over_writers_changes_nothing(writers: int, made: Callable[..., World]) -> None:
    one, several = made("one"), made("several", writers=writers)
    for world in (one, several):
        world.begin()
        for _ in range(30):
            world.hour(bad_old=0.02, bad_new=0.02)
    assert several.operator.state.progress == one.operator.state.progress
    assert several.walked() == one.walked()


def test_a_restart_between_batches_loses_nothing(made: Callable[..., World]) -> None:
    """What was heard and not yet sealed is heard again."""
    straight, restarted = made("straight"), made("restarted")
    for world in (straight, restarted):
        world.begin()
        for _ in range(30):
            world.hour(units=37, bad_old=0.02, bad_new=0.02)
            if world is restarted:
                world.start()
    assert restarted.operator.state.progress == straight.operator.state.progress


def test_a_leader_that_slept_is_kept_out_by_its_token(made: Callable[..., World]) -> None:
    world = made()
    world.begin()
    with pytest.raises(Busy):
        open_operator(world.project, world.ledger, holder="two", retrain=None, right=LEADER, patient=True)
    later = replace(world.project, clock=SimulatedClock(world.clock.now() + 50 * 24 * HOUR))
    other = adapters.open_ledger(world.project.home.ledger, system="loans")
    woken = open_operator(later, other, holder="two", retrain=None, right=LEADER, patient=True)
    with pytest.raises(Conflict):
        world.until("done", hours=80)
    assert woken.state.rollout is not None
    other.close()


def test_a_rollback_wins_whatever_else_is_in_the_same_batch(made: Callable[..., World]) -> None:
    world = made()
    world.begin()
    world.until("baking")
    events: list[OperatorEvent] = [passed("v_3"), RollbackAsked(actor="duty", reason="complaints")]
    world.operator.step(events)
    assert world.pointer.live == "v_1"
