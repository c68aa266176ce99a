"""R27 a rollback without a ledger and without one of the workers, R38 all workers restarted one by one, R24 a
configuration that is edited: while a version answers a share, in a running server of two workers."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import time
from collections import Counter
from contextlib import closing, suppress

from asking import Acknowledged, Load
from canaries import counted_again, rollout_of, row, state_of
from released import Released

from kring.flow import adapters
from kring.flow.operating.following import frames_to
from kring.flow.pulling import PullFile
from kring.host.files import LocalFiles
from kring.record.decision import Decisions
from kring.record.pulled import Pulled
from living import until, workers
from served import Server, serving
from systems import kring

WITHIN_S = 1.0
"""Seconds until every worker that lives goes by a rollback: it looks ten times a second."""


def versions(server: Server, rows: int = 40, *, first: int = 0) -> Counter[str]:
    """By whom so many rows were answered. A worker that stands still answers nobody, and is passed over."""
    found: Counter[str] = Counter()
    for number in range(first, first + rows):
        with suppress(OSError):
            told = server.ask("POST", "/api/decisions", {"inputs": row(number)}, seconds=1.0)
            found[told.json["version"] if told.status == 200 else str(told.status)] += 1
    return found


def test_a_rollback_needs_neither_the_ledger_nor_every_worker(canary: Released) -> None:
    """The ledger is locked and one worker stands still: the other goes back within a second, the one that comes back
    too, and the ledger is told when it can be."""
    before = state_of(canary.folder).pointer
    assert before is not None
    with serving([canary.folder], workers=2) as server:
        server.key = canary.key
        until(lambda: versions(server, first=100)[before.canary], "an answer by the new version", log=server.log)
        still = workers(canary.folder)[0]
        with closing(sqlite3.connect(canary.folder / ".kring" / "ledger.db", isolation_level=None, timeout=30)) as held:
            held.execute("BEGIN EXCLUSIVE")
            os.kill(still, signal.SIGSTOP)
            told = kring("rollback", canary.folder, "--reason", "complaints", "--by", "Night Duty")
            assert told.code == 0, told.err
            assert "the ledger could not be told" in told.out
            time.sleep(WITHIN_S)
            without = versions(server, first=200)
            with suppress(ProcessLookupError):  # it may have been killed and replaced by now
                os.kill(still, signal.SIGCONT)
            time.sleep(WITHIN_S)
            again = versions(server, first=300)
            held.execute("ROLLBACK")
        assert set(without) == {before.live}, without
        assert set(again) == {before.live}, again
        until(lambda: rollout_of(canary.folder).state == "rolled_back", "the end of the rollout", log=server.log)
        until(lambda: all(one.told for one in pulled(canary)), "the ledger's word", log=server.log)
        assert set(versions(server, first=400)) == {before.live}
    rollout, after = rollout_of(canary.folder), state_of(canary.folder).pointer
    assert (rollout.actor, rollout.reason) == ("Night Duty", "complaints")
    assert after is not None
    assert (after.live, after.canary, after.generation) == (before.live, "", before.generation + 1)


def test_pulled_versions_that_cannot_be_read_end_no_worker(canary: Released) -> None:
    """The file belongs to somebody else, or its disk fails (here a folder is in its place): what was known goes on. A
    worker that starts meanwhile can't know what was taken back: no version answers there, a baseline does."""
    file, one = canary.folder / ".kring" / "pulled.json", state_of(canary.folder).pointer
    assert one is not None
    with serving([canary.folder], workers=1) as server:
        server.key = canary.key
        file.mkdir()
        until(lambda: "pulled" in server.ask("GET", "/readyz").body.decode(), "a word about it", log=server.log)
        before = workers(canary.folder)[0]
        assert set(answered_by(server)) <= {one.live, one.canary}
        os.kill(before, signal.SIGKILL)
        until(lambda: workers(canary.folder).get(0, before) != before, "another worker", log=server.log)
        until(lambda: set(answered_by(server, 1)) != {"nobody"}, "an answer", log=server.log)
        assert set(answered_by(server)) == {f"{one.live}/baseline"}
        assert "no version answers but a baseline" in server.ask("GET", "/readyz").json["notes"]["pulled"]
        file.rmdir()
        until(lambda: "pulled" not in server.ask("GET", "/readyz").body.decode(), "nothing to tell", log=server.log)
        until(lambda: one.live in answered_by(server, 1), "an answer by a version", log=server.log)
        assert set(answered_by(server)) <= {one.live, one.canary}
        assert server.log.read_text().count("pulled versions are read again") == 1


