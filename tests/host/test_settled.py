"""Files are read when nobody writes to them."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from kring.host import settled
from kring.host.settled import settle


def test_it_waits_for_who_is_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settled, "QUIET_S", 0.3)
    file, other = tmp_path / "a", tmp_path / "b"
    other.write_text("")
    is_begun = threading.Event()

    def write() -> None:
        for size in range(1, 11):
            file.write_text("x" * size)
            is_begun.set()
            time.sleep(0.02)

    writer = threading.Thread(target=write)
    writer.start()
    is_begun.wait(10)
    assert settle([other, file])
    assert len(file.read_text()) == 10
    writer.join()


@pytest.mark.parametrize("age_s", [-3600.0, 1.0, 3600.0])
def test_it_waits_for_nobody_else(age_s: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a"
    file.write_text("x")
    os.utime(file, (time.time() - age_s,) * 2)

    def never(seconds: float) -> None:
        raise AssertionError(f"{seconds} s")

    monkeypatch.setattr(settled.time, "sleep", never)
    assert settle([file, tmp_path / "nothing"])
    assert settle([])


def test_it_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a"
    monkeypatch.setattr(settled, "PATIENCE_S", 0.1)
    slept = time.sleep

    def writing(seconds: float) -> None:
        slept(seconds)
        file.write_text("x")

    file.write_text("x")
    monkeypatch.setattr(settled.time, "sleep", writing)
    assert not settle([file])
