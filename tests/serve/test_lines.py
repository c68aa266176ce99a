"""A line whose parts fail, stop or are given up by who asked: everybody hears, and the next request is answered."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Final

import pytest
from answerers import Says, answerer

from kring.errors import Busy, Unavailable
from kring.flow.project import open_project
from kring.flow.serving.committing import Committer
from kring.flow.serving.opening import reader_of
from kring.flow.serving.worker import claiming_of
from kring.host.clock import SystemClock
from kring.host.files import LocalFiles
from kring.host.random import SystemRandom
from kring.metrics.claims import claim_name
from kring.metrics.ids import decision_ids
from kring.ports.claims import Taken, Won
from kring.ports.decision_log import DecisionLog
from kring.record.answer import Answer
from kring.record.batch import Batch
from kring.record.decision import Decisions, Place
from kring.record.exposure import Exposure
from kring.record.rollout import Pointer
from kring.record.serving import Served
from kring.serve.claiming import Claiming, Key
from kring.serve.clerk import Clerk
from kring.serve.counting import Counts
from kring.serve.decider import Decider
from kring.serve.line import Line
from kring.serve.reading import Rows
from kring.stores.claims import SqliteClaims, open_claims
from kring.stores.file import open_log
from systems import write_loans

LOAN: Final = {"email": "ada@example.org", "region": "north", "amount": 120.0, "income": 61.5}
POINTER: Final = Pointer(system="loans", live="v_1", previous="", generation=1, rollout="ro_1", at=0)
SOON_S: Final = 30.0
SHOWN: Final = Exposure(
    system="loans", at=1, generation=1, flags=["arm"], variants=["live"], reasons=["STATIC"], subjects=["ada"],
    versions=[""], trials=[""],
)  # fmt: skip


class Bench:
    """A line of its real parts, but for the model; `hide` is where a test puts what goes wrong."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        project, clock = open_project(folder), SystemClock()
        served = Served(
            home=str(project.home.root), system=project.system, contract=project.contract,
            known_later=tuple(sorted(project.known_later)), pointer=POINTER, public_key=b"",
        )  # fmt: skip
        self.hide: Callable[[Batch], Batch] = lambda batch: batch
        log = open_log(project.home.log, files=LocalFiles(), system="loans")
        decider = Decider(
            system="loans", pointer=POINTER, versions={"v_1": answerer("v_1", Says(1.0))}, baseline=None,
            read=lambda batch: batch, guard=lambda batch: {}, out_of_contract="flag", default=None, subject="",
            monotonic=clock.monotonic, timed=False,
        )  # fmt: skip
        self.claims = open_claims(folder / "claims.db", timeout=0.2)
        reader = reader_of(served, clock=clock, random=SystemRandom())
        self.clerk = Clerk(decider, reader=reader, log=log, clock=clock, hide=self._hidden)
        self.claiming = claiming_of(self.claims, "loans", log=log, folder=project.home.log, clock=clock)
        self.committer = Committer("loans")
        self.line = Line(
            served, self.clerk, reader=reader, clock=clock, beside=self.committer, meter=Counts(0),
            claiming=self.claiming, unwritable=print,
        )  # fmt: skip
        for end in (log.close, self.claims.close, self.claiming.close, self.committer.close):
            stack.callback(end)

    def _hidden(self, batch: Batch) -> Batch:
        return self.hide(batch)

    def recorded(self) -> list[object]:
        return [one.record for one in self.clerk.log.read()]

    async def ask(self, key: str = "") -> Answer:
        rows: Rows = self.line.reader.read([LOAN])
        async with asyncio.timeout(SOON_S):
            return (await self.line.ask(rows, key=Key(key, "body") if key else None))[0]


def on(folder: Path, test: Callable[[Bench], Coroutine[Any, Any, None]]) -> None:
    """Run a test in a loop, with a line that is closed after it."""

    async def run() -> None:
        with ExitStack() as stack:
            await test(Bench(write_loans(folder / "loans"), stack))

    asyncio.run(run())


