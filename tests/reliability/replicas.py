"""Three replicas, a ledger and two operators in one process, with faults drawn from a seed and a clock of its own.

What decides, records, judges and commits is the real code: `Decider`, the log's files, the ledger, the fold, the
rounds. What is drawn are the questions, what users come to, and everything that goes wrong: replicas that die and hear
late of a new pointer, an operator that sleeps beyond its lease, a ledger that is gone or answers after it has
committed, clocks that jump, people who interfere, records heard twice.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import msgspec

from kring.errors import Busy, Conflict, KringError, Unavailable
from kring.flow import adapters, history
from kring.flow.operating.following import Follower
from kring.flow.operating.operator import LEADER, Operator, open_operator
from kring.flow.operating.rounds import Rounds
from kring.flow.project import Project, open_project
from kring.host.clock import SimulatedClock
from kring.host.files import LocalFiles
from kring.host.random import SeededRandom
from kring.metrics.ids import decision_block
from kring.ports.decision_log import DecisionLog
from kring.ports.ledger import Ledger
from kring.record.batch import Batch
from kring.record.decision import Outcomes
from kring.record.event import Entry, Event, Head, Lease
from kring.record.operator import OperatorState, Retrained, RollbackAsked, RolloutAsked
from kring.record.rollout import Pointer
from kring.record.running import RolloutPlan
from kring.record.version import Policy
from kring.serve.decider import Decider
from kring.serve.fallback import Answerer
from systems import day, write_loans

HOUR: Final = 3_600_000_000
DAY: Final = 24 * HOUR
REPLICAS: Final = 3
ROWS: Final = 40
LEASE_S: Final = 3 * 3600.0
POLICY: Final = Policy(output="probability", threshold=0.5, labels=("false", "true"))
STEPS: Final = (5, 20, 50)
"""Three sizes are enough for every transition."""


class Says:
    """A runtime that says yes, and fails in a share of its batches."""

    def __init__(self, chance: random.Random, failing: float) -> None:
        self._chance, self._failing = chance, failing

    def answer(self, batch: Batch) -> Batch:
        if self._chance.random() < self._failing:
            raise Unavailable("the model is asleep")
        return Batch(batch.n, {"probability": [0.9] * batch.n})


class Flaky:
    """A ledger that is away for a while, or has committed and does not come to say so."""

    def __init__(self, inner: Ledger, world: World) -> None:
        self._inner, self._world = inner, world

    def append(self, entries: Sequence[Entry], *, expect_seq: int | None = None, token: int | None = None) -> Head:
        self._reach()
        head = self._inner.append(entries, expect_seq=expect_seq, token=token)
        if self._world.chance.random() < self._world.faults * 0.1:
            raise Unavailable("the ledger did not answer in time")
        return head

    def read(self, *, after: int = 0, kind: str = "") -> Iterator[Event]:
        self._reach()
        return self._inner.read(after=after, kind=kind)

    def get(self, kind: str, id: str) -> Event:
        self._reach()
        return self._inner.get(kind, id)

    def head(self) -> Head:
        self._reach()
        return self._inner.head()

    def lease(self, name: str, *, holder: str, ttl: float, now: int) -> Lease:
        self._reach()
        return self._inner.lease(name, holder=holder, ttl=ttl, now=now)

    def verify(self) -> Head:
        return self._inner.verify()

    def close(self) -> None:
        """The world closes it."""

    def _reach(self) -> None:
        if self._world.clock.now() < self._world.ledger_away_until:
            raise Unavailable("the ledger is away")


@dataclass
class Replica:
    """A writer with the pointer it heard of last. `skew` is how wrong its clock is."""

    number: int
    log: DecisionLog
    pointer: Pointer
    heard_at: int
    skew: int = 0


@dataclass
class Leader:
    """An operator process: it may sleep, and it forgets everything when it dies."""

    name: str
    asleep_until: int = 0
    operator: Operator | None = None
    rounds: Rounds | None = None
    follower: Follower | None = None
    lease_until: int = 0


@dataclass
class World:
    """Everything there is. `faults` scales how often things go wrong; `failing` how often the new version does."""

    project: Project
    clock: SimulatedClock
    ledger: Ledger
    chance: random.Random
    faults: float
    failing: float
    replicas: list[Replica] = field(default_factory=list)
    leaders: list[Leader] = field(default_factory=list)
    ledger_away_until: int = 0
    acknowledged: dict[bytes, tuple[str, int]] = field(default_factory=dict)
    answered_by: list[tuple[int, Pointer, str]] = field(default_factory=list)

    def close(self) -> None:
        for replica in self.replicas:
            replica.log.close()
        self.ledger.close()


def made(folder: Path, *, seed: int, faults: float, failing: float) -> World:
    """A system with a live version and another on its way."""
    project = open_project(write_loans(folder / "system"))
    plan = RolloutPlan(shadow_us=0, steps=STEPS, bake_us=DAY, min_units=60, holdback=0.2, step_us=20 * DAY, floor=0.05)
    system = msgspec.structs.replace(
        project.system, rollout=plan, data=msgspec.structs.replace(project.system.data, subject="who")
    )
    clock = SimulatedClock(day(400))
    project = replace(project, system=system, clock=clock, random=SeededRandom(seed))
    for version in ("v_1", "v_2"):
        (project.home.versions / version).mkdir(parents=True)
    ledger = adapters.open_ledger(project.home.ledger, system=system.name)
    world = World(project, clock, ledger, random.Random(seed), faults, failing)
    first = open_operator(project, ledger, holder="by hand", retrain=None)
    for version in ("v_1", "v_2"):
        first.step([Retrained(trigger="by hand", result="pass", reason="passed", run="r", version=version)])
        clock.advance(clock.now() + HOUR)
    pointer = state_of(ledger).pointer
    assert pointer is not None
    world.replicas = [Replica(number, opened(world, number), pointer, clock.now()) for number in range(REPLICAS)]
    world.leaders = [Leader("a"), Leader("b")]
    return world


def opened(world: World, number: int) -> DecisionLog:
    from kring.stores.file import Ends, open_log

    project = world.project
    return open_log(project.home.log, files=LocalFiles(), writer=number, ends=Ends(1 << 16), system=project.system.name)


def state_of(ledger: Ledger) -> OperatorState:
    state = history.newest_with(ledger, OperatorState, "operator")
    assert state is not None
    return state


def live(world: World, hours: int) -> None:
    """So many hours, and then a quiet while in which everything that was in the way is over."""
    for _ in range(hours):
        hour(world)
    world.faults, world.ledger_away_until = 0.0, 0
    for leader in world.leaders:
        leader.asleep_until = 0
    for replica in world.replicas:
        replica.skew = 0
    for _ in range(4):
        hour(world)


def hour(world: World) -> None:
    """One hour in the life of all, in an order of its own each time."""
    world.clock.advance(world.clock.now() + HOUR)
    go_wrong(world)
    acts: list[Callable[[], None]] = [lambda one=one: asked(world, one) for one in world.replicas]  # type: ignore[misc]
    acts += [lambda one=one: operated(world, one) for one in world.leaders]  # type: ignore[misc]
    acts.append(lambda: interfere(world))
    world.chance.shuffle(acts)
    for act in acts:
        act()


def go_wrong(world: World) -> None:
    """What happens to the machines this hour."""
    now, chance = world.clock.now(), world.chance
    if chance.random() < 0.05 * world.faults:
        world.ledger_away_until = now + chance.randrange(1, 6) * HOUR
    for leader in world.leaders:
        if chance.random() < 0.05 * world.faults:
            leader.asleep_until = now + chance.randrange(1, 12) * HOUR
        if chance.random() < 0.05 * world.faults:
            leader.operator = leader.rounds = leader.follower = None
    for replica in world.replicas:
        if chance.random() < 0.02 * world.faults:
            replica.skew = chance.choice([-DAY, HOUR, 0, 0])
        if chance.random() < 0.05 * world.faults:
            replica.log.close()
            replica.log = opened(world, replica.number)


def asked(world: World, replica: Replica) -> None:
    """Questions of an hour at one replica: decided by the pointer that it knows, durable, acknowledged."""
    if world.chance.random() >= 0.3 * world.faults:
        with suppress(Unavailable):
            replica.pointer = state_of(Flaky(world.ledger, world)).pointer or replica.pointer
            replica.heard_at = world.clock.now()
    names = [f"u{world.chance.randrange(10_000)}" for _ in range(ROWS)]
    batch = Batch(ROWS, {"who": names})
    at = max(world.clock.now() + replica.skew, day(400))
    for decided in decider(world, replica.pointer).decide(batch, at=at, kind="batch"):
        place = replica.log.append(decided.record)
        replica.log.commit()
        ids = [row.tobytes() for row in decision_block(place, decided.record.n)]
        for id in ids:
            world.acknowledged[id] = (decided.record.version, decided.record.at)
        world.answered_by.append((world.clock.now(), replica.pointer, decided.record.version))
        if world.chance.random() < 0.5:
            values = [world.chance.random() < 0.5 for _ in ids]
            twice = 1 + (world.chance.random() < 0.2)
            for _ in range(twice):
                replica.log.append(Outcomes(system=world.project.system.name, at=at, ids=ids, values=[*values]))
            replica.log.commit()


def decider(world: World, pointer: Pointer) -> Decider[Batch]:
    def answerer(name: str, failing: float) -> Answerer[Batch]:
        return Answerer(
            version=name,
            prepare=lambda rows: rows,
            runtime=Says(world.chance, failing),
            policy=POLICY,
            decide=world.project.task.decide,
        )

    return Decider(
        system=world.project.system.name,
        pointer=pointer,
        versions={"v_1": answerer("v_1", 0.001), "v_2": answerer("v_2", world.failing)},
        baseline=answerer("baseline", 0.0),
        read=lambda batch: batch,
        guard=lambda batch: {},
        out_of_contract="flag",
        default=False,
        subject="who",
        monotonic=world.clock.monotonic,
    )


def operated(world: World, leader: Leader) -> None:
    """A round of one operator, if it is awake and has the right; one that slept believes to have it still."""
    now = world.clock.now()
    if now < leader.asleep_until:
        return
    slept = leader.lease_until and now >= leader.lease_until
    try:
        if leader.operator is None or (slept and world.chance.random() < 0.5):
            taken(world, leader)
        assert leader.operator is not None
        if not slept:
            lease = leader.operator.ledger.lease(LEADER, holder=leader.name, ttl=LEASE_S, now=now)
            leader.lease_until = lease.until
        turned(world, leader)
    except (Busy, Conflict, Unavailable):
        leader.operator = leader.rounds = leader.follower = None
        leader.lease_until = 0


def taken(world: World, leader: Leader) -> None:
    """The right to judge, and everything that was heard so far heard again."""
    project = world.project
    ledger = Flaky(world.ledger, world)
    operator = open_operator(
        project, ledger, holder=leader.name, retrain=None, seconds=LEASE_S, right=LEADER, patient=True
    )
    log = adapters.read_log(project.home.log, system=project.system.name)
    leader.operator = operator
    leader.rounds = Rounds(operator, task=project.task, policy_of=lambda _: POLICY, log=log, folder=project.home.log)
    leader.follower = Follower(log, {})
    for _ in leader.follower.news(until=world.clock.now() + 2 * DAY):
        pass
    leader.lease_until = world.clock.now() + int(LEASE_S * 1e6)


def turned(world: World, leader: Leader) -> None:
    assert leader.rounds is not None
    assert leader.follower is not None
    assert leader.operator is not None
    leader.operator.refresh()
    follower = leader.follower
    for logged in follower.news(until=world.clock.now() + 2 * DAY):
        leader.rounds.hear(logged)
        if world.chance.random() < 0.1 * world.faults:
            leader.rounds.hear(logged)
    leader.rounds.turn(lambda: dict(follower.cursors))


def interfere(world: World) -> None:
    """People, now and then: two at once, on what they last read."""
    roll = world.chance.random()
    if roll >= 0.02 * world.faults:
        return
    what = world.chance.choice(["hold", "resume", "resume", "rollback", "again"])
    ledger = Flaky(world.ledger, world)
    with suppress(KringError):
        operator = open_operator(
            world.project, ledger, holder=f"person {roll}", retrain=None, right=f"p{roll}", patient=True
        )
        if what == "rollback" and world.chance.random() < 0.2:
            operator.step([RollbackAsked(actor="ann", reason="by hand")])
        elif what == "again":
            operator.step([Retrained(trigger="again", result="pass", reason="passed", run="r", version="v_2")])
        elif what in ("hold", "resume"):
            operator.step([RolloutAsked(what=what, actor="ann", reason="by hand")])  # type: ignore[arg-type]
