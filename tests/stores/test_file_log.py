"""The decision log in files: conformance, faults at every operation, torn tails, damage, dying processes."""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import time
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kring.errors import Busy, IntegrityError, NewerFormat, NotFound
from kring.host.files import LocalFiles
from kring.metrics.ids import decision_bytes, decision_id, decision_ids
from kring.ports.files import Files
from kring.record.decision import Decisions
from kring.stores.file import AHEAD_BYTES, Ends, FileLog, open_log
from kring.stores.reading import read_log, read_writer
from kring.stores.segment import FORMAT
from kring.testing.decision_log import START, SYSTEM, DecisionLogSuite, decisions, outcomes

SMALL = 1500
"""Bytes of a segment in tests: a few frames."""


def opened(folder: Path, *, files: Files | None = None, segment_bytes: int = 64 << 20) -> FileLog:
    return open_log(folder, files=files or LocalFiles(), system=SYSTEM, ends=Ends(segment_bytes))


class TestFileLog(DecisionLogSuite):
    def make(self, folder: Path) -> FileLog:
        return opened(folder)


class TestFileLogWithASegmentToEachGroup(DecisionLogSuite):
    def make(self, folder: Path) -> FileLog:
        return opened(folder, segment_bytes=1)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting for the disk: only a power cut could tell, and these tests cut none."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def folder(tmp_path: Path, quick: None) -> Path:
    """A log of two sealed segments and an open one, a commit to each frame."""
    log = opened(tmp_path / "log", segment_bytes=SMALL)
    for number in range(12):
        log.append(decisions(2, at=START + number * 1000))
        log.commit()
    log.close()
    assert len(segments(tmp_path / "log")) == 3
    return tmp_path / "log"


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("0-*.log"), key=lambda path: int(path.stem.partition("-")[2]))


def contents(log: FileLog) -> list[int]:
    """The moments of all frames."""
    return [logged.record.at for logged in log.read()]


def ids_in(log: FileLog) -> list[str]:
    found = [logged for logged in log.read() if isinstance(logged.record, Decisions)]
    return [id for logged in found for id in decision_ids(logged.place, logged.record.n)]


# ---------------------------------------------------------------- rotation


def test_segments_grow_to_their_size_and_read_as_one(folder: Path) -> None:
    log = opened(folder, segment_bytes=SMALL)
    assert contents(log) == [START + number * 1000 for number in range(12)]
    assert all(SMALL <= path.stat().st_size < SMALL + 600 for path in segments(folder)[:-1])
    for id in ids_in(log):
        log.find(id)
    cursors = [logged.cursor for logged in log.read()]
    assert [len(list(log.read(after=cursor))) for cursor in cursors] == list(reversed(range(12)))
    log.close()


def test_a_sealed_segment_is_described_by_its_bytes(folder: Path) -> None:
    log = opened(folder, segment_bytes=SMALL)
    sealed = log.seal()
    assert [segment.id for segment in sealed] == ["0-1", "0-2", "0-3"]
    for segment in sealed:
        data = (folder / f"{segment.id}.log").read_bytes()
        assert (segment.bytes, segment.digest) == (len(data), hashlib.sha256(data).hexdigest())
    assert sum(segment.decisions for segment in sealed) == 24
    assert sealed[0].first == START
    assert sealed[-1].last == START + 11_000
    log.close()


@pytest.mark.parametrize("damage", [b"", b"{}", b"{}\n00000000\n", None])
def test_a_lost_description_is_made_again(folder: Path, damage: bytes | None) -> None:
    log = opened(folder, segment_bytes=SMALL)
    before = log.seal()
    log.close()
    for path in folder.glob("*.seal"):
        if damage is None:
            path.unlink()
        else:
            path.write_bytes(damage)
    log = opened(folder, segment_bytes=SMALL)
    assert log.seal() == before
    log.close()


def test_a_missing_segment_is_named(folder: Path) -> None:
    (folder / "0-2.log").unlink()
    with pytest.raises(IntegrityError, match="0-2 of the decision log is missing"):
        opened(folder)


def test_the_oldest_segments_may_be_gone(folder: Path) -> None:
    (folder / "0-1.log").unlink()
    (folder / "0-1.seal").unlink()
    log = opened(folder, segment_bytes=SMALL)
    assert log.append(decisions(1)).segment == 3
    assert contents(log)[0] > START
    log.close()


