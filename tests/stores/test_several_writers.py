"""One decision log, several writers: each on its own, and all of them read as one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kring.errors import Busy, IntegrityError, NotFound
from kring.host.files import LocalFiles
from kring.metrics.ids import decision_bytes, decision_id, decision_ids, decision_place, decision_raw
from kring.ports.decision_log import Logged
from kring.record.decision import Closed, Decisions, Outcomes, Place
from kring.stores import file as store
from kring.stores import reading
from kring.stores.file import Ends, FileLog, free_writer, open_log
from kring.stores.reading import read_log, writers_in
from kring.testing.decision_log import START, SYSTEM, closed, decisions, outcomes

SMALL = 1500
"""Bytes of a segment: a few frames."""

STEPS = st.one_of(
    st.tuples(st.just("decide"), st.integers(0, 3), st.integers(1, 20)),
    st.tuples(st.sampled_from(["outcome", "close"]), st.integers(0, 3), st.integers(0, 99)),
    st.tuples(st.sampled_from(["reopen", "seal", "read"]), st.integers(0, 3), st.just(0)),
)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting for the disk: no test here cuts its power."""
    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, name, lambda descriptor: None)


def opened(folder: Path, writer: int) -> FileLog:
    return open_log(folder, files=LocalFiles(), system=SYSTEM, writer=writer, ends=Ends(SMALL))


def followed(folder: Path, cursors: dict[int, tuple[int, int]], *, until: int | None = None) -> Iterator[Logged]:
    """What is new since `cursors`, which move along."""
    for logged in read_log(folder, system=SYSTEM).read(after=cursors, until=until):
        cursors[logged.place.writer] = logged.cursor
        yield logged


class Model:
    """Four writers, and what each of them was told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logs = [opened(folder, writer) for writer in range(4)]
        self.written: list[list[Decisions | Outcomes | Closed]] = [[] for _ in self.logs]
        self.decided: dict[str, tuple[Decisions, int]] = {}
        self.said: dict[str, list[int]] = {}
        self.ended: dict[str, int] = {}
        self.heard: list[list[Decisions | Outcomes | Closed]] = [[] for _ in self.logs]
        self.cursors: dict[int, tuple[int, int]] = {}

    def step(self, number: int, what: str, writer: int, n: int) -> None:
        log, at = self.logs[writer], START + number * 700
        if what == "decide":
            record = decisions(n, at=at)
            self.decided |= {id: (record, row) for row, id in enumerate(decision_ids(log.append(record), n))}
            self.written[writer].append(record)
        elif what == "outcome" and self.decided:
            id = sorted(self.decided)[n % len(self.decided)]
            self.written[writer].append(outcomes([decision_raw(id)], at=at))
            log.append(self.written[writer][-1])
            self.said.setdefault(id, []).append(at)
        elif what == "close" and (
            mine := [id for id in self.decided if decision_place(decision_raw(id)).writer == writer]
        ):
            id = mine[n % len(mine)]
            self.written[writer].append(closed([decision_raw(id)], at=at))
            log.append(self.written[writer][-1])
            self.ended.setdefault(id, at)
        elif what == "reopen":
            log.close()
            self.logs[writer] = opened(self.folder, writer)
        elif what == "seal":
            log.seal()
        elif what == "read":
            self.follow()
        log = self.logs[writer]
        log.commit()

    def follow(self) -> None:
        for logged in followed(self.folder, self.cursors):
            self.heard[logged.place.writer].append(logged.record)


@settings(max_examples=30)
@given(steps=st.lists(STEPS, max_size=40))
def test_any_history_of_four_writers_reads_as_one(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int]]
) -> None:
    model = Model(tmp_path_factory.mktemp("several") / "log")
    for number, (what, writer, n) in enumerate(steps):
        model.step(number, what, writer, n)
    model.follow()
    assert model.heard == model.written
    whole = read_log(model.folder, system=SYSTEM)
    moments = [logged.record.at for logged in whole.read()]
    assert moments == sorted(record.at for some in model.written for record in some)
    for id, (record, row) in model.decided.items():
        assert whole.find(id) == (record, row)
        assert [found.at for found, _ in whole.outcomes(id)] == model.said.get(id, [])
        ended = whole.closed(id)
        assert (ended and ended[0].at) == model.ended.get(id)
    for log in model.logs:
        log.close()


def test_outcomes_count_by_their_moment_then_by_their_order(tmp_path: Path) -> None:
    logs = [opened(tmp_path, writer) for writer in range(3)]
    place = logs[1].append(decisions(2))
    logs[1].commit()
    mine, other = (decision_raw(id) for id in decision_ids(place, 2))
    for writer, after, value in [(2, 5, 1.0), (0, 9, 2.0), (1, 7, 3.0), (0, 7, 4.0), (2, 9, 5.0), (2, 9, 6.0)]:
        record = Outcomes(system=SYSTEM, at=START + after, ids=[other, mine], values=[0.0, value])
        logs[writer].append(record)
        logs[writer].commit()
    found = read_log(tmp_path, system=SYSTEM).outcomes(decision_id(mine))
    assert [record.values[row] for record, row in found] == [1.0, 4.0, 3.0, 2.0, 5.0, 6.0]
    for log in logs:
        log.close()


def test_nothing_later_than_the_moment_is_read_and_nothing_is_skipped(tmp_path: Path) -> None:
    """Otherwise a reader could hear of an outcome before it hears of the decision, with another writer."""
    logs = [opened(tmp_path, writer) for writer in range(2)]
    for number in range(20):
        logs[number % 2].append(decisions(1, at=START + number))
        logs[number % 2].commit()
    cursors: dict[int, tuple[int, int]] = {}
    first = [logged.record.at - START for logged in followed(tmp_path, cursors, until=START + 6)]
    again = [logged.record.at - START for logged in followed(tmp_path, cursors, until=START + 6)]
    rest = [logged.record.at - START for logged in followed(tmp_path, cursors)]
    assert (first, again, rest) == (list(range(7)), [], list(range(7, 20)))
    for log in logs:
        log.close()


def test_reading_goes_on_from_every_frame(tmp_path: Path) -> None:
    logs = [opened(tmp_path, writer) for writer in (0, 3, 4095)]
    for number in range(15):
        logs[number % 3].append(decisions(2, at=START + number * 1000))
        logs[number % 3].commit()
    for stop in range(16):
        cursors: dict[int, tuple[int, int]] = {}
        some = [logged.record.at for logged in islice(followed(tmp_path, cursors), stop)]
        rest = [logged.record.at for logged in followed(tmp_path, cursors)]
        assert some + rest == [START + number * 1000 for number in range(15)]
    assert writers_in(tmp_path) == [0, 3, 4095]
    for log in logs:
        log.close()


def test_an_empty_folder_holds_nothing(tmp_path: Path) -> None:
    log = read_log(tmp_path / "nowhere", system=SYSTEM)
    assert list(log.read()) == []
    id = decision_id(decision_bytes(Place(at_ms=1, writer=0, segment=1, sequence=0)))
    assert log.outcomes(id) == []
    with pytest.raises(NotFound, match="writer 0"):
        log.find(id)


def test_damage_with_one_writer_is_named(tmp_path: Path) -> None:
    for writer in (0, 5):
        log = opened(tmp_path, writer)
        for number in range(12):
            log.append(decisions(2, at=START + number))
            log.commit()
        log.close()
    path = tmp_path / "5-1.log"
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(IntegrityError, match="5-1 of the decision log is damaged"):
        list(read_log(tmp_path, system=SYSTEM).read())


# ---------------------------------------------------------------- a free writer


def free(folder: Path, *, first: int = 0) -> FileLog:
    return free_writer(folder, files=LocalFiles(), system=SYSTEM, first=first)


def test_each_takes_the_first_writer_that_is_free(tmp_path: Path) -> None:
    one, two, far = free(tmp_path), free(tmp_path), free(tmp_path, first=7)
    assert [log.writer for log in (one, two, far)] == [0, 1, 7]
    one.close()
    again = free(tmp_path)
    assert again.writer == 0
    for log in (again, two, far):
        log.close()


def test_a_free_writer_goes_on_where_the_last_one_stopped(tmp_path: Path) -> None:
    ids: list[str] = []
    for number in range(5):
        log = free(tmp_path)
        ids += decision_ids(log.append(decisions(3, at=START + number)), 3)
        log.close()
    assert len(set(ids)) == 15
    assert len(list(read_log(tmp_path, system=SYSTEM).read())) == 5


def test_when_every_writer_is_taken_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "WRITER_BITS", 1)
    held = [free(tmp_path), free(tmp_path)]
    with pytest.raises(Busy, match="every writer") as refused:
        free(tmp_path)
    assert "end some of the processes" in refused.value.next
    for log in held:
        log.close()


TAKES = """
import sys
from pathlib import Path
from typing import BinaryIO
from kring.host.files import LocalFiles
from kring.metrics.ids import decision_ids
from kring.stores.file import free_writer
from kring.testing.decision_log import SYSTEM, decisions
log = free_writer(Path(sys.argv[1]), files=LocalFiles(), system=SYSTEM)
for number in range(20):
    print(*decision_ids(log.append(decisions(5)), 5), flush=True)
    log.commit()
