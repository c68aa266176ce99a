"""The layer that injects faults does what its plan says."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from kring.errors import StorageError
from kring.host.faults import Crash, FaultyFiles, Plan
from kring.host.files import LocalFiles


def work(files: FaultyFiles, folder: Path) -> None:
    """Nine operations."""
    files.write(folder / "a", b"12345678")
    log = files.append(folder / "log")
    log.write(b"12345678")
    log.sync()
    log.close()
    files.truncate(folder / "log", 4)
    files.read(folder / "log")
    files.list(folder)
    files.remove(folder / "a")
    files.publish(folder, folder.with_name(folder.name + "-done"))


def test_every_operation_is_counted(tmp_path: Path) -> None:
    plan = Plan(0)
    work(FaultyFiles(LocalFiles(), plan), tmp_path / "w")
    assert plan.count == 9


@pytest.mark.parametrize("nth", range(1, 10))
def test_the_nth_operation_fails_and_later_ones_do_not(tmp_path: Path, nth: int) -> None:
    files = FaultyFiles(LocalFiles(), Plan(nth, error=errno.EIO))
    with pytest.raises(StorageError) as caught:
        work(files, tmp_path / "w")
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.EIO
    assert files.plan.count == nth
    for appender in list(files.opened):
        appender.close()
    work(files, tmp_path / "again")


def test_a_fault_that_stays(tmp_path: Path) -> None:
    files = FaultyFiles(LocalFiles(), Plan(2, stays=True))
    files.write(tmp_path / "a", b"")
    for _ in range(3):
        with pytest.raises(StorageError):
            files.write(tmp_path / "a", b"1")


def test_a_failed_write_reaches_the_file_in_part(tmp_path: Path) -> None:
    log = FaultyFiles(LocalFiles(), Plan(2)).append(tmp_path / "log")
    with pytest.raises(StorageError):
        log.write(b"12345678")
    log.write(b"!")
    log.close()
    assert (tmp_path / "log").read_bytes() == b"1234!"


@pytest.mark.parametrize(("power", "left"), [(False, b"1234567812345678"), (True, b"123456781234")])
def test_a_crash_keeps_what_was_durable(tmp_path: Path, power: bool, left: bytes) -> None:
    files = FaultyFiles(LocalFiles(), Plan(5, crash=True, power=power))
    log = files.append(tmp_path / "log")
    log.write(b"12345678")
    log.sync()
    log.write(b"12345678")
    with pytest.raises(Crash):
        log.sync()
    assert (tmp_path / "log").read_bytes() == left
    LocalFiles().append(tmp_path / "log").close()


def test_a_crash_in_a_write_leaves_a_part_beside(tmp_path: Path) -> None:
    with pytest.raises(Crash):
        FaultyFiles(LocalFiles(), Plan(1, crash=True)).write(tmp_path / "a", b"12345678")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"1234"]


def test_after_a_failed_sync_an_appender_is_dead(tmp_path: Path) -> None:
    log = FaultyFiles(LocalFiles(), Plan(2)).append(tmp_path / "log")
    with pytest.raises(StorageError):
        log.sync()
    for _ in range(2):
        with pytest.raises(StorageError):
            log.sync()
        with pytest.raises(StorageError):
            log.write(b"1")
    log.close()
