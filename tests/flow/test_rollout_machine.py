"""A rollout under every order of events: no step is skipped, nobody answers who should not, a rollback wins."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import pytest

from kring.errors import Conflict
from kring.flow import adapters, history
from kring.flow.operating.operator import Operator, open_operator
from kring.flow.operator.fold import fold
from kring.flow.project import Project, open_project
from kring.host.clock import SimulatedClock
from kring.host.random import SeededRandom
from kring.record.operator import (
    BatchSealed,
    Braked,
    Looked,
    MoveRollout,
    OperatorEvent,
    OperatorState,
    Retrained,
    RollbackAsked,
    RolloutAsked,
    SetPointer,
    ShadowCompared,
    VersionLost,
)
from kring.record.progress import Arms, Cohort, Counted, Counts, Look
from kring.record.rollout import TRANSITIONS, Pointer, Rollout
from kring.record.running import RolloutPlan
from kring.record.system import System
from systems import BARE, write_loans

HOUR = 3_600_000_000
SYSTEM = msgspec.structs.replace(
    BARE,
    name="lights",
    rollout=RolloutPlan(
        shadow_us=HOUR,
        steps=(1, 10, 50),
        bake_us=2 * HOUR,
        min_units=100,
        step_us=30 * HOUR,
        floor=0.05,
        guardrails=("error", "fallback"),
    ),
)  # fmt: skip


def passed(version: str) -> Retrained:
    return Retrained(trigger="test", result="pass", reason="gate passed", run="r", version=version)


def sealed(state: OperatorState, now: int) -> BatchSealed:
    assert state.rollout is not None
    number = state.sealed.batch + 1 if state.sealed else 1
    return BatchSealed(rollout=state.rollout.id, batch=number, cuts=((0, (1, number)),), units=200, at=now)


def looked(state: OperatorState, *, bad: int) -> Looked:
    """A batch of which each arm has 200 units, `bad` of the new ones."""
    assert state.rollout is not None
    assert state.sealed is not None
    batch = state.sealed.batch
    counts = Counts(
        cohorts=(Cohort(batch, 200, 200, bad, 0),) if bad else (), new_good=200 - bad, new_bad=bad, old_good=200
    )
    pointer = state.pointer
    share = 0.95 if pointer and pointer.highest else pointer.share if pointer else 0.0
    arms = (Arms(share, 200, round(200 / share) - 200),) if share else ()
    both = tuple(Counted(name=name, parts=(counts,)) for name in ("error", "fallback"))
    return Looked(rollout=state.rollout.id, look=Look(batch=batch, arms=arms, guardrails=both))


KINDS = (
    "nothing",
    "seal",
    "look",
    "look",
    "look",
    "shadow",
    "shadow",
    "brake",
    "off",
    "hold",
    "resume",
    "abort",
    "lost",
)


def any_event(state: OperatorState, chance: random.Random, now: int) -> list[OperatorEvent]:
    rollout = state.rollout
    if rollout is None or chance.random() < 0.07:
        return [passed(f"v_{chance.randrange(10**6)}")]
    kind = chance.choice(KINDS) if chance.random() < 0.95 else "rollback"
    if kind == "look" and state.sealed is not None:
        return [looked(state, bad=chance.choice([0, 0, 0, 40]))]
    if kind == "lost" and chance.random() < 0.9:
        kind = "nothing"
    said = ShadowCompared(version=rollout.version, rows=100, failures=0, agreement=0.9, mean_difference=0.1)
    brake = chance.choice(["no_data", "read_only", "clock"])
    events: dict[str, list[OperatorEvent]] = {
        "nothing": [],
        "shadow": [said],
        "brake": [Braked(brakes=(brake,))],  # type: ignore[arg-type]
        "off": [Braked(brakes=())],
        "lost": [VersionLost(version=rollout.version, why="gone")],
        "rollback": [RollbackAsked(actor="duty", reason="complaints")],
        "seal": [sealed(state, now)],
        "look": [sealed(state, now)],
    }
    return events[kind] if kind in events else [RolloutAsked(what=kind, actor="duty", reason="why not")]  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(20))
def test_every_walk_keeps_to_the_table_and_its_steps(seed: int) -> None:
    seen: set[str] = set()
    for walk in range(8):
        chance, now, state = random.Random(seed * 1000 + walk), 0, OperatorState(system="lights")
        before: Rollout | None = None
        for _ in range(40):
            now += chance.randrange(2 * HOUR)
            state, commands = fold(SYSTEM, state, any_event(state, chance, now), now=now)
            for command in commands:
                if isinstance(command, MoveRollout):
                    keeps_to_the_table(before, command.rollout)
                    before = command.rollout
                    seen.add(before.state)
            answers_are_right(state)
    assert {"shadow", "held", "aborted"} <= seen, f"seed {seed} saw only {sorted(seen)}"


def keeps_to_the_table(before: Rollout | None, after: Rollout) -> None:
    if before is None or before.id != after.id:
        assert after.state == "draft"
        return
    assert after.state in TRANSITIONS[before.state]
    assert after.seq == before.seq + 1
    steps = after.terms.steps if after.terms else ()
    if after.state == "step" and before.state != "held":
        assert after.step == next(step for step in steps if step > before.step)
    if after.state == "promoted" and before.state == "step":
        assert before.step == steps[-1]
    if before.state == "held" and after.state in ("shadow", "step", "baking"):
        assert (after.state, after.step) == (before.before, before.step)


def answers_are_right(state: OperatorState) -> None:
    """Who answers follows from the state of the rollout, and from nothing else."""
    rollout, pointer = state.rollout, state.pointer
    if rollout is None or pointer is None or rollout.terms is None:
        return
    if rollout.state in ("draft", "validating", "shadow", "rolled_back", "aborted", "done"):
        assert pointer.canary == ""
    if rollout.state in ("shadow", "step", "aborted"):
        assert pointer.live == rollout.previous
    if rollout.state == "step":
        assert (pointer.canary, pointer.share) == (rollout.version, rollout.step / 100)
    if rollout.state == "baking":
        assert (pointer.live, pointer.canary, pointer.highest) == (rollout.version, rollout.previous, True)
    if rollout.state == "rolled_back":
        assert rollout.version not in (pointer.live, pointer.canary)


def test_a_look_at_a_batch_that_is_not_sealed_counts_nothing() -> None:
    state, _ = fold(SYSTEM, OperatorState(system="lights"), [passed("v_1")], now=0)
    state, _ = fold(SYSTEM, state, [], now=100 * HOUR)
    state, _ = fold(SYSTEM, state, [passed("v_2")], now=100 * HOUR)
    once, _ = fold(SYSTEM, state, [sealed(state, 0)], now=101 * HOUR)
    early = msgspec.structs.replace(
        looked(once, bad=40), look=msgspec.structs.replace(looked(once, bad=40).look, batch=9)
    )
    after, _ = fold(SYSTEM, once, [early], now=102 * HOUR)
    assert after.progress == once.progress
    counted, _ = fold(SYSTEM, once, [looked(once, bad=40)], now=102 * HOUR)
    twice, _ = fold(SYSTEM, counted, [looked(once, bad=40)], now=103 * HOUR)
    assert counted.progress != once.progress
    assert twice.progress == counted.progress, "a batch counts once"


@pytest.mark.parametrize("what", ["hold", "resume", "abort"])
def test_what_people_ask_is_heard_before_what_the_tests_say(what: str) -> None:
    """A rollback, a proof and a request in one batch of events: the rollback wins in every order."""
    state, _ = fold(SYSTEM, OperatorState(system="lights"), [passed("v_1")], now=0)
    state, _ = fold(SYSTEM, state, [], now=100 * HOUR)
    state, _ = fold(SYSTEM, state, [passed("v_2")], now=100 * HOUR)
    said = ShadowCompared(version="v_2", rows=100, failures=0, agreement=0.9, mean_difference=0.1)
    state, _ = fold(SYSTEM, state, [said], now=102 * HOUR)
    assert state.rollout is not None
    assert state.rollout.state == "step"
    state, _ = fold(SYSTEM, state, [sealed(state, 0)], now=103 * HOUR)
    events: list[OperatorEvent] = [
        looked(state, bad=0), RolloutAsked(what=what, actor="b", reason=""), RollbackAsked(actor="a", reason="now"),
    ]  # type: ignore[arg-type]  # fmt: skip
    for order in (events, events[::-1]):
        after, commands = fold(SYSTEM, state, order, now=104 * HOUR)
        assert after.rollout is not None
        assert after.rollout.state == "rolled_back"
        assert after.pointer is not None
        assert after.pointer.live == "v_1"
        assert [one.pointer.canary for one in commands if isinstance(one, SetPointer)] == [""]


def schedule(project: Project, path: Path, seed: int) -> None:
    """Two operators promote different versions and a person rolls back, in an order that chance draws; each has decided
    on what it had read before."""
    chance, name = random.Random(seed), f"s{seed}"
    ledgers = [adapters.open_ledger(path, system=name) for _ in range(3)]
    try:
        system = msgspec.structs.replace(SYSTEM, name=name, rollout=RolloutPlan(shadow_us=0, steps=()))
        first = operator_of(project, ledgers[0], system, holder="first")
        first.step([passed("v_0")])
        one, two = (operator_of(project, ledger, system, holder="same") for ledger in ledgers[:2])
        hand = operator_of(project, ledgers[2], system, holder="same", patient=True)
        acts = [(one, [passed("v_1")]), (two, [passed("v_2")]), (hand, [RollbackAsked(actor="duty", reason="now")])]
        chance.shuffle(acts)
        done = []
        for operator, events in acts:
            try:
                operator.step(events)  # type: ignore[arg-type]
                done.append(operator)
            except Conflict:
                assert operator is not hand, f"seed {seed}: a rollback lost"
        pointers = list(history.all_of(ledgers[0], Pointer))
        assert [one.generation for one in pointers] == list(range(1, len(pointers) + 1)), f"seed {seed}"
        assert not (one in done and two in done), f"seed {seed}: both promoted on the same state"
        states = [event.seq for event in ledgers[0].read(kind="operator")]
        numbers = [one.seq for one in history.all_of(ledgers[0], OperatorState)]
        assert numbers == list(range(1, len(states) + 1)), f"seed {seed}: the history is not one line"
    finally:
        for ledger in ledgers:
            ledger.close()


def operator_of(project: Project, ledger: object, system: System, *, holder: str, patient: bool = False) -> Operator:
    operator = open_operator(project, ledger, holder=holder, retrain=None, patient=patient, seconds=0.0)  # type: ignore[arg-type]
    operator.project = type(project)(**{**vars(project), "system": system})
    return operator


@pytest.fixture
def project(tmp_path: Path) -> Project:
    own = open_project(write_loans(tmp_path / "loans"))
    return own.at(home=tmp_path / "home", clock=SimulatedClock(10**15), random=SeededRandom(0), actor="test")


def test_of_two_promotions_one_wins_and_a_rollback_never_loses(project: Project, tmp_path: Path) -> None:
    for seed in range(60):
        schedule(project, tmp_path / "ledger.db", seed)


@pytest.mark.long
def test_so_it_is_under_a_thousand_schedules(project: Project, tmp_path: Path) -> None:
    for seed in range(1000):
        schedule(project, tmp_path / "ledger.db", seed)
