"""Ten times more than a server can answer: what it still answers, how late, in how much memory, and how it comes back.

    python benchmarks/serve/overload.py
    python benchmarks/serve/overload.py --times 10 --seconds 10

The model takes 4 ms for each row by sleeping, so that a client on the same machine can offer many times the capacity
(which is measured first, by a closed loop). Then requests arrive at a fixed rate whatever becomes of them (an open
loop), over at most 400 connections: what finds none free is counted as not sent. In the storm whoever is refused
asks up to three times more, at once. After each, requests come at half the capacity until a whole second of them is
answered in time.

Prints rows of the table of results.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import json
import re
import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
from kring_server import PATH, command, inputs, key_of
from machine import rss_mb, tree
from model import FIELDS, REACH, data, regression, rows
from servers import Running, Server, start
from system import CONTRACT, FIELD, KEY, SYSTEM, told

POOL = 400
DEADLINE_S = 0.5
LEARN = 3_000
TICK_S = 0.002
PATIENCE_S = 10.0
RECOVERY_S = 30.0
LENGTH = re.compile(rb"\r\ncontent-length:[ ]*(\d+)", re.IGNORECASE)
CLOSED = re.compile(rb"\r\nconnection:[ ]*close", re.IGNORECASE)
AFTER = re.compile(rb"\r\nretry-after:[ ]*\d+", re.IGNORECASE)

SLOW = '''"""The regression of the benchmark, and 4 ms of sleep for each row."""

import json
import time

import numpy as np


def load(files):
    return {name: np.array(values) for name, values in json.loads(files["weights.json"]).items()}


def score(columns, known):
    table = np.stack(list(columns.values()), axis=1)
    time.sleep(0.004 * len(table))
    return 1 / (1 + np.exp(-(table @ known["weights"] + known["bias"])))
'''
CANDIDATE = """name = "slow"
code = "slow.py:score"
files = ["weights.json"]
timeout = "20s"
"""


@dataclass
class Seen:
    """What became of the requests of one phase."""

    good_s: list[float] = field(default_factory=list)
    """How long each answered request waited, in seconds."""
    statuses: dict[int, int] = field(default_factory=dict)
    """0 is no answer; why not is in `lost`."""
    lost: dict[str, int] = field(default_factory=dict)
    stood_in: int = 0
    """Answered in place of the version, by its baseline or the default: no goodput."""
    unsent: int = 0
    silent: int = 0
    """Refused without a Retry-After."""
    peak_mb: float = 0.0

    def add(self, status: int, seconds: float, head: bytes, body: bytes) -> None:
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if status == 200 and b'"fallback":""' not in body:
            self.stood_in += 1
        elif status == 200:
            self.good_s.append(seconds)
        elif status == 503 and not AFTER.search(head):
            self.silent += 1

    def p99(self) -> float:
        return statistics.quantiles(self.good_s, n=100)[98] if len(self.good_s) > 1 else float("nan")


class Client:
    """A pool of connections that are opened when they are needed."""

    def __init__(self, running: Running) -> None:
        self._port = running.port
        head = {"Content-Type": "application/json", "Host": "127.0.0.1", **running.server.headers()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        bodies = [json.dumps(running.server.body(row)).encode() for row in rows(64)]
        self._requests = [
            f"POST {PATH} HTTP/1.1\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body for body in bodies
        ]
        self._idle: deque[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = deque()
        self.busy = 0
        self._at = 0

    async def ask(self, seen: Seen, *, again: int = 0) -> None:
        """One request; who is refused asks `again` so many times at once."""
        self.busy += 1
        try:
            for _ in range(again + 1):
                if await self._once(seen) != 503:
                    return
        finally:
            self.busy -= 1

    async def _once(self, seen: Seen) -> int:
        self._at = (self._at + 1) % len(self._requests)
        began, head, body, status, line = time.monotonic(), b"", b"", 0, None
        try:
            async with asyncio.timeout(PATIENCE_S):
                line = self._idle.pop() if self._idle else await asyncio.open_connection("127.0.0.1", self._port)
                line[1].write(self._requests[self._at])
                head = await line[0].readuntil(b"\r\n\r\n")
                length = LENGTH.search(head)
                body = await line[0].readexactly(int(length[1]) if length else 0)
            status = int(head[9:12])
            if CLOSED.search(head):
                line[1].close()
            else:
                self._idle.append(line)
        except (OSError, EOFError, TimeoutError) as error:
            reason = f"{type(error).__name__} {'after some bytes' if head else 'before a byte'}"
            seen.lost[reason] = seen.lost.get(reason, 0) + 1
            if line is not None:
                line[1].close()
        seen.add(status, time.monotonic() - began, head, body)
        return status

    def close(self) -> None:
        for _, writer in self._idle:
            writer.close()


@asynccontextmanager
async def watched(running: Running, seen: Seen) -> AsyncIterator[None]:
    """Keep the peak of the server's resident memory, all processes together."""

    async def look() -> None:
        while True:
            seen.peak_mb = max(seen.peak_mb, sum(rss_mb(one) for one in tree(running.process.pid)))
            await asyncio.sleep(0.5)

    task = asyncio.create_task(look())
    try:
        yield
    finally:
        task.cancel()


