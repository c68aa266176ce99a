"""A system whose rollouts move on a real log and ledger, an hour at a time."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from kring.flow import adapters, history
from kring.flow.operating.following import Follower
from kring.flow.operating.operator import LEADER, Operator, open_operator
from kring.flow.operating.rounds import Rounds
from kring.flow.project import Project, open_project
from kring.host.clock import SimulatedClock
from kring.host.random import SeededRandom
from kring.metrics.assignment import assigned, unit_names
from kring.ports.ledger import Ledger
from kring.record.decision import Decisions
from kring.record.operator import Retrained
from kring.record.rollout import Pointer, Rollout
from kring.record.running import RolloutPlan
from kring.release.units import GRACE_US
from kring.serve.decider import UNANSWERED
from kring.stores.file import FileLog, open_log
from systems import day, replaced, write_loans

HOUR = 3_600_000_000
PLAN = RolloutPlan(
    shadow_us=0, steps=(20, 50), guardrails=("error", "fallback"), min_units=200, bake_us=24 * HOUR, floor=0.02,
    step_us=48 * HOUR,
)  # fmt: skip


STEPS = """shadow = "0s"
steps = [20, 50]
guardrails = ["error", "fallback"]
min_units = 200
bake = "1d"
floor = 0.02
step_for = "{step_for}"
"""


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
        """An hour of decisions, the first when every worker knows who answers; then a turn of the operator."""
        self.decide(units, bad_new=bad_new, bad_old=bad_old)
        self.turn()

    def decide(self, units: int, *, bad_new: float = 0.0, bad_old: float = 0.0) -> None:
        pointer, now = self.operator.state.pointer, self.clock.now() + HOUR
        assert isinstance(self.clock, SimulatedClock)
        assert pointer is not None
        people = [f"p{self.chance.randrange(10**9)}" for _ in range(units)]
        names = unit_names(people, pointer.unit, at=now) or people
        canary = (
            assigned(names, salt=pointer.salt, share=pointer.share, highest=pointer.highest).tolist()
            if pointer.canary
            else [False] * units
        )
        for number, (person, is_canary) in enumerate(zip(people, canary, strict=True)):
            version = pointer.canary if is_canary else pointer.live
            rate = bad_new if version == "v_2" else bad_old
            by = UNANSWERED if self.chance.random() < rate else version
            self.logs[number % len(self.logs)].append(answered(version, by, person, at=now - HOUR + GRACE_US + number))
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


def world_in(folder: Path, *, step_for: str) -> World:
    """The loans in `folder`, operated by a file that says what the world's own plan says."""
    write_loans(folder)
    config = folder / "kring.toml"
    config.write_text(replaced(config.read_text(), {'shadow = "2d"\nbake = "1d"\n': STEPS.format(step_for=step_for)}))
    own = open_project(folder)
    there = own.at(home=folder / ".kring", clock=SimulatedClock(day(1)), random=SeededRandom(0), actor="test")
    made = World(there, plan=own.system.rollout)
    made.project = made.operator.project = there
    return made


def passed(version: str) -> Retrained:
    return Retrained(trigger="test", result="pass", reason="gate passed", run="r", version=version)


def answered(version: str, by: str, person: str, *, at: int) -> Decisions:
    return Decisions(
        system="loans", version=version, answered_by=by, arm="live", kind="online", at=at, n=1, inputs={},
        outputs={"probability": [0.5]}, latency_us=900, subjects=[person],
    )  # fmt: skip
