"""A rollout on a real log and ledger: its states one after the other, and what stops, kills, splits or doubles it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import log
from pathlib import Path

import msgspec
import pytest

from kring.errors import Busy, Conflict, IntegrityError
from kring.flow import adapters, history
from kring.flow.operating.asking import ask_rollout, roll_back
from kring.flow.operating.operator import LEADER, open_operator
from kring.flow.project import open_project
from kring.flow.replaying.rollouts import moves
from kring.host.clock import SimulatedClock
from kring.host.random import SeededRandom
from kring.metrics.ids import decision_block
from kring.record.alarm import Alarm
from kring.record.decision import Outcomes
from kring.record.operator import BatchSealed, OperatorEvent, OperatorState, RollbackAsked
from kring.record.version import Policy
from kring.watch.wording import text
from systems import DAY, day, write_loans
from worlds import HOUR, PLAN, World, answered, passed


class Killed(BaseException):
    """The process ends here."""


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
    told = list(moves(world.ledger))
    assert [(one.was, one.was_step, one.state, one.step) for one in told] == [
        ("step", 20, "step", 50), ("step", 50, "baking", 50), ("baking", 50, "done", 50),
    ]  # fmt: skip
    assert all(proof >= log(20) for one in told for proof in one.proofs.values()), "proof, never its absence"
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


def test_what_is_asked_of_others_is_no_data_of_the_version_on_its_way(made: Callable[..., World]) -> None:
    """The old version answers and the new one is probed each hour, but nobody asks it."""
    world = made(plan=msgspec.structs.replace(PLAN, step_us=2000 * HOUR))
    world.begin()
    world.hour()
    for _ in range(60):
        now = world.clock.now()
        probe = msgspec.structs.replace(answered("v_2", "v_2", "p", at=now), arm="shadow", kind="shadow", subjects=[])
        world.logs[0].append(probe)
        world.logs[0].append(answered("v_1", "v_1", "p", at=now))
        world.hour(units=0)
    assert (world.rollout.state, world.rollout.brakes) == ("held", ("no_data",))
    world.hour()
    assert (world.rollout.state, world.rollout.step) == ("step", 20)


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


@pytest.fixture
def judged(made: Callable[..., World]) -> Judged:
    """A shadow that is proven by outcomes, pair by pair."""
    world = made(
        plan=msgspec.structs.replace(PLAN, guardrails=("error", "outcome"), shadow_us=10 * DAY, label_after_us=HOUR)
    )
    world.operator.step([passed("v_1")])
    world.hour()
    for _ in range(25):
        world.hour(units=0)
    world.operator.step([msgspec.structs.replace(passed("v_2"), limits={"outcome": ()})])
    return Judged(world)


class Judged:
    """A world in which answers are followed by a shadow's and by outcomes."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.start()

    def start(self) -> None:
        """A new process: no version has been opened yet."""
        self.world.start()
        self.world.rounds._policy_of = self.policy_of

    def policy_of(self, version: str) -> Policy:
        if not (self.world.project.home.versions / version).is_dir():
            raise IntegrityError(f"version {version} can't be verified")
        return Policy(output="probability", threshold=0.5, labels=("no", "yes"), cost={}, currency="")

    def hours(self, number: int, *, shadow: float = 0.5) -> None:
        """What is asked, its outcomes, and a shadow that says `shadow` where the live version says 0.5."""
        world = self.world
        assert isinstance(world.clock, SimulatedClock)
        for _ in range(number):
            now = world.clock.now()
            for at in range(now, now + 120_000, 1000):
                said = answered("v_1", "v_1", f"p{at}", at=at)
                id = decision_block(world.logs[0].append(said), 1).tobytes()
                world.logs[0].append(
                    msgspec.structs.replace(
                        said,
                        version="v_2",
                        answered_by="v_2",
                        arm="shadow",
                        kind="shadow",
                        subjects=[],
                        refers=[id],
                        outputs={"probability": [shadow]},
                    )
                )
                world.logs[0].append(Outcomes(system="loans", ids=[id], values=["yes"], at=at + 1, source="test"))
            world.logs[0].commit()
            world.clock.advance(now + 2 * HOUR)
            world.turn()

    @property
    def pairs(self) -> int:
        progress = self.world.operator.state.progress
        return progress.paired_rows if progress else 0


def test_a_version_that_is_deleted_with_its_proof_in_hand_stops_no_turn(judged: Judged) -> None:
    world = judged.world
    judged.hours(2)
    before = judged.pairs
    assert before > 0
    there = world.project.home.versions / "v_2"
    shutil.move(there, there.with_name("kept"))
    judged.hours(2)
    assert world.rollout.state == "held"
    assert "its folder is gone" in world.rollout.reason
    judged.start()
    judged.hours(2)
    assert judged.pairs == before, "what can't be judged is not counted"
    shutil.move(there.with_name("kept"), there)
    assert ask_rollout(world.project, "resume", reason="put back", actor="duty").state == "shadow"
    judged.hours(2)
    assert judged.pairs > before


@pytest.mark.parametrize("is_held", [False, True])
def test_a_shadow_that_is_proven_worse_is_given_up_at_once(judged: Judged, *, is_held: bool) -> None:
    """It has ten days of shadow before it and two more for its proof; outcomes count after an hour."""
    world = judged.world
    judged.hours(1)
    if is_held:
        ask_rollout(world.project, "hold", reason="to look at it", actor="duty")
    began = world.clock.now()
    for _ in range(10):
        if world.rollout.state == "aborted":
            break
        judged.hours(1, shadow=0.1)
    assert world.rollout.state == "aborted", world.rollout.reason
    assert world.clock.now() - began < DAY
    assert "outcome got worse: on" in world.rollout.reason
    assert (world.pointer.live, world.pointer.canary) == ("v_1", "")
    (alarm,) = [one for one in world.operator.state.alarms if one.kind == "release"]
    assert alarm.metric == "worse"
    told = " ".join(text([alarm]).split())
    assert "sure proven: a version that is no worse comes to that in at most 5 of 100 rollouts" in told
    assert "Nobody got its answers" in told


def test_a_version_that_is_deleted_while_nobody_operates_is_held(judged: Judged) -> None:
    world = judged.world
    judged.hours(2)
    shutil.rmtree(world.project.home.versions / "v_2")
    judged.start()
    judged.hours(1)
    assert world.rollout.state == "held"
    assert ask_rollout(world.project, "abort", reason="it is gone", actor="duty").state == "aborted"


def test_a_clock_that_jumped_while_nothing_was_on_its_way_holds_nothing(made: Callable[..., World]) -> None:
    world = made()
    world.operator.step([passed("v_1")])
    world.until("done", hours=30, units=0)
    world.rounds.turn(lambda: world.follower.cursors, brakes=("clock",))
    assert world.operator.state.brakes == ()
    world.operator.step([passed("v_2")])
    world.hour()
    assert (world.rollout.state, world.rollout.brakes) == ("step", ())


def test_a_new_rollout_begins_without_the_brakes_of_the_one_before(made: Callable[..., World]) -> None:
    world = made()
    world.begin()
    world.rounds.turn(lambda: world.follower.cursors, brakes=("clock",))
    assert (world.rollout.state, world.rollout.brakes) == ("held", ("clock",))
    world.operator.step([passed("v_3")])
    (world.project.home.versions / "v_3").mkdir()
    world.hour()
    assert (world.rollout.version, world.rollout.state) == ("v_3", "step")


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
