"""The end of a rollout in a running server of two workers that are asked all the time: taken back by a person, and its
version deleted in the midst of it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from typing import Final

from asking import Acknowledged, Load
from canaries import rollout_of, row, state_of
from released import Released

from living import workers
from served import Server, serving
from systems import kring

SEEN_S: Final = 5.0
"""By then every worker goes by what a command left on the ledger, however busy the machine is."""

AFTER: Final = 300
PATIENCE_S: Final = 60.0


async def until(true: Callable[[], object], what: str, server: Server) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, f"{what} did not happen\n{server.log.read_text()}"
        await asyncio.sleep(0.05)


def by(kept: Acknowledged, version: str) -> int:
    """How many answers the version was to give."""
    return sum(one["version"] == version for one in kept.answers.values())


async def run(*words: object) -> int:
    """One command line, in a process of its own: this one goes on asking."""
    started = await asyncio.create_subprocess_exec(sys.executable, "-m", "kring", *map(str, words))
    return await started.wait()


def test_after_a_rollback_nobody_is_answered_by_the_version(canary: Released) -> None:
    version = rollout_of(canary.folder).version
    with serving([canary.folder], workers=2) as server:
        kept, at_the_end = asyncio.run(taken_back(server, canary, version))
    assert not kept.strange
    assert set(kept.statuses) <= {200, 503}
    assert by(kept, version) == at_the_end > 0
    assert rollout_of(canary.folder).state == "rolled_back"
    kept.hold_against(canary.folder, system="prices")


async def taken_back(server: Server, system: Released, version: str) -> tuple[Acknowledged, int]:
    """All answers, and how many of them were the version's when its time was over."""
    load = Load(server.port, system.key, rows=row, callers=4, keyed=False)
    try:
        await until(lambda: by(load.kept, version) > 10, "an answer by the new version", server)
        assert await run("rollback", system.folder, "--reason", "complaints") == 0
        await asyncio.sleep(SEEN_S)
        at_the_end = by(load.kept, version)
        await load.until(AFTER)
    finally:
        await load.stop()
    return load.kept, at_the_end


def test_a_version_that_is_deleted_in_the_midst_holds_its_rollout_and_costs_no_answer(canary: Released) -> None:
    """Whoever had it open may go on with it for a moment; whoever starts anew answers without it."""
    version, live = rollout_of(canary.folder).version, rollout_of(canary.folder).previous
    with serving([canary.folder], workers=2) as server:
        kept = asyncio.run(deleted(server, canary, version))
        assert not kept.strange
        assert set(kept.statuses) <= {0, 200, 503}
        server.key = canary.key
        pointer = state_of(canary.folder).pointer
        assert pointer is not None
        assert (pointer.live, pointer.canary) == (live, "")
        told = kring("rollout", "show", canary.folder, "--json").json
        assert "its folder is gone" in told["headline"]
        assert any("kring abort" in line for line in told["todo"]), told["todo"]
        [alarm] = [one for one in state_of(canary.folder).alarms if one.kind == "release"]
        assert (alarm.metric, alarm.version) == ("held", version)
        assert kring("abort", canary.folder, "--reason", "it is gone").code == 0
    assert rollout_of(canary.folder).state == "aborted"
    kept.hold_against(canary.folder, system="prices")


async def deleted(server: Server, system: Released, version: str) -> Acknowledged:
    """Deleted, held, and then a worker dies and starts without it."""
    load = Load(server.port, system.key, rows=row, callers=4, keyed=False)
    try:
        await until(lambda: by(load.kept, version) > 10, "an answer by the new version", server)
        shutil.rmtree(system.versions / version)
        await load.until(AFTER)
        await until(lambda: rollout_of(system.folder).state == "held", "the word that it is gone", server)
        await asyncio.sleep(SEEN_S)
        at_the_end = by(load.kept, version)
        seat, pid = min(workers(system.folder).items())
        os.kill(pid, signal.SIGKILL)
        await until(lambda: workers(system.folder).get(seat, pid) != pid, "another worker", server)
        await load.until(AFTER)
        assert by(load.kept, version) == at_the_end
    finally:
        await load.stop()
    return load.kept
