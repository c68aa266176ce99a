"""One bounded run of wrk against a server that lives, and what it cost each of the server's processes."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from machine import cpu_us, rss_mb, tree
from servers import NoServer, Running

SCRIPT = Path(__file__).with_name("post.lua")
MOST_S = 5
BODIES = 64
CALM = 0.03
"""A server is calm while all its processes together take less than this part of one core."""
LOOK_S = 0.5
CALM_S = 20.0


@dataclass(frozen=True)
class Cost:
    """CPU of one process for one request, in microseconds, and its resident memory after it."""

    command: str
    us: float
    rss_mb: float


@dataclass(frozen=True)
class Run:
    """What a run came to. `processes` begin with the one that worked most: the worker."""

    requests: int
    per_s: float
    p50_ms: float
    p99_ms: float
    errors: dict[str, int]
    processes: Sequence[Cost]

    @property
    def worker(self) -> Cost:
        return self.processes[0]

    @property
    def others_us(self) -> float:
        return sum(one.us for one in self.processes[1:])

    @property
    def us(self) -> float:
        """CPU of the whole tree for one request, in microseconds."""
        return sum(one.us for one in self.processes)

    @property
    def failed(self) -> int:
        return sum(self.errors.values())


def require_wrk() -> None:
    if not shutil.which("wrk"):
        raise SystemExit("this benchmark needs wrk: apt-get install wrk")


def load(running: Running, *, connections: int, seconds: int) -> Run:
    """`seconds` (at most 5) of requests over `connections`; every body is another row. `NoServer` when wrk fails.

    What the server's processes do after the last answer counts too: the next server is asked when this one is calm.
    """
    server = running.server
    bodies = running.log.with_name("bodies.jsonl")
    if not bodies.exists():
        bodies.write_text("".join(json.dumps(server.body(row)) + "\n" for row in server.rows(BODIES)))
    given = [f"{name}: {value}" for name, value in server.headers().items()]
    command = ["wrk", "-t1", f"-c{connections}", f"-d{min(seconds, MOST_S)}s", "-s", str(SCRIPT), running.url]
    before = {one: cpu_us(one) for one in tree(running.process.pid)}
    done = subprocess.run(
        [*command, "--", str(bodies), *given], capture_output=True, text=True, timeout=60, check=False
    )
    calm(running.process.pid)
    names = tree(running.process.pid)
    spent = {one: cpu_us(one) - before.get(one, 0) for one in names}
    try:
        told = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, json.JSONDecodeError) as error:
        raise NoServer(f"wrk told nothing: {done.stdout[-200:]} {done.stderr[-200:]}") from error
    answered = max(told["requests"] - told["status"], 1)
    costs = [Cost(names[one], us / answered, rss_mb(one)) for one, us in spent.items()]
    return Run(
        requests=told["requests"],
        per_s=answered / (told["us"] / 1e6),
        p50_ms=told["p50"] / 1000,
        p99_ms=told["p99"] / 1000,
        errors={kind: told[kind] for kind in ("connect", "read", "write", "status", "timeout")},
        processes=sorted(costs, key=lambda one: -one.us),
    )


def calm(root: int) -> None:
    """Wait, some seconds at most, until the process and all below it have nothing left to do."""
    until = time.monotonic() + CALM_S
    last = sum(map(cpu_us, tree(root)))
    while time.monotonic() < until:
        time.sleep(LOOK_S)
        now = sum(map(cpu_us, tree(root)))
        if now - last < CALM * LOOK_S * 1e6:
            return
        last = now