def test_a_version_that_was_pulled_answers_nothing_where_the_file_is_damaged(canary: Released) -> None:
    """The ledger still says that it answers a share, and a worker starts when nobody can read any more that it must
    not."""
    one = state_of(canary.folder).pointer
    assert one is not None
    with serving([canary.folder], workers=1) as server:
        server.key = canary.key
        with closing(sqlite3.connect(canary.folder / ".kring" / "ledger.db", isolation_level=None, timeout=30)) as held:
            held.execute("BEGIN EXCLUSIVE")
            assert kring("rollback", canary.folder, "--reason", "complaints").code == 0
            (canary.folder / ".kring" / "pulled.json").write_bytes(b"{")
            before = workers(canary.folder)[0]
            os.kill(before, signal.SIGKILL)
            until(lambda: workers(canary.folder).get(0, before) != before, "another worker", log=server.log)
            until(lambda: set(answered_by(server, 1)) != {"nobody"}, "an answer", log=server.log)
            found = answered_by(server, 80)
            held.execute("ROLLBACK")
    assert set(found) == {f"{one.live}/baseline"}


def answered_by(server: Server, rows: int = 40) -> Counter[str]:
    """Who answered so many rows."""
    found: Counter[str] = Counter()
    for number in range(rows):
        try:
            told = server.ask("POST", "/api/decisions", {"inputs": row(number)})
            found[told.json["answered_by"] if told.status == 200 else "nobody"] += 1
        except OSError:
            found["nobody"] += 1
    return found


def pulled(system: Released) -> tuple[Pulled, ...]:
    return PullFile(system.folder / ".kring", files=LocalFiles()).read()


def test_all_workers_are_restarted_one_by_one_and_nothing_is_counted_otherwise(canary: Released) -> None:
    """What the operator counted while writers came and went is what the log says as one stream."""
    with serving([canary.folder], workers=2) as server:
        server.key = canary.key
        kept = asyncio.run(restarted(server, canary))
        decided = len(kept.answers)
        until(lambda: counted(canary) > decided - 200, "the counts of what was decided", log=server.log, every=0.5)
    assert not kept.strange
    times = kept.hold_against(canary.folder, system="prices")
    state = state_of(canary.folder)
    assert counted_again(canary.folder) == state.progress
    assert counted(canary) <= sum(times.values())
    assert all(segment for segment, _ in dict(state.cursors).values()), "each of the two began anew"


async def restarted(server: Server, system: Released) -> Acknowledged:
    load = Load(server.port, server.key, rows=row, callers=4)
    try:
        await load.until(300)
        for seat, pid in sorted(workers(system.folder).items()):
            os.kill(pid, signal.SIGTERM if seat else signal.SIGKILL)
            end = time.monotonic() + 60
            while workers(system.folder).get(seat, pid) == pid:
                assert time.monotonic() < end, server.log.read_text()
                await asyncio.sleep(0.05)
            await load.until(200)
        await load.until(200)
    finally:
        await load.stop()
    return load.kept


def counted(system: Released) -> int:
    """Rows of the log up to the end of the newest batch."""
    log = adapters.read_log(system.folder / ".kring" / "log", system="prices")
    frames = frames_to(log, {}, dict(state_of(system.folder).cursors))
    return sum(one.record.n for one in frames if isinstance(one.record, Decisions))


def test_an_edited_configuration_holds_a_canary(canary: Released) -> None:
    """It is held with its brake and its traffic; put back, a person lets it go on."""
    config = canary.folder / "kring.toml"
    text = config.read_text()
    share = state_of(canary.folder).pointer
    with serving([canary.folder], workers=1) as server:
        config.write_text(text.replace("floor = 0.02", "floor = 0.2"))
        until(lambda: rollout_of(canary.folder).state == "held", "the brake", log=server.log, every=0.5)
        held = rollout_of(canary.folder)
        assert held.brakes == ("config_changed",)
        assert state_of(canary.folder).pointer == share
        refused = kring("resume", canary.folder, "--reason", "go on", "--json")
        assert (refused.code, "config_changed" in refused.json["error"]["next"]) == (1, True)
        config.write_text(text)
        assert kring("resume", canary.folder, "--reason", "put back").code == 0
    assert rollout_of(canary.folder).state == "step"