# ---------------------------------------------------------------- one writer, many readers


def test_a_second_writer_is_busy(folder: Path) -> None:
    log = opened(folder)
    with pytest.raises(Busy):
        opened(folder)
    other = open_log(folder, files=LocalFiles(), system=SYSTEM, writer=7)
    place = other.append(decisions(1))
    other.commit()
    assert place.writer == 7
    assert other.find(decision_ids(place, 1)[0])[1] == 0
    with pytest.raises(NotFound):
        log.find(decision_ids(place, 1)[0])
    other.close()
    log.close()
    opened(folder).close()


def test_another_process_reads_while_one_writes(folder: Path) -> None:
    log = opened(folder, segment_bytes=SMALL)
    reader = read_writer(folder, system=SYSTEM, writer=0)
    ids = ids_in(log)
    assert [logged.record.at for logged in reader.read()] == contents(log)
    assert [reader.find(id)[1] for id in ids] == [0, 1] * 12
    cursor = [logged.cursor for logged in reader.read()][-1]
    for number in range(12, 20):
        log.append(decisions(2, at=START + number * 1000))
        log.commit()
    assert [logged.record.at for logged in reader.read(after=cursor)] == contents(log)[12:]
    with (folder / f"0-{len(segments(folder))}.log").open("ab") as file:
        file.write(b"KRfr half a frame")
    assert len(list(reader.read())) == 20
    with pytest.raises(NotFound):
        reader.find(ids[-1].replace(ids[-1][:8], "d_000000"))
    log.close()


def test_every_outcome_of_a_decision_in_order(folder: Path) -> None:
    log = opened(folder, segment_bytes=SMALL)
    places = [logged.place for logged in log.read()]
    mine, other = decision_bytes(places[1]), decision_bytes(places[2])
    for number, ids in enumerate([[other], [other, mine], [mine]] * 6):
        log.append(outcomes(ids, at=START + 10**6 + number))
        log.commit()
    reader = read_log(folder, system=SYSTEM)
    found = list(reader.outcomes(decision_id(mine)))
    assert [record.at - START - 10**6 for record, _ in found] == [n for n in range(18) if n % 3]
    assert all(record.ids[row] == mine for record, row in found)
    assert list(reader.outcomes(decision_id(decision_bytes(places[3])))) == []
    for strange in ("d_", "v_" + decision_id(mine)[2:], "d_" + "0" * 26):
        with pytest.raises(NotFound):
            reader.outcomes(strange)
    log.close()


def test_a_log_belongs_to_one_system_and_writer(folder: Path) -> None:
    with pytest.raises(IntegrityError, match="suite"):
        open_log(folder, files=LocalFiles(), system="other").close()
    for path in folder.glob("*.seal"):
        path.unlink()
    shutil.copy(folder / "0-1.log", folder / "0-2.log")
    with pytest.raises(IntegrityError, match="head of segment 0-1"):
        opened(folder)


def test_a_newer_format_is_left_alone(folder: Path) -> None:
    path = segments(folder)[-1]
    data = bytearray(path.read_bytes())
    length = 18 + len(SYSTEM)
    data[8:10] = struct.pack(">H", FORMAT + 1)
    data[length : length + 4] = struct.pack(">I", zlib.crc32(bytes(data[:length])))
    path.write_bytes(bytes(data))
    with pytest.raises(NewerFormat, match="newer Kring"):
        opened(folder)
    assert path.read_bytes() == bytes(data)


# ---------------------------------------------------------------- torn tails and damage


def test_a_tail_cut_at_every_byte_is_cut_off_and_kept(quick: None, tmp_path: Path) -> None:
    log = opened(tmp_path / "whole")
    ends = []
    for number in range(3):
        log.append(decisions(1, at=START + number))
        log.commit()
        ends.append(log.cursor()[1])
    log.close()
    data = (tmp_path / "whole" / "0-1.log").read_bytes()
    folder = tmp_path / "cut"
    for size in range(len(data)):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "0-1.log").write_bytes(data[:size])
        log = opened(folder)
        kept = [end for end in ends if end <= size]
        assert contents(log) == [START + number for number in range(len(kept))]
        torn = [path.read_bytes() for path in folder.glob("*.torn")]
        head = ends[0] - (ends[1] - ends[0])
        rest = data[max([head, *kept]) : size].rstrip(b"\0")
        assert torn == ([rest] if size > head and rest else [])
        place = log.append(decisions(1, at=START + 9))
        log.commit()
        assert contents(log)[-1] == START + 9
        assert log.find(decision_ids(place, 1)[0]) == (decisions(1, at=START + 9), 0)
        log.close()