sys.stdin.readline()
log.close()
"""


def test_processes_at_once_lose_nothing_and_share_no_id(tmp_path: Path) -> None:
    children = [
        subprocess.Popen(
            [sys.executable, "-c", TAKES, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    ids = []
    for child in children:
        assert child.stdout is not None
        ids += [id for _ in range(20) for id in child.stdout.readline().split()]
    for child in children:
        child.communicate("\n", timeout=60)
    assert len(set(ids)) == len(ids) == 4 * 100
    log = read_log(tmp_path, system=SYSTEM)
    assert {decision_place(decision_raw(id)).writer for id in ids} == {0, 1, 2, 3}
    assert all(log.find(id)[1] in range(5) for id in ids)
    assert sum(logged.record.n for logged in log.read() if isinstance(logged.record, Decisions)) == 400


@pytest.mark.parametrize("meanwhile", ["sealed", "written", "sealed and begun anew"])
def test_who_reads_zeros_looks_again_before_it_calls_them_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    """Zeros lie ready behind an open segment. Between the moment in which a reader takes them and the one in which it
    asks what they are, the writer may do anything."""
    log = open_log(tmp_path, files=LocalFiles(), system=SYSTEM)
    log.append(decisions(1, at=START))
    log.commit()
    take, acted = reading._take, []

    def slowly(file: BinaryIO, offset: int, length: int) -> bytes:
        data = take(file, offset, length)
        if data and not data.strip(b"\0") and not acted:
            acted.append(True)
            if meanwhile == "written":
                log.append(decisions(2, at=START + 1))
                log.commit()
            else:
                log.seal()
            if meanwhile == "sealed and begun anew":
                log.append(decisions(2, at=START + 1))
                log.commit()
        return data

    monkeypatch.setattr(reading, "_take", slowly)
    first = list(read_log(tmp_path, system=SYSTEM).read())
    rest = list(read_log(tmp_path, system=SYSTEM).read({0: first[-1].cursor}))
    assert acted
    rows = [one.record.n for one in (*first, *rest) if isinstance(one.record, Decisions)]
    assert rows == ([1] if meanwhile == "sealed" else [1, 2])
    log.close()
