"""The control page between real processes: nothing torn, nothing lost, nobody harmed by who dies."""

from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.errors import IntegrityError, NewerFormat, NotFound, StorageError, UserError
from kring.host.page import FIRST, FORMAT, TEXT, WIDTH, MappedPage, new_page, open_page
from kring.ports.page import Page
from kring.testing.page import KINDS, PageSuite


class TestMappedPage(PageSuite):
    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        self.path = tmp_path / "serve" / "page"

    def make(self, workers: int) -> Page:
        return new_page(self.path, workers=workers)

    def again(self, page: Page) -> Page:
        return open_page(self.path, writer=True)


def running(program: str, path: Path) -> subprocess.Popen[str]:
    head = "from pathlib import Path; from kring.host.page import open_page; import sys, os, signal\n"
    return subprocess.Popen(
        [sys.executable, "-c", f"{head}page = open_page(Path(sys.argv[1]), writer=True)\n{program}", str(path)],
        stdout=subprocess.PIPE,
        text=True,
    )


def test_no_number_is_torn_between_processes(tmp_path: Path) -> None:
    """The writer alternates between all bits and none: anything else was read in halves."""
    page = new_page(tmp_path / "page", workers=2)
    program = (
        "seat = page.seats[1]\n"
        "print('on', flush=True)\n"
        "while True:\n"
        "    seat.claim(2**64 - 1, start=2**64 - 1)\n"
        "    seat.work(-1.0, -1.0)\n"
    )
    with running(program, tmp_path / "page") as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "on\n"
        seat = page.seats[1]
        seen = [seat.vitals() for _ in range(100_000)]
        writer.kill()
    assert {each.pid for each in seen} == {0, 2**64 - 1}
    assert {each.start for each in seen} == {0, 2**64 - 1}
    assert {each.began for each in seen} | {each.deadline for each in seen} == {0.0, -1.0}


def test_processes_that_are_killed_while_they_count_lose_nothing(tmp_path: Path) -> None:
    """Each says a generation after it was given it: none is given twice, and the lock never outlives its holder."""
    page = new_page(tmp_path / "page", workers=0)
    program = "while True: os.write(1, b'%d\\n' % page.bump('pointers'))"
    said: list[int] = []
    for _ in range(3):
        pair = [running(program, tmp_path / "page") for _ in range(2)]
        before = page.generation("pointers")
        while page.generation("pointers") < before + 200:
            time.sleep(0.001)
        for process in pair:
            process.send_signal(signal.SIGKILL)
        for process in pair:
            said += [int(line) for line in process.communicate()[0].splitlines() if line]
    assert len(set(said)) == len(said) >= 600 - 6
    assert page.bump("pointers") >= max(said) + 1


@pytest.mark.parametrize("kept", [0, 4, 17])
def test_a_reason_half_written_by_who_died_is_written_by_the_next(tmp_path: Path, kept: int) -> None:
    page = new_page(tmp_path / "page", workers=1)
    page.set_read_only("the disk is broken")
    with (tmp_path / "page").open("rb+") as file:
        file.seek(TEXT + kept)
        file.write(bytes(24))
    assert page.read_only == "the reason was not written down"
    page.set_read_only("an fsync failed")
    assert page.read_only == "an fsync failed"


def test_a_new_page_leaves_those_of_an_earlier_start_with_theirs(tmp_path: Path) -> None:
    old = new_page(tmp_path / "page", workers=2)
    old.set_read_only("an fsync failed")
    old.seats[0].claim(1, start=1)
    new = new_page(tmp_path / "page", workers=3)
    old.drain()
    assert (new.read_only, new.draining, len(new.seats), new.seats[0].vitals().pid) == ("", False, 3, 0)
    assert (old.read_only, old.draining) == ("an fsync failed", True)
    assert [path.name for path in tmp_path.iterdir()] == ["page"]


def test_a_page_is_its_owners_alone(tmp_path: Path) -> None:
    new_page(tmp_path / "serve" / "page", workers=1)
    assert stat.S_IMODE((tmp_path / "serve" / "page").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "serve").stat().st_mode) == 0o700