@pytest.mark.parametrize("tail", [b"\0" * 10, b"\0" * 5000, b"KRfr", b"KRfr" * 100, os.urandom(3000)])
def test_rubbish_at_the_end_is_cut_off(folder: Path, tail: bytes) -> None:
    path = segments(folder)[-1]
    before = path.read_bytes()
    path.write_bytes(before + tail)
    log = opened(folder)
    assert len(contents(log)) == 12
    log.close()
    assert path.read_bytes() == before
    assert [torn.read_bytes() for torn in folder.glob("*.torn")] == ([tail] if any(tail) else [])


def test_zeros_lie_ready_behind_an_open_segment_and_nowhere_else(quick: None, tmp_path: Path) -> None:
    """A reader beside the writer does not mind them, and neither does who opens the log after a death."""
    folder = tmp_path / "log"
    log = opened(folder, segment_bytes=SMALL)
    for number in range(3):
        log.append(decisions(1, at=START + number))
        log.commit()
        data = (folder / "0-1.log").read_bytes()
        end = log.cursor()[1]
        assert not any(data[end:])
        assert 0 < len(data) - end <= AHEAD_BYTES
        assert [one.record.at for one in read_log(folder, system=SYSTEM).read()] == [
            START + before for before in range(number + 1)
        ]
    log.close()
    assert (folder / "0-1.log").read_bytes() == data[:end]
    (folder / "0-1.log").write_bytes(data)
    log = opened(folder, segment_bytes=SMALL)
    assert contents(log) == [START, START + 1, START + 2]
    assert not list(folder.glob("*.torn"))
    (sealed,) = log.seal()
    assert (folder / "0-1.log").stat().st_size == sealed.bytes == end
    log.close()


def test_a_torn_group_is_cut_off_wherever_it_is_torn(tmp_path: Path) -> None:
    """After a power cut the blocks of a group that was not synced may be there in any order."""
    log = opened(tmp_path / "log")
    log.append(decisions(1, at=START))
    log.commit()
    durable = log.cursor()[1]
    for number in range(1, 5):
        log.append(decisions(1, at=START + number))
    log.commit()
    log.close()
    data = bytearray((tmp_path / "log" / "0-1.log").read_bytes())
    data[durable + 100 : durable + 150] = bytes(50)
    (tmp_path / "log" / "0-1.log").write_bytes(bytes(data))
    log = opened(tmp_path / "log")
    assert contents(log) == [START]
    log.close()