async def closed(client: Client, running: Running, *, connections: int, seconds: float) -> Seen:
    """Each connection asks again as soon as it is answered."""
    seen, until = Seen(), time.monotonic() + seconds

    async def one() -> None:
        while time.monotonic() < until:
            await client.ask(seen)

    async with watched(running, seen):
        await asyncio.gather(*(one() for _ in range(connections)))
    return seen


async def open_loop(client: Client, running: Running, *, rate: float, seconds: float, again: int = 0) -> Seen:
    """`rate` requests a second, whatever becomes of them."""
    seen, began, sent = Seen(), time.monotonic(), 0
    tasks: set[asyncio.Task[None]] = set()
    async with watched(running, seen):
        while (passed := time.monotonic() - began) < seconds:
            due, sent = int(passed * rate) - sent, int(passed * rate)
            for _ in range(due):
                if client.busy >= POOL:
                    seen.unsent += 1
                    continue
                task = asyncio.create_task(client.ask(seen, again=again))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            await asyncio.sleep(TICK_S)
        if tasks:
            await asyncio.wait(tasks, timeout=PATIENCE_S)
    return seen


async def recovered(client: Client, running: Running, *, rate: float) -> float:
    """Seconds until the beginning of the first second at `rate` in which all were answered within the deadline."""
    began = time.monotonic()
    while (passed := time.monotonic() - began) < RECOVERY_S:
        seen = await open_loop(client, running, rate=rate, seconds=1)
        if set(seen.statuses) == {200} and not seen.stood_in and max(seen.good_s) <= DEADLINE_S:
            return passed
    return float("inf")


def make(folder: Path) -> None:
    """The system whose model sleeps."""
    folder.mkdir()
    values, yes = data()
    fitted = regression().fit(values, yes)
    feed = dict(zip(FIELDS, values[:LEARN].T, strict=True))
    pl.DataFrame({**feed, "yes": yes[:LEARN]}).write_parquet(folder / "feed.parquet")
    fields = "".join(FIELD.format(name=name, reach=REACH) for name in FIELDS)
    prepare = "\n".join(f'{name} = "{name}"' for name in FIELDS)
    guard = f"timeout_ms = {DEADLINE_S * 1000:.0f}\n"
    system = SYSTEM.format(name="overload", prepare=prepare, guard=guard)
    system = system.replace('name = "regression"\nfit = "models.py:regression"\n', CANDIDATE)
    (folder / "contract.odcs.yaml").write_text(CONTRACT.format(name="overload", fields=fields))
    (folder / "kring.toml").write_text(system)
    (folder / "slow.py").write_text(SLOW)
    known = {"weights": fitted.coef_[0].tolist(), "bias": float(fitted.intercept_[0])}
    (folder / "weights.json").write_text(json.dumps(known))
    told("go", folder)
    secret = json.loads(told("key", "create", folder, "--role", "caller", "--name", "benchmark", "--json"))["secret"]
    (folder / KEY).write_text(secret)


async def measured(running: Running, *, times: float, seconds: float) -> list[str]:
    client = Client(running)
    calm = await closed(client, running, connections=16, seconds=5)
    capacity = len(calm.good_s) / 5
    say(f"capacity {capacity:.0f}/s, p99 {calm.p99() * 1000:.0f} ms, {calm.peak_mb:.0f} MB, {calm.statuses}")
    lines = []
    for name, again in (("open loop", 0), ("retry storm", 3)):
        seen = await open_loop(client, running, rate=times * capacity, seconds=seconds, again=again)
        back = await recovered(client, running, rate=capacity / 2)
        share = len(seen.good_s) / (seconds + DEADLINE_S) / capacity  # the last ones are answered after the end
        say(f"{name}: {seen.statuses} {seen.lost}, {seen.unsent} not sent, {seen.silent} without Retry-After")
        beside = (
            f"p99 of the answered {seen.p99() * 1000:.0f} ms of {DEADLINE_S * 1000:.0f}; {seen.peak_mb:.0f} MB "
            f"({calm.peak_mb:.0f} before); {seen.stood_in} by others than the version; back after {back:.1f} s; "
            f"statuses {seen.statuses}"
        )
        lines.append(row(f"{times:.0f}x, {name}", f"{share:.0%} of capacity, 90% asked for", beside))
    client.close()
    return lines


def row(what: str, ratio: str, beside: str) -> str:
    return f"| `python benchmarks/serve/overload.py`, {what} | {datetime.date.today()} | {ratio} | {beside} |"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--times", type=float, default=10.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    given = parser.parse_args()
    if not 1 <= given.times <= 20 or not 1 <= given.seconds <= 60:
        sys.exit("--times lies from 1 to 20, --seconds from 1 to 60")
    with tempfile.TemporaryDirectory(prefix="kring-overload-") as place:
        system = Path(place) / "overload"
        make(system)
        server = Server(
            name="overload",
            command=lambda port, _: command(port, system),
            path=PATH,
            body=inputs,
            headers=lambda: key_of(system),
        )
        running = start(server, Path(place) / "run")
        try:
            lines = asyncio.run(measured(running, times=given.times, seconds=given.seconds))
        finally:
            running.end()
            say(running.log.read_text(errors="replace")[-2000:])
        print(*lines, sep="\n")


if __name__ == "__main__":
    main()