@pytest.mark.parametrize("beside", [False, True])
def test_a_fault_of_our_own_is_told_and_the_next_request_is_answered(
    tmp_path: Path, beside: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(batch: Batch) -> Batch:
        raise KeyError("a secret")

    async def test(bench: Bench) -> None:
        bench.clerk.writing.is_slow = beside
        whole, bench.hide = bench.hide, broken
        for key in ("", "k"):
            with pytest.raises(Unavailable, match="a fault of Kring's own") as told:
                await bench.ask(key)
            assert "secret" not in str(told.value)
            assert "KeyError" in caplog.text
            assert "in broken" in caplog.text, "where it was"
            assert "'a secret'" not in caplog.text.replace('KeyError("a secret")', ""), "a line of code is no row"
        assert bench.line.in_flight == 0
        bench.hide = whole
        assert (await bench.ask()).answered_by == "v_1"
        assert (await bench.ask("k")).answered_by == "v_1"

    on(tmp_path, test)


def test_what_nobody_waits_for_is_written_though_nobody_asks_again(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        bench.clerk.committing.is_slow = True
        asked = asyncio.ensure_future(bench.ask())
        async with asyncio.timeout(SOON_S):
            while not bench.line.is_busy:
                await asyncio.sleep(0)
            bench.line.add(SHOWN)
            await asked
            while SHOWN not in bench.recorded():
                await asyncio.sleep(0.01)

    on(tmp_path, test)


def test_what_nobody_waits_for_is_written_before_the_line_is_closed(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        bench.line.add(SHOWN)
        bench.line.close()
        assert SHOWN in bench.recorded()

    on(tmp_path, test)


def test_what_nobody_waits_for_costs_no_group_of_its_own_while_others_ask(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        bench.line.add(SHOWN)
        await asyncio.sleep(0)
        assert SHOWN not in bench.recorded()
        await bench.ask()
        assert [type(one) for one in bench.recorded()] == [Exposure, Decisions]

    on(tmp_path, test)


class Slow:
    """A log whose vault is slow, and then gone."""

    def __init__(self, inner: DecisionLog) -> None:
        self._inner = inner
        self.fails = False

    def append(self, record: Any) -> Place:
        time.sleep(0.3)
        if self.fails:
            raise Busy("the vault is locked")
        return self._inner.append(record)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@pytest.mark.parametrize("fails", [False, True])
def test_a_slow_vault_holds_up_the_loop_once(tmp_path: Path, fails: bool) -> None:
    async def turns_during(asked: asyncio.Future[Answer]) -> int:
        turns = 0
        while not asked.done():
            await asyncio.sleep(0.001)
            turns += 1
        return turns

    async def test(bench: Bench) -> None:
        bench.clerk.log = slow = Slow(bench.clerk.log)
        slow.fails = fails
        turns = []
        for _ in range(2):
            asked = asyncio.ensure_future(bench.ask())
            turns.append(await turns_during(asked))
            assert isinstance(asked.exception(), Busy) if fails else asked.result().answered_by == "v_1"
        assert turns[1] > turns[0] + 5

    on(tmp_path, test)


def test_claims_that_fail_are_told_of(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        made = bench.claims.claim_many
        bench.claims.claim_many = None  # type: ignore[assignment, method-assign]  # a mistake of the program
        with pytest.raises(Unavailable, match="a fault of Kring's own"):
            await bench.ask("k")
        bench.claims.claim_many = made  # type: ignore[method-assign]
        assert (await bench.ask("k")).answered_by == "v_1"

    on(tmp_path, test)


def locked(folder: Path) -> sqlite3.Connection:
    """The claims, held by another process for as long as this is open."""
    connection = sqlite3.connect(folder / "loans" / "claims.db", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    return connection


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 50])
def test_a_key_that_is_given_up_while_it_is_claimed_is_not_kept(tmp_path: Path, turns: int) -> None:
    async def test(bench: Bench) -> None:
        with closing(locked(tmp_path)) as held:
            asked = asyncio.create_task(bench.ask("k"))
            for _ in range(turns):
                await asyncio.sleep(0.001)
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
            held.execute("ROLLBACK")
        first = await bench.ask("k")
        assert (await bench.ask("k")).id == first.id

    on(tmp_path, test)


def test_what_could_not_be_settled_is_settled_with_the_next(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        first = await bench.claiming.claim(Key("k", "body"), until=0.0)
        assert first is None
        answers = await bench.line.ask(bench.line.reader.read([LOAN]))
        with closing(locked(tmp_path)):
            bench.claiming.settle(Key("k", "body"), answers)
            await asyncio.sleep(1.0)
        assert not isinstance(bench.claims.look(["k"])[0], Taken)
        await bench.ask("another")
        assert isinstance(bench.claims.look(["k"])[0], Taken)

    on(tmp_path, test)


class Winning(SqliteClaims):
    """Claims in memory: everybody wins, and what is settled is remembered."""

    def __init__(self) -> None:
        self.settled: set[str] = set()

    def claim_many(self, asked: Any, *, owner: Any, now: int) -> list[Any]:
        return [Won() for _ in asked]

    def settle_many(self, settled: Any, *, owner: Any, cursor: Any) -> None:
        self.settled.update(name for name, _ in settled)

    def close(self) -> None: ...


def test_nothing_that_is_settled_is_lost_while_others_claim(tmp_path: Path) -> None:
    """Settlements of many rows, while the thread beside the loop is never idle."""

    async def test(bench: Bench) -> None:
        (like,) = await bench.line.ask(bench.line.reader.read([LOAN]))
        ids = decision_ids(Place(at_ms=1, writer=0, segment=1, sequence=0), 1000)
        answers = [Answer(**{name: getattr(like, name) for name in like.__struct_fields__} | {"id": id}) for id in ids]
        claims = Winning()
        made = Claiming(
            claims, owner=bench.claiming._owner, log=bench.clerk.log, clock=SystemClock(), find=bench.clerk.log.find
        )
        names = [claim_name("loans", "me", str(number)) for number in range(400)]

        async def others() -> None:
            while len(claims.settled) < len(names) and not done.is_set():
                await made.claim(Key("other", "body"), until=0.0)

        done = asyncio.Event()
        waiting = [asyncio.create_task(others()) for _ in range(4)]
        for name in names:
            made.settle(Key(name, "body"), answers)
            await asyncio.sleep(0)
        done.set()
        await asyncio.gather(*waiting)
        made.close()
        assert claims.settled >= set(names)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        on(tmp_path, test)
    finally:
        sys.setswitchinterval(before)
