"""`durability = "async"`: written at once, durable a moment later, and what was lost is counted."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kring.errors import NoRoom, ReadOnly
from kring.host.faults import Crash, FaultyFiles, Plan
from kring.host.files import LocalFiles
from kring.metrics.ids import decision_ids
from kring.ports.files import Files
from kring.stores.file import Ends, free_writer, open_log
from kring.stores.lazy import LazyLog
from kring.stores.reading import read_log
from kring.testing.decision_log import START, SYSTEM, DecisionLogSuite, decisions


def opened(folder: Path, *, files: Files | None = None, segment_bytes: int = 64 << 20) -> LazyLog:
    log = open_log(folder, files=files or LocalFiles(), system=SYSTEM, ends=Ends(segment_bytes), kind=LazyLog)
    assert isinstance(log, LazyLog)
    return log


def put(log: LazyLog, n: int = 2) -> list[str]:
    ids = decision_ids(log.append(decisions(n, at=START)), n)
    log.commit()
    return ids


def settled(log: LazyLog, *, seconds: float = 30) -> None:
    """Wait until nothing is left to be made durable, or the log has stopped."""
    until = time.monotonic() + seconds
    while log._written != log._safe:
        assert time.monotonic() < until
        time.sleep(0.01)


class TestLazyLog(DecisionLogSuite):
    def make(self, folder: Path) -> LazyLog:
        return opened(folder)


class TestLazyLogWithASegmentToEachGroup(DecisionLogSuite):
    def make(self, folder: Path) -> LazyLog:
        return opened(folder, segment_bytes=1)


def test_a_commit_waits_for_no_fsync_and_one_follows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = opened(tmp_path)
    put(log)
    settled(log)
    synced: list[int] = []
    real = os.fdatasync

    def watched(descriptor: int) -> None:
        synced.append(log._written)
        real(descriptor)

    monkeypatch.setattr(os, "fdatasync", watched)
    for _ in range(50):
        put(log)
    assert len(synced) < 50
    settled(log)
    assert synced[-1] == 102
    assert log.dropped == 0
    log.close()


def test_after_a_failed_fsync_the_rows_are_counted_and_nothing_more_is_taken(tmp_path: Path) -> None:
    plan = Plan(0, error=errno.EIO)
    log = opened(tmp_path, files=FaultyFiles(LocalFiles(), plan))
    put(log)
    settled(log)
    plan.nth = plan.count + 2
    ids = put(log, 3)
    settled(log)
    assert (log.dropped, bool(ids)) == (3, True)
    with pytest.raises(ReadOnly, match="make durable"):
        put(log)
    with pytest.raises(ReadOnly):
        put(log)
    assert log.dropped == 3
    log.close()


def test_a_segment_is_durable_before_it_is_sealed(tmp_path: Path) -> None:
    plan = Plan(0, error=errno.EIO)
    log = opened(tmp_path, files=FaultyFiles(LocalFiles(), plan))
    log.append(decisions(2))
    plan.nth = plan.count + 2
    with pytest.raises(ReadOnly):
        log.seal()
    assert not list(tmp_path.glob("*.seal"))
    assert log.dropped == 2
    log.close()


def test_a_full_disk_refuses_the_group_and_passes(tmp_path: Path) -> None:
    plan = Plan(0, error=errno.ENOSPC)
    log = opened(tmp_path, files=FaultyFiles(LocalFiles(), plan))
    kept = put(log)
    settled(log)
    plan.nth = plan.count + 1
    with pytest.raises(NoRoom):
        put(log)
    kept += put(log)
    log.close()
    assert log.dropped == 0
    found = [id for one in read_log(tmp_path, system=SYSTEM).read() for id in decision_ids(one.place, 2)]
    assert found == kept


@pytest.mark.parametrize("segment_bytes", [1, 1500])
def test_a_power_cut_anywhere_leaves_a_log_that_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, segment_bytes: int
) -> None:
    """What was lost is the end; the rest reads, and no id is given out twice."""
    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, name, lambda descriptor: None)
    monkeypatch.setattr("kring.stores.lazy.EVERY_SECONDS", 60.0)
    for nth in range(1, 200):
        folder = tmp_path / str(nth)
        given: list[str] = []
        try:
            log = opened(folder, files=FaultyFiles(LocalFiles(), Plan(nth, power=True)), segment_bytes=segment_bytes)
            for _ in range(8):
                given += put(log)
            log.close()
        except Crash:
            again = opened(folder, segment_bytes=segment_bytes)
            found = [id for one in again.read() for id in decision_ids(one.place, 2)]
            assert found == given[: len(found)]
            put(again)
            again.close()
        else:
            assert nth > 8
            return
    pytest.fail("the work has no end")


KILLED = """
import os, sys
from pathlib import Path
from kring.host.files import LocalFiles
from kring.metrics.ids import decision_ids
from kring.stores.file import Ends, free_writer
from kring.stores.lazy import LazyLog
from kring.testing.decision_log import SYSTEM, decisions
log = free_writer(Path(sys.argv[1]), files=LocalFiles(), system=SYSTEM, ends=Ends(20_000), kind=LazyLog)
while True:
    ids = decision_ids(log.append(decisions(5)), 5)
    log.commit()
    os.write(1, (" ".join(ids) + chr(10)).encode())
"""


def test_a_killed_process_loses_nothing_of_it(tmp_path: Path) -> None:
    for turn in range(3):
        child = subprocess.Popen([sys.executable, "-c", KILLED, tmp_path], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(30 + turn)]
        child.kill()
        lines += child.stdout.read().splitlines(keepends=True)
        child.wait()
        child.stdout.close()
        free_writer(tmp_path, files=LocalFiles(), system=SYSTEM).close()
        log = read_log(tmp_path, system=SYSTEM)
        for id in [id for line in lines if line.endswith("\n") for id in line.split()][::20]:
            log.find(id)