def test_who_only_reads_changes_nothing(tmp_path: Path) -> None:
    page = new_page(tmp_path / "page", workers=1)
    reader = open_page(tmp_path / "page", writer=False)
    before = (tmp_path / "page").read_bytes()
    for write in (
        lambda: reader.bump("keys"),
        lambda: reader.set_read_only("no"),
        reader.drain,
        lambda: reader.ledger_seen(1.0),
        lambda: reader.seats[0].beat(1.0, rss=1, in_flight=1, ready=True),
    ):
        with pytest.raises(TypeError):
            write()
    assert (tmp_path / "page").read_bytes() == before
    page.bump("keys")
    assert reader.generation("keys") == 1


@pytest.mark.parametrize(
    "data",
    [b"", b"\x00" * FIRST, b"KringPg", b"KringPg\n" + FORMAT.to_bytes(8, "little") + b"\x05" + bytes(FIRST)],
    ids=["empty", "zeros", "short", "too short for its seats"],
)
def test_another_file_is_no_page(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "page").write_bytes(data)
    with pytest.raises(IntegrityError, match="not a control page"):
        open_page(tmp_path / "page", writer=True)


def test_what_cannot_be_opened_says_why(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="kring serve"):
        open_page(tmp_path / "page", writer=True)
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError):
        open_page(tmp_path / "folder", writer=True)
    with pytest.raises(StorageError):
        new_page(tmp_path / "folder", workers=1)
    assert not list(tmp_path.glob(".*"))
    for workers in (-1, 257):
        with pytest.raises(UserError):
            new_page(tmp_path / "page", workers=workers)
    head = b"KringPg\n" + (FORMAT + 1).to_bytes(8, "little")
    (tmp_path / "later").write_bytes(head + bytes(FIRST + WIDTH - len(head)))
    with pytest.raises(NewerFormat, match=f"format {FORMAT + 1}"):
        open_page(tmp_path / "later", writer=True)


def test_a_full_disk_says_so_and_leaves_the_old_page(tmp_path: Path) -> None:
    """Blocks are taken when the page is made: to write to it later needs none."""
    old = new_page(tmp_path / "page", workers=1)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (FIRST, before[1]))
    try:
        with pytest.raises(StorageError):
            new_page(tmp_path / "page", workers=200)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert [path.name for path in tmp_path.iterdir()] == ["page"]
    assert (tmp_path / "page").stat().st_blocks * 512 >= FIRST + WIDTH
    old.bump("keys")
    assert open_page(tmp_path / "page", writer=False).generation("keys") == 1


def test_pages_that_are_closed_hold_no_file(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        page = new_page(tmp_path / "page", workers=2)
        page.close()
        page.close()
    (tmp_path / "other").write_bytes(b"no page")
    with pytest.raises(IntegrityError):
        open_page(tmp_path / "other", writer=True)
    assert len(os.listdir("/proc/self/fd")) == before


@given(
    numbers=st.lists(
        st.tuples(st.sampled_from(KINDS), st.integers(0, 3), st.integers(0, 2**64 - 1), st.floats(allow_nan=False)),
        max_size=20,
    )
)
def test_what_was_written_last_is_read(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[tuple[str, int, int, float]]
) -> None:
    path = tmp_path_factory.mktemp("pages") / "page"
    writer: MappedPage = new_page(path, workers=4)
    reader = open_page(path, writer=False)
    bumped: dict[str, int] = {}
    last: dict[int, tuple[int, float]] = {}
    for kind, seat, number, seconds in numbers:
        bumped[kind] = writer.bump(kind)  # type: ignore[arg-type]  # a tuple of literals is drawn as str
        writer.seats[seat].claim(number, start=number)
        writer.seats[seat].beat(seconds, rss=number, in_flight=number, ready=True)
        last[seat] = (number, seconds)
    assert {kind: reader.generation(kind) for kind in KINDS} == {kind: bumped.get(kind, 0) for kind in KINDS}
    for seat, (number, seconds) in last.items():
        vitals = reader.seats[seat].vitals()
        assert (vitals.pid, vitals.start, vitals.rss, vitals.in_flight) == (number,) * 4
        assert vitals.heartbeat == seconds
    writer.close()
    reader.close()
