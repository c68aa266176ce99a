"""R31 more than can be answered, R32 a storm of retries, R33 a slow system beside a fast one, R34 callers that are
slow on purpose: in one running server of one worker.

Bounds are generous: how much is answered how fast on a quiet machine is measured by benchmarks/serve/overload.py.
"""

from __future__ import annotations

import asyncio
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Final

import moods
import pytest
from asking import Acknowledged, Connection, Said
from released import Released
from rows import parcel

from living import below, rss_mb
from served import Server, serving

SLOW: Final = moods.TAKES_ITS_TIME + 10
"""Ten milliseconds for each row: a hundred rows a second, and a client on the same machine can offer many more."""

TIMES: Final = 8
SECONDS: Final = 4.0
POOL: Final = 200
DEADLINE_S: Final = 0.5
RECOVERY_S: Final = 10.0
SLOW_CALLERS: Final = 40


@dataclass(frozen=True)
class Both:
    """A server of a slow system and a fast one."""

    server: Server
    slow: Released
    fast: Released

    def asking(self, name: str) -> Connection:
        key = self.slow.key if name == "moody" else self.fast.key
        return Connection(self.server.port, key, path=f"/systems/{name}/api/decisions")


@pytest.fixture(scope="module")
def both(moody_once: Released, parcels_once: Released, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    base = tmp_path_factory.mktemp("overload")
    slow, fast = moody_once.copy(base), parcels_once.copy(base)
    with serving([slow.folder, fast.folder], workers=1) as server:
        yield Both(server, slow, fast)
        assert server.process.poll() is None, server.log.read_text()
        told = server.log.read_text()
        assert "Traceback" not in told, told
        assert "is killed" not in told, told


@dataclass
class Flood:
    """Requests to the slow system at a fixed rate, whatever becomes of them, over a bounded number of connections."""

    both: Both
    again: int = 0
    kept: Acknowledged = field(default_factory=Acknowledged)
    took: list[float] = field(default_factory=list)
    peak_mb: float = 0.0
    _idle: list[Connection] = field(default_factory=list)
    _busy: int = 0
    _number: int = 0

    async def run(self, *, rate: float, seconds: float) -> None:
        began, sent, tasks = time.monotonic(), 0, set[asyncio.Task[None]]()
        looking = asyncio.create_task(self._look())
        while (passed := time.monotonic() - began) < seconds:
            due, sent = int(passed * rate) - sent, int(passed * rate)
            for _ in range(due):
                if self._busy < POOL:
                    task = asyncio.create_task(self._call())
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
            await asyncio.sleep(0.01)
        await asyncio.gather(*tasks)
        looking.cancel()

    async def close(self) -> None:
        for connection in self._idle:
            await connection.close()

    async def _look(self) -> None:
        """At the memory of the server, from another thread: the client must keep its rate."""
        while True:
            pids = await asyncio.to_thread(below, self.both.server.process.pid)
            self.peak_mb = max(self.peak_mb, rss_mb(pids))
            await asyncio.sleep(0.5)

    async def _call(self) -> None:
        self._busy += 1
        connection = self._idle.pop() if self._idle else self.both.asking("moody")
        for _ in range(self.again + 1):
            self._number += 1
            row = moods.row(SLOW, self._number)
            said = await connection.ask(row)
            self.kept.add(row, said)
            if said.status == 200:
                self.took.append(said.seconds)
                break
        self._idle.append(connection)
        self._busy -= 1


async def capacity_of(both: Both, *, callers: int = 16, seconds: float = 2.0) -> float:
    """Rows a second of the slow system when each caller asks again as soon as it is answered."""
    connections, until_then, done = [both.asking("moody") for _ in range(callers)], time.monotonic() + seconds, 0

    async def one(connection: Connection) -> None:
        nonlocal done
        while time.monotonic() < until_then:
            said = await connection.ask(moods.row(SLOW))
            done += said.status == 200
        await connection.close()

    await asyncio.gather(*map(one, connections))
    return done / seconds


@pytest.mark.parametrize("again", [0, 3])
def test_what_can_not_be_answered_in_time_is_refused_and_the_rest_is_answered(both: Both, again: int) -> None:
    asyncio.run(overloaded(both, again))


async def overloaded(both: Both, again: int) -> None:
    await recovers(both, rate=10.0)
    capacity = await capacity_of(both)
    calm_mb = rss_mb(below(both.server.process.pid))
    flood = Flood(both, again=again)
    try:
        await flood.run(rate=TIMES * capacity, seconds=SECONDS)
        statuses = flood.kept.statuses
        assert not flood.kept.strange, flood.kept.strange[:3]
        assert set(statuses) <= {200, 503}, statuses
        assert statuses[503] > statuses[200], "this was no overload"
        assert statuses[200] / SECONDS > capacity * 0.4, (statuses, capacity)
        assert statistics.quantiles(flood.took, n=100)[98] < DEADLINE_S * 4
        assert flood.peak_mb < calm_mb + 200
    finally:
        await flood.close()
    await recovers(both, rate=capacity / 3)
    flood.kept.hold_against(both.slow.folder, system="moody")


async def recovers(both: Both, *, rate: float) -> None:
    """Until one whole second at that rate is answered without a refusal."""
    end = time.monotonic() + RECOVERY_S
    while True:
        calm = Flood(both)
        await calm.run(rate=rate, seconds=1.0)
        await calm.close()
        if set(calm.kept.statuses) == {200}:
            return
        assert time.monotonic() < end, calm.kept.statuses


def test_a_flooded_system_leaves_its_neighbour_alone(both: Both) -> None:
    alone, beside = asyncio.run(neighbours(both))
    assert {said.status for said in (*alone, *beside)} == {200}
    slowest = [statistics.quantiles([one.seconds for one in said], n=100)[98] for said in (alone, beside)]
    assert slowest[1] < max(10 * slowest[0], 0.5), slowest


async def neighbours(both: Both) -> tuple[list[Said], list[Said]]:
    """Answers of the fast system, alone and while the slow one is offered many times what it can answer."""
    connection = both.asking("parcels")
    alone = [await connection.ask(parcel(number)) for number in range(200)]
    flood = Flood(both)
    flooding = asyncio.create_task(flood.run(rate=TIMES * 100, seconds=3.0))
    beside: list[Said] = []
    while not flooding.done():
        beside.append(await connection.ask(parcel(1000 + len(beside))))
    await flooding
    assert flood.kept.statuses[503], "this was no flood"
    await flood.close()
    await connection.close()
    return alone, beside


def test_callers_that_are_slow_on_purpose_are_ended_and_keep_nobody_waiting(both: Both) -> None:
    """Heads and bodies of a byte now and then: meanwhile others are answered, and in the end all of them are closed."""
    head = b"POST /systems/parcels/api/decisions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    body = head + f"Authorization: Bearer {both.fast.key}\r\nContent-Length: 500\r\n\r\n".encode()
    with ExitStack() as stack:
        where = ("127.0.0.1", both.server.port)
        slow = [stack.enter_context(socket.create_connection(where)) for _ in range(SLOW_CALLERS)]
        for at, one in enumerate(slow):
            one.settimeout(0.0)
            one.sendall(head if at % 2 else body)
        open_yet, end = set(slow), time.monotonic() + 60
        while open_yet:
            assert time.monotonic() < end, f"{len(open_yet)} slow callers are still there"
            open_yet = {one for one in open_yet if not is_closed(one)}
            said = both.server.ask("POST", "/systems/parcels/api/decisions", {"inputs": parcel(1)}, key=both.fast.key)
            assert said.status == 200
            assert said.headers
            time.sleep(0.2)


def is_closed(connection: socket.socket) -> bool:
    """Sends one byte more; whether the other side has ended it."""
    try:
        connection.send(b"x")
        while connection.recv(4096):
            continue
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


@pytest.mark.parametrize("size", [1_000_000, 4_000_000])
def test_huge_heads_are_refused(both: Both, size: int) -> None:
    got = b""
    with suppress(OSError):
        got = both.server.raw(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Much: " + b"x" * size + b"\r\n\r\n")
    assert not got or got[9:12] in (b"400", b"413", b"431"), got[:100]
    assert both.server.ask("GET", "/livez").status == 200
