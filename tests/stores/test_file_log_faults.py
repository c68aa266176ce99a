"""The decision log in files: faults at every operation, processes that die."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kring.errors import NoRoom, ReadOnly, StorageError
from kring.host.faults import Crash, FaultyFiles, Plan
from kring.host.files import LocalFiles, storage_error
from kring.metrics.ids import decision_ids
from kring.ports.files import Files
from kring.record.decision import Decisions
from kring.stores.file import Ends, FileLog, open_log
from kring.stores.reading import read_log
from kring.testing.decision_log import START, SYSTEM, decisions, outcomes

SMALL = 1500
"""Bytes of a segment in tests: a few frames."""


def opened(folder: Path, *, files: Files | None = None, segment_bytes: int = 64 << 20) -> FileLog:
    return open_log(folder, files=files or LocalFiles(), system=SYSTEM, ends=Ends(segment_bytes))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting for the disk: what a power cut takes away is taken away by the faults."""
    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, name, lambda descriptor: None)


def contents(log: FileLog) -> list[int]:
    """The moments of all frames."""
    return [logged.record.at for logged in log.read()]


def ids_in(log: FileLog) -> list[str]:
    found = [logged for logged in log.read() if isinstance(logged.record, Decisions)]
    return [id for logged in found for id in decision_ids(logged.place, logged.record.n)]


def work(log: FileLog, acknowledged: list[str]) -> None:
    """Two groups to a segment, outcomes between, a seal at the end."""
    for number in range(5):
        first = log.append(decisions(2, at=START + number * 1000))
        log.append(outcomes([bytes(16)], at=START + number * 1000))
        second = log.append(decisions(3, at=START + number * 1000))
        log.commit()
        acknowledged += decision_ids(first, 2) + decision_ids(second, 3)
    log.seal()
    log.close()


def check_recovered(folder: Path, acknowledged: list[str]) -> None:
    """Every acknowledged id is there once, the log goes on, and gives out no id twice."""
    log = opened(folder, segment_bytes=SMALL)
    found = ids_in(log)
    assert len(set(found)) == len(found)
    assert set(acknowledged) <= set(found)
    for id in acknowledged:
        record, row = log.find(id)
        assert record.inputs["row"][row] == row
    place = log.append(decisions(2, at=START + 10**6))
    log.commit()
    fresh = decision_ids(place, 2)
    assert not set(fresh) & set(found)
    assert ids_in(log) == [*found, *fresh]
    assert sum(segment.decisions for segment in log.seal()) == len(found) + 2
    log.close()


def operations() -> Iterator[int]:
    yield from range(1, 200)


@pytest.mark.parametrize("power", [False, True])
def test_a_crash_at_every_operation(quick: None, tmp_path: Path, power: bool) -> None:
    for nth in operations():
        folder = tmp_path / str(nth)
        acknowledged: list[str] = []
        plan = Plan(nth, crash=True, power=power)
        try:
            work(opened(folder, files=FaultyFiles(LocalFiles(), plan), segment_bytes=SMALL), acknowledged)
        except Crash:
            check_recovered(folder, acknowledged)
        else:
            assert len(acknowledged) == 25
            assert nth > 15
            return
    pytest.fail("the work has no end")


def test_a_crash_at_every_operation_of_recovery(quick: None, tmp_path: Path) -> None:
    log = opened(tmp_path / "log", segment_bytes=SMALL)
    for number in range(12):
        log.append(decisions(2, at=START + number * 1000))
        log.commit()
    log.close()
    torn = tmp_path / "log" / "0-3.log"
    torn.write_bytes(torn.read_bytes()[:-5])
    (tmp_path / "log" / "0-1.seal").unlink()
    frames = list(read_log(tmp_path / "log", system=SYSTEM).read())
    before = [id for logged in frames for id in decision_ids(logged.place, 2)]
    assert len(before) == 22
    for nth in operations():
        copy = tmp_path / f"copy{nth}"
        shutil.copytree(tmp_path / "log", copy)
        try:
            opened(copy, files=FaultyFiles(LocalFiles(), Plan(nth, crash=True)), segment_bytes=SMALL).close()
        except Crash:
            check_recovered(copy, before)
        else:
            assert nth > 5
            return
    pytest.fail("recovery has no end")