@settings(max_examples=150, deadline=None)
@given(position=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_a_flipped_bit_in_the_middle_is_found(log_bytes: bytes, scratch: Path, position: int, bit: int) -> None:
    """Before the last group: an error that names the place. In it: what was cut off is kept."""
    data = bytearray(log_bytes)
    data[position % len(data)] ^= 1 << bit
    (scratch / "0-1.log").write_bytes(bytes(data))
    last = log_bytes.rfind(b"KRfr")
    if position % len(data) < last:
        with pytest.raises(IntegrityError, match=r"0-1 of the decision log is damaged at byte \d+"):
            opened(scratch)
        assert (scratch / "0-1.log").read_bytes() == bytes(data)
        with pytest.raises(IntegrityError, match="0-1"):
            list(read_log(scratch, system=SYSTEM).read())
    else:
        log = opened(scratch)
        assert contents(log) == [START + number for number in range(7)]
        log.close()
        (torn,) = scratch.glob("*.torn")
        assert torn.read_bytes() == bytes(data[last:])
        torn.unlink()


@pytest.fixture(scope="module")
def log_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A segment of eight frames, a commit to each."""
    folder = tmp_path_factory.mktemp("whole")
    log = opened(folder)
    for number in range(8):
        log.append(decisions(1, at=START + number) if number % 3 else outcomes([bytes(16)], at=START + number))
        log.commit()
    log.close()
    return (folder / "0-1.log").read_bytes()


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch")


def test_damage_in_a_sealed_segment_is_found_when_it_is_read(folder: Path) -> None:
    log = opened(folder)
    ids = ids_in(log)
    log.close()
    path = segments(folder)[0]
    data = bytearray(path.read_bytes())
    second = data.find(b"KRfr", data.find(b"KRfr") + 1)
    data[second + 60] ^= 1
    path.write_bytes(bytes(data))
    log = opened(folder)
    log.find(ids[0])
    with pytest.raises(IntegrityError, match=f"0-1 of the decision log is damaged at byte {second}"):
        log.find(ids[2])
    with pytest.raises(IntegrityError, match=f"byte {second}"):
        list(log.read())
    data[second] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(IntegrityError, match=f"byte {second}"):
        log.find(ids[4])
    log.close()
    os.truncate(path, 1000)
    with pytest.raises(IntegrityError, match="1000 bytes when"):
        opened(folder)


def test_a_frame_in_another_place_is_no_frame(log_bytes: bytes, scratch: Path) -> None:
    starts = [at for at in range(len(log_bytes)) if log_bytes.startswith(b"KRfr", at)]
    one, two, three = starts[1:4]
    swapped = log_bytes[:one] + log_bytes[two:three] + log_bytes[one:two] + log_bytes[three:]
    (scratch / "0-1.log").write_bytes(swapped)
    with pytest.raises(IntegrityError, match=f"byte {one}"):
        opened(scratch)


def test_bytes_in_a_payload_are_never_taken_for_a_frame(tmp_path: Path, log_bytes: bytes) -> None:
    """Whoever may choose an input can't make a torn tail look like damage."""
    log = opened(tmp_path / "log")
    text = log_bytes.decode("latin-1")
    log.append(decisions(1, value=text))
    log.commit()
    log.close()
    path = tmp_path / "log" / "0-1.log"
    os.truncate(path, path.stat().st_size - 1)
    log = opened(tmp_path / "log")
    assert contents(log) == []
    log.close()


# ---------------------------------------------------------------- any history


@settings(max_examples=30, deadline=None)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("decide"), st.integers(1, 30)),
            st.tuples(st.just("outcome"), st.integers(1, 5)),
            st.tuples(st.sampled_from(["commit", "seal", "reopen"]), st.just(0)),
        ),
        max_size=25,
    )
)
def test_any_history_reads_back(tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]) -> None:
    folder = tmp_path_factory.mktemp("history")
    log = opened(folder, segment_bytes=SMALL)
    written, ids = [], []
    for number, (step, n) in enumerate(steps):
        at = START + number * 700
        if step == "decide":
            written.append(decisions(n, at=at))
            ids += [(id, number) for id in decision_ids(log.append(written[-1]), n)]
        elif step == "outcome":
            written.append(outcomes([bytes(16)] * n, at=at))
            log.append(written[-1])
        elif step == "commit":
            log.commit()
        elif step == "seal":
            log.seal()
        else:
            log.close()
            log = opened(folder, segment_bytes=SMALL)
    sealed = log.seal()
    assert [logged.record for logged in log.read()] == written
    assert len({id for id, _ in ids}) == len(ids)
    for id, number in ids:
        assert log.find(id)[0].at == START + number * 700
    assert sum(segment.decisions for segment in sealed) == len(ids)
    assert [segment.number for segment in sealed] == list(range(1, len(sealed) + 1))
    log.close()
    shutil.rmtree(folder)


def test_a_decision_is_found_fast_in_a_full_segment(quick: None, tmp_path: Path) -> None:
    """Single decisions, the smallest frames there are, in the largest segment; also without the index in memory."""
    log = opened(tmp_path / "log")
    one = decisions(1)
    for _ in range(200):
        for _ in range(1000):
            place = log.append(one)
        log.commit()
    assert (tmp_path / "log" / "0-1.log").stat().st_size > 30 << 20
    id = decision_ids(place, 1)[0]
    seconds = []
    for _ in range(5):
        begin = time.process_time()
        assert log.find(id) == (one, 0)
        seconds.append(time.process_time() - begin)
    assert min(seconds) < 0.05
    assert read_log(tmp_path / "log", system=SYSTEM).find(id) == (one, 0)
    log.close()
