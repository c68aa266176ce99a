"""R8 a ledger that is locked or gone, R28 a version that is gone at a start, R30 a worker that stands still, R37 a stop
under load: in a running server of two workers."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest
from asking import Acknowledged, Connection, Load
from released import Released
from rows import parcel

from living import below, kill, lives, until, workers
from served import STOPPED_S, Server, free_port, serving, start

AWAY_S: Final = 4.0
LONG_AWAY_S: Final = 30.0
STILL_S: Final = 2.0
GRACE_S: Final = 20.0


def test_a_ledger_that_is_away_costs_nobody_an_answer(parcels: Released) -> None:
    ledger_away(parcels, seconds=AWAY_S)


@pytest.mark.long
def test_a_ledger_that_is_away_for_long(parcels: Released) -> None:
    ledger_away(parcels, seconds=LONG_AWAY_S)


def ledger_away(system: Released, *, seconds: float) -> None:
    """Locked for so long, then gone for so long, then back: every answer is given, and keys are ended again."""
    ledger = system.folder / ".kring" / "ledger.db"
    with serving([system.folder], workers=2) as server:
        server.key = system.key
        kept = asyncio.run(while_away(server, ledger, seconds))
        assert set(kept.statuses) == {200}, kept.statuses
        until(lambda: made(server, system), "a key on the ledger that is back", log=server.log, every=0.5)
        assert "Traceback" not in server.log.read_text()
    kept.hold_against(system.folder, system=system.name)


def made(server: Server, system: Released) -> bool:
    asked = {"role": "caller", "label": "when it is back", "systems": [system.name]}
    return server.ask("POST", "/api/keys", asked).status in (200, 201)


async def while_away(server: Server, ledger: Path, seconds: float) -> Acknowledged:
    load = Load(server.port, server.key, rows=parcel, callers=4)
    try:
        await load.until(20)
        with closing(sqlite3.connect(ledger, isolation_level=None, timeout=30)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            await asyncio.sleep(seconds)
            await load.until(20)
            connection.execute("ROLLBACK")
        await load.until(20)
        aside = ledger.with_name("aside.db")
        ledger.rename(aside)
        await asyncio.sleep(seconds)
        await load.until(20)
        aside.rename(ledger)
        await load.until(20)
    finally:
        await load.stop()
    return load.kept


def test_a_version_that_is_gone_is_named_when_a_server_starts(parcels: Released) -> None:
    """And a worker that has to begin anew waits for it, while the other one goes on."""
    version = next(path for path in parcels.versions.iterdir() if path.name.startswith("v_"))
    aside = parcels.folder / "aside"
    with serving([parcels.folder], workers=2) as server:
        server.key = parcels.key
        version.rename(aside)
        kill(workers(parcels.folder)[0])
        until(lambda: f"version {version.name} can't be verified" in server.log.read_text(), "its name", log=server.log)

        def is_answered() -> bool:
            return asyncio.run(answered(server)) == 200

        until(is_answered, "an answer by the other worker", log=server.log)
        aside.rename(version)
        until(lambda: len(ready(server)) >= 3, "the worker's return", log=server.log)
    version.rename(aside)
    words = [sys.executable, "-m", "kring", "serve", str(parcels.folder), "--port", str(free_port()), "--json"]
    refused = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == 3, refused
    assert version.name in refused.stderr + refused.stdout


def ready(server: Server) -> list[str]:
    return [line for line in server.log.read_text().splitlines() if "worker" in line and line.endswith("is ready")]


async def answered(server: Server) -> int:
    connection = Connection(server.port, server.key)
    try:
        return (await connection.ask(parcel(1), seconds=5.0)).status
    finally:
        await connection.close()


def test_a_worker_that_stands_still_loses_nothing(parcels: Released) -> None:
    """SIGSTOP for some seconds and on again; then for good, until the supervisor kills and replaces it."""
    with serving([parcels.folder], workers=2) as server:
        kept = asyncio.run(standing_still(server, parcels))
        assert "worker 0 is killed: it gave no sign of life" in server.log.read_text()
    assert not kept.strange
    kept.hold_against(parcels.folder, system=parcels.name)


async def standing_still(server: Server, system: Released) -> Acknowledged:
    load = Load(server.port, system.key, rows=parcel)
    try:
        await load.until(50)
        first = workers(system.folder)[0]
        os.kill(first, signal.SIGSTOP)
        await asyncio.sleep(STILL_S)
        os.kill(first, signal.SIGCONT)
        await load.until(200)
        assert workers(system.folder)[0] == first, "some seconds are no reason to kill it"
        os.kill(first, signal.SIGSTOP)
        await load.until(1)
        end = time.monotonic() + 60
        while workers(system.folder).get(0, first) == first:
            assert time.monotonic() < end, server.log.read_text()
            await asyncio.sleep(0.1)
        assert not lives(first)
        await load.until(200)
    finally:
        await load.stop()
    return load.kept


def test_a_stop_under_load_answers_what_it_took(parcels: Released) -> None:
    """First it says that it is not ready, then it takes nothing new, then it ends: no 5xx, nothing lost."""
    server = start([parcels.folder], workers=2)
    try:
        below_it = below(server.process.pid)
        kept, was_ready = asyncio.run(stopping(server, parcels))
    finally:
        code = server.stop()
    assert code == 0, server.log.read_text()
    assert was_ready[0] == 200
    assert was_ready[-1] == 503, "not ready, and then gone"
    assert kept.statuses.keys() <= {0, 200}, kept.statuses
    assert not any(map(lives, below_it))
    assert "is killed" not in server.log.read_text()
    kept.hold_against(parcels.folder, system=parcels.name)


async def stopping(server: Server, system: Released) -> tuple[Acknowledged, list[int]]:
    """What was answered, and the different answers of /readyz in their order."""
    load = Load(server.port, system.key, rows=parcel)
    looking = Connection(server.port, "")
    seen: list[int] = []
    try:
        await load.until(200)
        began = time.monotonic()
        seen.append((await looking.send("GET", "/readyz")).status)
        server.process.send_signal(signal.SIGTERM)
        while server.process.poll() is None:
            assert time.monotonic() - began < min(GRACE_S, STOPPED_S), server.log.read_text()
            status = (await looking.send("GET", "/readyz", seconds=2.0)).status
            if status and status != seen[-1]:
                seen.append(status)
            await asyncio.sleep(0.005)
    finally:
        await looking.close()
        await load.stop()
    return load.kept, seen