def test_what_a_dead_process_wrote_is_made_durable_before_it_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = opened(tmp_path / "log", files=FaultyFiles(LocalFiles(), Plan(10, crash=True)))
    with pytest.raises(Crash):
        work(log, [])
    synced: set[int] = set()
    real = os.fdatasync

    def watched(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)
        real(descriptor)

    monkeypatch.setattr(os, "fdatasync", watched)
    again = opened(tmp_path / "log")
    assert (tmp_path / "log" / "0-1.log").stat().st_ino in synced
    again.close()


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("stays", [False, True])
def test_an_error_at_every_operation(quick: None, tmp_path: Path, error: int, stays: bool) -> None:
    """What fails is not acknowledged; what was acknowledged stays; the log can be opened again."""
    for nth in operations():
        folder = tmp_path / str(nth)
        acknowledged: list[str] = []
        files = FaultyFiles(LocalFiles(), Plan(nth, error=error, stays=stays))
        try:
            log = opened(folder, files=files, segment_bytes=SMALL)
        except StorageError:
            check_recovered(folder, acknowledged)
            continue
        try:
            work(log, acknowledged)
        except StorageError:
            assert set(ids_in(log)) >= set(acknowledged)
            try:
                log.close()
            except StorageError:
                assert not log.close()
            check_recovered(folder, acknowledged)
        else:
            assert nth > 15
            return
    pytest.fail("the work has no end")


def test_a_full_disk_is_survived_without_a_restart(quick: None, tmp_path: Path) -> None:
    """The group that found no space fails; the next ones go on, with other ids."""
    for nth in operations():
        plan = Plan(0, error=errno.ENOSPC)
        log = opened(tmp_path / str(nth), files=FaultyFiles(LocalFiles(), plan), segment_bytes=SMALL)
        plan.nth, failed = nth + plan.count, 0
        acknowledged: list[str] = []
        tried: list[str] = []
        unsure: list[str] = []
        for _ in range(8):
            try:
                ids = decision_ids(log.append(decisions(2, at=START)), 2)
                assert not set(ids) & set(tried)
                tried += ids
                log.commit()
                acknowledged += ids
            except NoRoom:
                failed += 1
            except ReadOnly as caught:
                unsure.append(str(caught))
                break
        else:
            assert failed <= 1
            assert len(acknowledged) == 2 * (8 - failed)
        assert all("make durable" in reason for reason in unsure)
        assert ids_in(log) == acknowledged
        log.close()
        check_recovered(tmp_path / str(nth), acknowledged)
        if plan.count < plan.nth:
            return
    pytest.fail("the work has no end")


