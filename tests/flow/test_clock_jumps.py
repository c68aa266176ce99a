"""A wall clock that jumps under an operator: no window is counted twice or too early, and rollouts wait."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest

from kring.flow import history
from kring.flow.duty.turns import SETTLED_S, Duty
from kring.flow.project import open_project
from kring.host.clock import SimulatedClock
from kring.host.random import SeededRandom
from kring.record.operator import BatchSealed, WindowClosed
from kring.record.running import Learn
from kring.watch.windows import window_start
from systems import DAY, day, write_loans
from worlds import HOUR, PLAN, World, answered

YEAR = 365 * DAY
SECOND = 1_000_000


class Skewed(SimulatedClock):
    """Its wall is off by `off` microseconds; what is monotonic is not."""

    off = 0

    def now(self) -> int:
        return super().now() + self.off


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    own = open_project(write_loans(tmp_path / "loans"))
    own = replace(own, system=msgspec.structs.replace(own.system, learn=Learn()))
    there = own.at(home=tmp_path / "home", clock=Skewed(day(2)), random=SeededRandom(0), actor="test")
    made = World(there, plan=msgspec.structs.replace(PLAN, min_units=100_000, step_us=3 * YEAR))
    made.begin()
    made.ledger.lease("leader", holder="one", ttl=0.0, now=made.clock.now())
    yield made
    made.close()


class Watching:
    """A duty whose closed windows are kept."""

    def __init__(self, world: World) -> None:
        assert isinstance(world.clock, Skewed)
        self.world, self.clock, self.closed = world, world.clock, list[WindowClosed]()
        self.duty = Duty(world.project, holder="a", environ={}, say=print)
        watcher = self.duty._watcher
        watcher._next = window_start(world.clock.now(), width=watcher._window_us)  # it knows no version of this world
        due = watcher.due

        def kept(*args: object, **named: object) -> object:
            events = due(*args, **named)  # type: ignore[arg-type]
            self.closed += [one for one in events if isinstance(one, WindowClosed)]
            return events

        watcher.due = kept  # type: ignore[method-assign, assignment]

    def pass_(self, seconds: float) -> None:
        """So long, then a decision of each version, then a turn."""
        world = self.world
        self.clock.advance(SimulatedClock.now(self.clock) + int(seconds * SECOND))
        for version in ("v_1", "v_2"):
            world.logs[0].append(answered(version, version, "ada", at=self.clock.now()))
        world.logs[0].commit()
        self.duty.turn()
        world.operator.refresh()

    def jump(self, microseconds: int) -> None:
        self.clock.off += microseconds
        self.pass_(1)


@pytest.mark.parametrize("jump", [-DAY, YEAR, -61 * SECOND, 61 * SECOND])
def test_what_jumps_and_is_put_right_leaves_nothing(world: World, jump: int) -> None:
    one = Watching(world)
    for _ in range(50):
        one.pass_(3600)
    assert one.closed
    before = len(one.closed)
    one.jump(jump)
    assert world.rollout.brakes == ("clock",)
    one.pass_(SETTLED_S / 2)
    assert len(one.closed) == before, "no window is closed by a clock that has just jumped"
    one.jump(-jump)
    for _ in range(72):
        one.pass_(3600)
    starts = [closed.start for closed in one.closed]
    assert starts == sorted(set(starts)), "each once, in order"
    assert len(one.closed) > before, "and it goes on"
    assert max(closed.end for closed in one.closed) <= world.clock.now()
    one.duty.close()


@pytest.mark.parametrize("jump", [-DAY, 30 * DAY])
def test_what_jumps_for_good_counts_each_window_once(world: World, jump: int) -> None:
    one = Watching(world)
    for _ in range(50):
        one.pass_(3600)
    one.jump(jump)
    for _ in range(72):
        one.pass_(3600)
    starts = [closed.start for closed in one.closed]
    assert starts == sorted(set(starts))
    assert world.rollout.state == "held", "until a person has looked at it"
    seals = [sealed.batch for sealed in history.all_of(world.ledger, BatchSealed)]
    assert seals == list(range(1, len(seals) + 1))
    one.duty.close()


def test_a_leap_second_and_a_slow_correction_are_no_jumps(world: World) -> None:
    one = Watching(world)
    one.jump(-SECOND)
    for _ in range(20):
        one.jump(500)
    assert world.rollout.state == "step"
    one.duty.close()


def test_summer_time_makes_no_window_longer_or_twice() -> None:
    """Windows are spans of UTC: the day on which clocks are put back has as many hours as any other."""
    berlin = ZoneInfo("Europe/Berlin")
    for month, date in ((3, 29), (10, 25)):
        midnight = datetime(2026, month, date, tzinfo=UTC)
        moments = [int(midnight.timestamp() * 1e6) + hour * HOUR for hour in range(24)]
        local = {datetime.fromtimestamp(one / 1e6, tz=berlin).utcoffset() for one in moments}
        assert len(local) == 2, "clocks are changed on this day"
        assert {window_start(one, width=DAY) for one in moments} == {moments[0]}
        assert len({window_start(one, width=HOUR) for one in moments}) == 24
