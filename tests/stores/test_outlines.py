"""What one process learned of the segments of another: right whatever happens to them, and cheap."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest

from kring.errors import IntegrityError, NotFound
from kring.host.files import LocalFiles
from kring.metrics.ids import decision_ids, decision_raw
from kring.stores import reading
from kring.stores.file import FileLog, open_log
from kring.stores.reading import read_log
from kring.testing.decision_log import START, SYSTEM, decisions, outcomes

FILES = LocalFiles()
HOUR = 3_600_000_000


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting for the disk: no test here cuts its power."""
    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, name, lambda descriptor: None)


def written(log: FileLog, frames: int, *, at: int = START) -> list[str]:
    """The first id of each frame of 100 rows."""
    ids = [decision_ids(log.append(decisions(100, at=at)), 1)[0] for _ in range(frames)]
    log.commit()
    return ids


@contextmanager
def reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, int]]]:
    """Which files are read, and how many bytes of them."""
    take, seen = reading._take, []

    def counted(file: BinaryIO, offset: int, length: int) -> bytes:
        data = take(file, offset, length)
        seen.append((Path(str(file.name)).name, len(data)))
        return data

    with monkeypatch.context() as patch:
        patch.setattr(reading, "_take", counted)
        yield seen


def test_what_was_walked_once_is_not_walked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = open_log(tmp_path, files=FILES, system=SYSTEM)
    ids = written(log, 1200)
    size = (tmp_path / "0-1.log").stat().st_size
    assert size > 4 << 20
    first = read_log(tmp_path, system=SYSTEM).find(ids[7])
    with reads(monkeypatch) as seen:
        assert read_log(tmp_path, system=SYSTEM).find(ids[7]) == first
        assert sum(length for _, length in seen) < 1 << 19
    more = written(log, 10)
    with reads(monkeypatch) as seen:
        for id in (ids[0], ids[600], ids[-1], *more):
            assert read_log(tmp_path, system=SYSTEM).find(id)[1] == 0
        assert sum(length for _, length in seen) < size
    log.close()


def test_outcomes_are_looked_for_where_they_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in what was sealed long before the decision, nor where there are none."""
    quiet, told = (open_log(tmp_path, files=FILES, writer=writer, system=SYSTEM) for writer in range(2))
    old = written(quiet, 3)
    quiet.seal()
    told.append(outcomes([decision_raw(old[0])], at=START))
    told.seal()
    ids = written(quiet, 1200, at=START + 9 * HOUR)
    told.append(outcomes(list(map(decision_raw, ids[:2])), at=START + 9 * HOUR))
    told.commit()
    history = read_log(tmp_path, system=SYSTEM)
    history.outcomes(ids[-1])
    with reads(monkeypatch) as seen:
        assert [row for _, row in history.outcomes(ids[1])] == [1]
        assert history.outcomes(ids[-1]) == []
        assert {name for name, _ in seen} == {"0-2.log", "1-2.log"}
        assert sum(length for _, length in seen) < 4 << 20
    found = history.outcomes_of(frozenset(map(decision_raw, [old[0], *ids])))
    assert [(record.at, record.ids[row]) for record, row in found] == [
        (START, decision_raw(old[0])),
        *((START + 9 * HOUR, decision_raw(id)) for id in ids[:2]),
    ]
    for log in (quiet, told):
        log.close()


def test_what_was_cut_off_is_not_believed_to_be_there(tmp_path: Path) -> None:
    """A writer whose disk is full cuts off what reached the file, which others may have read; then it goes on."""
    log = open_log(tmp_path, files=FILES, system=SYSTEM)
    kept = written(log, 20)
    end = log.cursor()[1]
    lost = written(log, 300)
    history = read_log(tmp_path, system=SYSTEM)
    assert history.outcomes(kept[0]) == []
    log.close()
    os.truncate(tmp_path / "0-1.log", end)
    with pytest.raises(NotFound):
        history.find(lost[-1])
    again = open_log(tmp_path, files=FILES, system=SYSTEM)
    ids = [decision_ids(again.append(decisions(7, at=START + 1)), 7)[6] for _ in range(40)]
    again.append(outcomes([decision_raw(ids[3])], at=START + 2))
    again.commit()
    assert {history.find(id)[1] for id in kept} == {0}
    assert {history.find(id)[1] for id in ids} == {6}
    assert len(history.outcomes(ids[3])) == 1
    again.close()


def test_a_log_that_was_put_back_is_another_one(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    log = open_log(folder, files=FILES, system=SYSTEM)
    (*_, last) = written(log, 900)
    history = read_log(folder, system=SYSTEM)
    assert history.find(last)[1] == 0
    log.close()
    shutil.rmtree(folder)
    log = open_log(folder, files=FILES, system=SYSTEM)
    ids = [decision_ids(log.append(decisions(3, at=START + 5)), 1)[0] for _ in range(50)]
    log.append(outcomes([decision_raw(ids[9])], at=START + 6))
    log.commit()
    assert all(history.find(id)[0].n == 3 for id in ids)
    assert len(history.outcomes(ids[9])) == 1
    log.close()


def test_damage_is_told_where_it_lies_and_not_before(tmp_path: Path) -> None:
    log = open_log(tmp_path, files=FILES, system=SYSTEM)
    ids = written(log, 2)
    middle = log.cursor()[1]
    ids += written(log, 2)
    log.seal()
    written(log, 1)
    log.close()
    (tmp_path / "0-1.seal").unlink()
    data = bytearray((tmp_path / "0-1.log").read_bytes())
    data[middle + 20] ^= 1
    (tmp_path / "0-1.log").write_bytes(data)
    history = read_log(tmp_path, system=SYSTEM)
    assert history.find(ids[0])[1] == 0
    with pytest.raises(IntegrityError, match=f"byte {middle}"):
        history.find(ids[-1])
    with pytest.raises(IntegrityError, match=f"byte {middle}"):
        history.outcomes(ids[0])
