"""Segments end by their age as well: what is kept for thirty days does not lie in a segment that is open for years."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kring.host.files import LocalFiles
from kring.metrics.ids import decision_ids, decision_raw
from kring.record.decision import Outcomes
from kring.stores.file import SEGMENT_AGE_US, FileLog, free_writer, open_log, seal_left
from kring.stores.lazy import LazyLog
from kring.stores.reading import read_log
from kring.stores.sealed import sealed_segments
from kring.testing.decision_log import START, SYSTEM, decisions, outcomes

HOUR = 3_600_000_000
FILES = LocalFiles()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting for the disk: no test here cuts its power."""
    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, name, lambda descriptor: None)


def hourly(log: FileLog, first: int, last: int) -> list[str]:
    """One decision every hour, each committed by itself."""
    ids = []
    for hour in range(first, last):
        ids += decision_ids(log.append(decisions(1, at=START + hour * HOUR)), 1)
        log.commit()
    return ids


@pytest.mark.parametrize("kind", [FileLog, LazyLog])
def test_no_segment_holds_more_than_a_day(tmp_path: Path, kind: type[FileLog]) -> None:
    log = free_writer(tmp_path, files=FILES, system=SYSTEM, kind=kind)
    ids = hourly(log, 0, 60)
    log.close()
    log = free_writer(tmp_path, files=FILES, system=SYSTEM, kind=kind)  # the open one goes on, and ends in its time
    ids += hourly(log, 60, 100)
    sealed = sealed_segments(tmp_path)
    assert [(one.id, one.decisions) for one in sealed] == [(f"0-{number}", 24) for number in (1, 2, 3, 4)]
    assert all(one.last - one.first < SEGMENT_AGE_US for one in sealed)
    assert [log.find(id)[0].at for id in ids] == [START + hour * HOUR for hour in range(100)]
    log.close()


def test_who_follows_the_log_goes_on_over_the_end_of_a_day(tmp_path: Path) -> None:
    log, history, cursors, seen = free_writer(tmp_path, files=FILES, system=SYSTEM), None, {}, []
    history = read_log(tmp_path, system=SYSTEM)
    for hour in range(50):
        hourly(log, hour, hour + 1)
        for logged in history.read(cursors):
            cursors[logged.place.writer] = logged.cursor
            seen.append(logged.record.at)
    assert seen == [START + hour * HOUR for hour in range(50)]
    log.close()


def test_outcomes_of_any_time_end_no_segment(tmp_path: Path) -> None:
    log = free_writer(tmp_path, files=FILES, system=SYSTEM)
    (id,) = hourly(log, 0, 1)
    for day in (-900, 900, 5):
        log.append(outcomes([decision_raw(id)], at=START + day * SEGMENT_AGE_US))
        log.commit()
    hourly(log, 1, 2)
    assert sealed_segments(tmp_path) == []
    assert sum(isinstance(one.record, Outcomes) for one in log.read()) == 3
    log.close()


def test_a_log_for_itself_ends_its_segments_by_size_alone(tmp_path: Path) -> None:
    log = open_log(tmp_path, files=FILES, system=SYSTEM)
    hourly(log, 0, 50)
    assert sealed_segments(tmp_path) == []
    log.close()


def test_what_writers_left_open_is_sealed_when_nobody_has_it(tmp_path: Path) -> None:
    left, held, fresh = (open_log(tmp_path, files=FILES, writer=writer, system=SYSTEM) for writer in range(3))
    ids = [id for log in (left, held, fresh) for id in hourly(log, 0, 2)]
    left.close()
    fresh.close()
    for name in ("0-1", "1-1"):
        os.utime(tmp_path / f"{name}.log", (START / 1e6, START / 1e6))
    os.utime(tmp_path / "2-1.log", (START / 1e6 + 60, START / 1e6 + 60))
    cursors = {one.place.writer: one.cursor for one in read_log(tmp_path, system=SYSTEM).read()}

    done = seal_left(tmp_path, files=FILES, system=SYSTEM, before=START + 1)
    assert [one.id for one in done] == [one.id for one in sealed_segments(tmp_path)] == ["0-1"]
    assert seal_left(tmp_path, files=FILES, system=SYSTEM, before=START + 1) == []
    held.close()

    again = open_log(tmp_path, files=FILES, writer=0, system=SYSTEM)
    ids += hourly(again, 2, 3)
    history = read_log(tmp_path, system=SYSTEM)
    assert [one.place.segment for one in history.read(cursors)] == [2]
    assert len({history.find(id)[0].at for id in ids}) == 3
    again.close()
