"""R20 several promote at once, R21 a rollback beside a promotion: in orders that seeds draw, on a real ledger."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from schedules import Op, Stepped, Turns, happened_in_some_order

from kring.errors import Conflict
from kring.flow import adapters, history
from kring.flow.operating.operator import Operator, open_operator
from kring.flow.project import Project, open_project
from kring.host.clock import SimulatedClock
from kring.host.random import SeededRandom
from kring.ports.ledger import Ledger
from kring.record.operator import OperatorState, RollbackAsked, ShadowCompared
from kring.record.rollout import Pointer
from kring.record.running import RolloutPlan
from systems import DAY, day, write_loans
from worlds import passed

SHORT, LONG = 100, 1000
CLIENTS = ("ann", "ben", "cyd")
AT_ONCE = RolloutPlan(shadow_us=0, steps=(), holdback=0.0, guardrails=("error",))
BY_SHADOW = RolloutPlan(shadow_us=DAY, steps=(), holdback=0.0, guardrails=("error",))


class Place:
    """A system with a live version, and a connection to its ledger for each client."""

    def __init__(self, folder: Path, stack: ExitStack, *, plan: RolloutPlan) -> None:
        project = open_project(write_loans(folder))
        self.project: Project = replace(
            project,
            system=msgspec.structs.replace(project.system, rollout=plan),
            clock=SimulatedClock(day(1)),
            random=SeededRandom(0),
        )
        self.ledgers: dict[str, Ledger] = {}
        for name in (*CLIENTS, "by hand"):
            ledger = adapters.open_ledger(self.project.home.ledger, system="loans")
            stack.callback(ledger.close)
            self.ledgers[name] = ledger
        self.operator("by hand", self.ledgers["by hand"]).step([passed("v_0")])

    def operator(self, name: str, ledger: Ledger, *, patient: bool = False) -> Operator:
        return open_operator(self.project, ledger, holder=name, retrain=None, right=name, patient=patient)

    @property
    def state(self) -> OperatorState:
        return history.get(self.ledgers["by hand"], OperatorState, "operator")

    @property
    def pointer(self) -> Pointer:
        assert self.state.pointer is not None
        return self.state.pointer


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def promoting(place: Place, turns: Turns, name: str, said: list[Op], *, times: int, seed: int) -> None:
    """So many versions put in place of what was read before, each with a name of its own; and a look."""
    ledger = Stepped(place.ledgers[name], turns, name)
    for number in range(times):
        version = f"v_{seed}_{name}_{number}"
        operator = place.operator(name, ledger)
        began, expected = turns.moment, operator.state.seq
        try:
            operator.step([passed(version)])
            op = Op(began, turns.moment, version, expected, won=True, told=operator.state.seq)
        except Conflict as error:
            told = int(error.got.removeprefix("step "))
            op = Op(began, turns.moment, version, expected, won=False, told=told)
        said.append(op)
        began = turns.moment
        state = history.get(ledger, OperatorState, "operator")
        assert state.pointer is not None
        said.append(Op(began, turns.moment, "", 0, won=False, told=state.seq, live=state.pointer.live))


def promoted_at_once(place: Place, seed: int) -> list[Op]:
    """One schedule; what everybody was told is held against a register that knows nothing of operators."""
    before, generation = place.state, place.pointer.generation
    turns, said = Turns(random.Random(seed)), list[Op]()
    times = 1 + seed % 2
    turns.run({name: lambda name=name: promoting(place, turns, name, said, times=times, seed=seed) for name in CLIENTS})
    assert before.pointer is not None
    assert happened_in_some_order(said, seq=before.seq, live=before.pointer.live), said
    won = [op for op in said if op.won]
    assert len({op.expected for op in won}) == len(won) >= 1, "of those that had read the same, one wins"
    assert place.pointer.generation == generation + len(won)
    assert place.pointer.live == max(won, key=lambda op: op.told).version
    return said


def schedules(folder: Path, stack: ExitStack, seeds: range) -> list[Op]:
    place, said = Place(folder / "loans", stack, plan=AT_ONCE), list[Op]()
    for seed in seeds:
        try:
            said += promoted_at_once(place, seed)
        except BaseException as error:
            raise AssertionError(f"seed {seed}") from error
    place.ledgers["by hand"].verify()
    return said


def test_of_several_that_promote_at_once_one_wins(tmp_path: Path, stack: ExitStack) -> None:
    said = schedules(tmp_path, stack, range(SHORT))
    lost = [op for op in said if op.version and not op.won]
    assert len(lost) > SHORT, "they did meet"
    assert all(op.told > op.expected for op in lost), "whoever lost is told where the state is now"


@pytest.mark.long
def test_of_several_that_promote_at_once_one_wins_a_thousand_times(tmp_path: Path, stack: ExitStack) -> None:
    schedules(tmp_path, stack, range(SHORT, LONG))


def test_the_check_finds_what_can_not_have_happened() -> None:
    """Two that both won over the same state, a reader who saw the past, a loser told a wrong number."""
    first = Op(0, 5, "v_1", 1, won=True, told=2)
    assert happened_in_some_order([first, Op(1, 6, "v_2", 1, won=False, told=2)], seq=1, live="v_0")
    assert not happened_in_some_order([first, Op(1, 6, "v_2", 1, won=True, told=2)], seq=1, live="v_0")
    assert not happened_in_some_order([first, Op(1, 6, "v_2", 1, won=False, told=3)], seq=1, live="v_0")
    late = Op(6, 7, "", 0, won=False, told=1, live="v_0")
    assert not happened_in_some_order([first, late], seq=1, live="v_0")
    assert happened_in_some_order([first, replace(late, began=4)], seq=1, live="v_0")


@pytest.mark.parametrize("start", range(0, SHORT, 25))
def test_a_rollback_wins_over_a_promotion_in_any_order(tmp_path: Path, stack: ExitStack, start: int) -> None:
    """The operator promotes by its own judgement while a person goes back; each decides anew when it comes second."""
    place = Place(tmp_path / "loans", stack, plan=BY_SHADOW)
    for seed in range(start, start + 25):
        try:
            rolled_back_beside(place, seed)
        except BaseException as error:
            raise AssertionError(f"seed {seed}") from error


def rolled_back_beside(place: Place, seed: int) -> None:
    version, clock = f"v_{seed + 1}", place.project.clock
    assert isinstance(clock, SimulatedClock)
    place.operator("by hand", place.ledgers["by hand"]).step([passed(version)])
    assert place.state.rollout is not None
    assert place.state.rollout.state == "shadow"
    clock.advance(clock.now() + 2 * DAY)
    said = ShadowCompared(version=version, rows=500, failures=0, agreement=1.0, mean_difference=0.0)
    turns = Turns(random.Random(seed))

    def promotes() -> None:
        place.operator("ann", Stepped(place.ledgers["ann"], turns, "ann"), patient=True).step([said])

    def goes_back() -> None:
        operator = place.operator("ben", Stepped(place.ledgers["ben"], turns, "ben"), patient=True)
        operator.step([RollbackAsked(actor="ben", reason="complaints")])

    turns.run({"ann": promotes, "ben": goes_back})
    assert place.pointer.live == "v_0"
    assert place.state.rollout is not None
    assert (place.state.rollout.state, place.state.rollout.actor) == ("rolled_back", "ben")
