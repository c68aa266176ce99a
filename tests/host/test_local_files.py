"""Files on the local disk, plain and with faults that do not strike."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from kring.errors import Busy, Conflict, StorageError
from kring.host.faults import FaultyFiles, Plan
from kring.host.files import LocalFiles
from kring.ports.files import Files
from kring.testing.files import FilesSuite


class TestLocalFiles(FilesSuite):
    def make(self) -> LocalFiles:
        return LocalFiles()


class TestFaultyFilesWithoutFaults(FilesSuite):
    def make(self) -> Files:
        return FaultyFiles(LocalFiles(), Plan(0))


def test_only_the_owner_may_read(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        files = LocalFiles()
        files.write(tmp_path / "new" / "deep" / "file", b"")
        files.append(tmp_path / "new" / "log").close()
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new").rglob("*")}
    assert modes == {"deep": 0o700, "file": 0o600, "log": 0o600}
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def test_the_lock_of_a_dead_process_is_free(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from kring.host.files import LocalFiles\n"
        "held = LocalFiles().append(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", program, tmp_path / "log"], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"held\n"
    with pytest.raises(Busy, match="another process"):
        LocalFiles().append(tmp_path / "log")
    child.kill()
    child.wait()
    child.stdout.close()
    LocalFiles().append(tmp_path / "log").close()


def test_a_failed_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = LocalFiles()
    files.write(tmp_path / "file", b"before")

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(StorageError, match="free some space"):
            files.write(tmp_path / "file", b"after")
    assert files.read(tmp_path / "file") == b"before"
    assert files.list(tmp_path) == [tmp_path / "file"]


def test_ctrl_c_in_a_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = LocalFiles()
    files.write(tmp_path / "file", b"before")

    def interrupted(descriptor: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            files.write(tmp_path / "file", b"after")
    assert files.read(tmp_path / "file") == b"before"
    assert files.list(tmp_path) == [tmp_path / "file"]


def test_after_a_failed_fsync_an_appender_is_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    appender = LocalFiles().append(tmp_path / "log")

    def broken(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    appender.write(b"1")
    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", broken)
        with pytest.raises(StorageError):
            appender.sync()
    with pytest.raises(StorageError, match="failed fsync"):
        appender.sync()
    with pytest.raises(StorageError, match="failed fsync"):
        appender.write(b"2")
    appender.close()


def test_threads_write_one_file_one_after_the_other(tmp_path: Path) -> None:
    files = LocalFiles()
    texts = [bytes([65 + number]) * 50_000 for number in range(8)]
    threads = [threading.Thread(target=files.write, args=(tmp_path / "file", text)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert files.read(tmp_path / "file") in texts
    assert files.list(tmp_path) == [tmp_path / "file"]


def test_publishing_into_a_folder_that_came_between(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = LocalFiles()
    files.write(tmp_path / "building" / "file", b"mine")
    files.write(tmp_path / "target" / "file", b"theirs")
    monkeypatch.setattr(Path, "exists", lambda path: path.name != "target")
    with pytest.raises(Conflict, match="exists already"):
        files.publish(tmp_path / "building", tmp_path / "target")
    assert files.read(tmp_path / "target" / "file") == b"theirs"