def test_after_a_failed_fsync_nothing_is_acknowledged(tmp_path: Path) -> None:
    plan = Plan(0, error=errno.EIO)
    log = opened(tmp_path / "log", files=FaultyFiles(LocalFiles(), plan))
    log.append(decisions(1, at=START))
    log.commit()
    plan.nth = plan.count + 2
    log.append(decisions(1, at=START + 1))
    with pytest.raises(ReadOnly, match="make durable"):
        log.commit()
    for _ in range(2):
        with pytest.raises(ReadOnly, match="no more records"):
            log.append(decisions(1))
        with pytest.raises(ReadOnly, match="no more records"):
            log.commit()
        with pytest.raises(ReadOnly, match="no more records"):
            log.seal()
    assert contents(log) == [START]
    log.close()


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EMFILE])
@pytest.mark.parametrize("groups", [1, 4])
def test_a_disk_that_stays_full_and_then_has_room(quick: None, tmp_path: Path, error: int, groups: int) -> None:
    """From any operation on: every group fails as long as nobody makes room; then the same log goes on."""
    for nth in operations():
        plan = Plan(0, error=error, stays=True)
        log = opened(tmp_path / str(nth), files=FaultyFiles(LocalFiles(), plan), segment_bytes=SMALL)
        plan.nth = nth + plan.count
        acknowledged: list[str] = []
        begun = plan.count
        for number in range(10):
            try:
                ids = [id for _ in range(groups) for id in decision_ids(log.append(decisions(2, at=START)), 2)]
                log.commit()
                acknowledged += ids
            except NoRoom:
                if number > 6:
                    plan.nth = 0
            except ReadOnly:
                break
        else:
            plan.nth = 0
            ids = decision_ids(log.append(decisions(2, at=START)), 2)
            log.commit()
            assert ids_in(log) == [*acknowledged, *ids]
            acknowledged += ids
        done = plan.count - begun
        log.close()
        check_recovered(tmp_path / str(nth), acknowledged)
        if nth > done:
            return
    pytest.fail("the work has no end")


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
def test_a_failed_fsync_of_a_new_segment_ends_it_too(tmp_path: Path, error: int) -> None:
    plan = Plan(0, error=error)
    log = opened(tmp_path / "log", files=FaultyFiles(LocalFiles(), plan), segment_bytes=1)
    log.append(decisions(1, at=START))
    log.commit()
    before = plan.count
    log.append(decisions(1, at=START + 1))
    operations_of_a_new_segment = plan.count - before
    log.commit()
    plan.nth = plan.count + operations_of_a_new_segment
    with pytest.raises(ReadOnly, match="make durable"):
        log.append(decisions(1, at=START + 2))
    for _ in range(2):
        with pytest.raises(ReadOnly):
            log.append(decisions(1, at=START + 3))
    assert contents(log) == [START, START + 1]
    log.close()


def test_what_may_pass_is_retryable_and_what_may_not_is_final(tmp_path: Path) -> None:
    assert NoRoom("full").retryable
    assert not ReadOnly("fsync").retryable
    for error, kind in [(errno.ENOSPC, NoRoom), (errno.EMFILE, NoRoom), (errno.EIO, StorageError)]:
        assert type(storage_error("write", tmp_path, OSError(error, os.strerror(error)))) is kind


def test_ctrl_c_in_a_commit_stops_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = opened(tmp_path / "log")
    log.append(decisions(1, at=START))
    log.commit()
    real = os.pwrite

    def interrupted(descriptor: int, data: bytes, offset: int) -> int:
        real(descriptor, data[:50], offset)
        raise KeyboardInterrupt

    log.append(decisions(1, at=START + 1))
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", interrupted)
        with pytest.raises(KeyboardInterrupt):
            log.commit()
    with pytest.raises(ReadOnly, match="no more records"):
        log.append(decisions(1))
    log.close()
    log = opened(tmp_path / "log")
    assert contents(log) == [START]
    log.close()


# ---------------------------------------------------------------- the process dies


KILLED = """
import os, sys
from pathlib import Path
from kring.host.files import LocalFiles, storage_error
from kring.metrics.ids import decision_ids
from kring.stores.file import Ends, open_log
from kring.testing.decision_log import SYSTEM, START, decisions
log = open_log(Path(sys.argv[1]), files=LocalFiles(), system=SYSTEM, ends=Ends(20_000))
number = 0
while True:
    ids = []
    for n in (1, 3, 40):
        ids += decision_ids(log.append(decisions(n, at=START + number * 1000)), n)
    log.commit()
    os.write(1, (" ".join(ids) + "\\n").encode())
    number += 1
"""


def test_a_killed_process_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    """Fifteen processes, one after the other on one log, each killed while it writes."""
    folder = tmp_path / "log"
    acknowledged: list[str] = []
    for turn in range(15):
        child = subprocess.Popen([sys.executable, "-c", KILLED, folder], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        lines = [child.stdout.readline()]
        lines += [child.stdout.readline() for _ in range(turn % 4)]
        time.sleep(0.0007 * turn)
        child.kill()
        lines += child.stdout.read().splitlines(keepends=True)
        child.wait()
        child.stdout.close()
        acknowledged += [id for line in lines if line.endswith("\n") for id in line.split()]
    log = opened(folder)
    found = ids_in(log)
    assert len(set(found)) == len(found)
    assert set(acknowledged) <= set(found)
    assert len(acknowledged) > 15 * 44
    for id in acknowledged[:: len(acknowledged) // 200]:
        log.find(id)
    log.close()
