"""A data worker without a supervisor, of one home on one port, started again and again."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from asking import Acknowledged, Connection, Said
from nursery import Nursery, Wrong
from released import Released
from rows import parcel

from kring.flow.project import open_project
from kring.flow.serving.starting import prepare
from kring.host.page import new_page
from kring.record.serving import Plan
from living import kill, lives, until
from served import free_port

GROUPS: Final = 4
"""Requests one after the other, each with a write and an fsync of its own."""


@dataclass
class Bench:
    """A worker without a supervisor: one home, one port, started again and again."""

    system: Released
    nursery: Nursery
    plan: Path
    port: int
    log: Path
    base: Path
    pid: int = 0

    @property
    def home(self) -> Path:
        return self.system.folder / ".kring"

    def begin(self, *, left_open: bool) -> None:
        """As it was before anybody asked, or as a killed worker left it. Whoever still serves is ended."""
        if self.pid and lives(self.pid):
            kill(self.pid)
            until(lambda: not lives(self.pid), "the end of a worker", log=self.log)
        shutil.rmtree(self.home / "log", ignore_errors=True)
        for path in (self.home / "serve").glob("claims.db*"):
            path.unlink()
        if left_open:
            shutil.copytree(self.base, self.home / "log")

    def born(self, **wrong: Any) -> int:
        """A worker on a fresh page that answers, or has died of what was wrong while it started."""
        self.log.unlink(missing_ok=True)
        page = new_page(self.home / "serve" / "page", workers=1)
        page.ledger_seen(time.monotonic())
        page.close()
        pid = self.pid = self.nursery.born(Wrong(plan=str(self.plan), log=str(self.log), **wrong))
        until(lambda: not lives(pid) or self._is_ready(), "a start or an end", log=self.log)
        return pid

    def _is_ready(self) -> bool:
        return asyncio.run(self._ask("GET", "/readyz")).status in (200, 503)

    async def _ask(self, method: str, path: str) -> Said:
        connection = Connection(self.port, self.system.key)
        try:
            return await connection.send(method, path, seconds=5.0)
        finally:
            await connection.close()

    def ended(self, pid: int) -> int:
        """Stop it in good order; how many operations on the disk it took, 0 when it was killed."""
        with suppress(ProcessLookupError):  # its fault may end it at any moment
            os.kill(pid, signal.SIGTERM)
        until(lambda: not lives(pid), "the end of a worker", log=self.log)
        told = self.log.read_text().rpartition("operations: ")[2] if "operations: " in self.log.read_text() else "0"
        return int(told.split()[0])

    def asked(self, kept: Acknowledged, *, first: int = 0) -> list[Said]:
        """Some requests in a row and three at once, each with a key."""
        return asyncio.run(self._asked(kept, first))

    async def _asked(self, kept: Acknowledged, first: int) -> list[Said]:
        connections = [Connection(self.port, self.system.key) for _ in range(3)]
        said = [await self._one(connections[0], first + number, kept) for number in range(GROUPS)]
        said += await asyncio.gather(
            *(self._one(one, first + GROUPS + number, kept) for number, one in enumerate(connections))
        )
        for one in connections:
            await one.close()
        return said

    @staticmethod
    async def _one(connection: Connection, number: int, kept: Acknowledged) -> Said:
        row, key = parcel(number), f"key {number}"
        said = await connection.ask(row, headers={"Idempotency-Key": key})
        kept.add(row, said, key=key)
        return said


def bench_of(system: Released, nursery: Nursery, base: Path) -> Bench:
    """Everything that a worker reads, and the log that one leaves behind that is killed."""
    port = free_port()
    started = prepare([open_project(system.folder, say=print)], Plan(state="", folders=(), port=port), say=print)
    started.page.close()
    plan = system.folder / ".kring" / "serve" / "plan.json"
    bench = Bench(system, nursery, plan, port, base / "worker.log", base / "left")
    bench.begin(left_open=False)
    pid = bench.born()
    bench.asked(Acknowledged(), first=1000)
    kill(pid)
    until(lambda: not lives(pid), "its end")
    shutil.copytree(system.folder / ".kring" / "log", bench.base)
    return bench
