"""The ledger in SQLite: conformance, tampering, damage, a full disk, processes that die."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kring.errors import Busy, IntegrityError, NewerFormat, StorageError
from kring.record.event import Entry, Head
from kring.stores.chain import START, link
from kring.stores.sqlite import SqliteLedger, open_ledger
from kring.testing.ledger import LedgerSuite, entry


class TestSqliteLedger(LedgerSuite):
    def make(self, folder: Path, *, system: str = "suite") -> SqliteLedger:
        return open_ledger(folder / "ledger.db", system=system)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger of ten events."""
    path = tmp_path / "home" / "ledger.db"
    ledger = open_ledger(path, system="s")
    ledger.append([entry(number) for number in range(10)])
    ledger.close()
    return path


def tamper(path: Path, *statements: str) -> None:
    """Change the file as somebody would who can: triggers dropped first."""
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in ("DROP TRIGGER event_stays", "DROP TRIGGER event_lasts", *statements):
        connection.execute(statement)
    connection.close()


def verify(path: Path) -> Head:
    ledger = open_ledger(path, system="s")
    try:
        return ledger.verify()
    finally:
        ledger.close()


def test_the_chain_is_what_it_says() -> None:
    first = Entry(kind="k", id="i", body=b'{"a":1}', actor="ada", at=7)
    text = b'{"actor":"ada","at":7,"body":"eyJhIjoxfQ==","id":"i","kind":"k"}'
    assert link(START, 1, first) == hashlib.sha256(bytes(32) + (1).to_bytes(8, "big") + text).digest()


@pytest.mark.parametrize(
    "statement", ["UPDATE event SET at = 0", "DELETE FROM event", "DELETE FROM event WHERE seq = 3"]
)
def test_events_are_never_changed_or_deleted(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    with pytest.raises(sqlite3.DatabaseError, match="events are never"):
        connection.execute(statement)
    connection.close()
    assert verify(path).seq == 10


SWAP = (
    "UPDATE event SET seq = -1 WHERE seq = 4",
    "UPDATE event SET seq = 4 WHERE seq = 5",
    "UPDATE event SET seq = 5 WHERE seq = -1",
)


@pytest.mark.parametrize(
    ("statements", "first"),
    [
        (["UPDATE event SET body = x'7b7d' WHERE seq = 3"], 3),
        (["UPDATE event SET body = 'eyJuIjoyfQ==' WHERE seq = 3"], 3),
        (["UPDATE event SET actor = 'eve' WHERE seq = 10"], 10),
        (["UPDATE event SET at = at + 1 WHERE seq = 1"], 1),
        (["UPDATE event SET kind = 'alarm' WHERE seq = 2"], 2),
        (["UPDATE event SET id = 'r_0' WHERE seq = 2"], 2),
        (["UPDATE event SET digest = zeroblob(32) WHERE seq = 7"], 7),
        (["UPDATE event SET prev = zeroblob(32) WHERE seq = 7"], 7),
        (["DELETE FROM event WHERE seq = 1"], 1),
        (["DELETE FROM event WHERE seq = 6"], 6),
        (["DELETE FROM event WHERE seq > 8"], 9),
        (["DELETE FROM event"], 1),
        (SWAP, 4),
        (["DELETE FROM event WHERE seq = 10", "UPDATE head SET seq = 9"], 10),
        (
            ["INSERT INTO event SELECT system, 11, kind, id, body, actor, at, prev, digest FROM event WHERE seq = 10"],
            11,
        ),
    ],
)
def test_whoever_goes_round_the_triggers_is_found(path: Path, statements: list[str], first: int) -> None:
    assert verify(path).seq == 10
    tamper(path, *statements)
    with pytest.raises(IntegrityError, match=rf"broken at event {first}\b"):
        verify(path)


@settings(max_examples=40, deadline=None)
@given(position=st.integers(min_value=0), bit=st.integers(0, 7))
def test_a_flipped_bit_is_an_error_or_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, position: int, bit: int
) -> None:
    path = tmp_path_factory.mktemp("flip") / "ledger.db"
    ledger = open_ledger(path, system="s")
    ledger.append([entry(number) for number in range(10)])
    before = [event.digest for event in ledger.read()]
    ledger.close()
    data = bytearray(path.read_bytes())
    data[position % len(data)] ^= 1 << bit
    path.write_bytes(bytes(data))
    try:
        again = open_ledger(path, system="s")
    except (IntegrityError, NewerFormat, StorageError):
        return
    try:
        head = again.verify()
        assert [event.digest for event in again.read()] == before
        assert head.seq == 10
    except (IntegrityError, StorageError):
        pass
    finally:
        again.close()


def test_a_newer_file_is_left_alone(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(NewerFormat, match="newer Kring"):
        open_ledger(path, system="s")
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"x", b"not a database at all\n" * 100, bytes(range(256)) * 40])
def test_what_is_no_database_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(content)
    with pytest.raises(IntegrityError):
        open_ledger(path, system="s")
    assert path.read_bytes() == content


def test_the_database_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE event (x)")
    connection.commit()
    connection.close()
    with pytest.raises(IntegrityError, match="not the one that belongs here"):
        open_ledger(path, system="s")


def test_a_cut_file_is_refused_when_it_is_read(path: Path) -> None:
    size = path.stat().st_size
    os.truncate(path, size // 2)
    with pytest.raises((IntegrityError, StorageError)):
        verify(path)


def test_only_the_owner_may_read(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("where", ["file/ledger.db", "folder"])
def test_a_path_that_cannot_be_a_ledger(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError):
        open_ledger(tmp_path / where, system="s")


def test_a_locked_ledger_is_busy_and_can_be_tried_again(path: Path) -> None:
    ledger = open_ledger(path, system="s", timeout=0.05)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Busy):
        ledger.append([entry(10)])
    assert ledger.head().seq == 10
    other.execute("ROLLBACK")
    other.close()
    assert ledger.append([entry(10)]).seq == 11
    ledger.close()


def test_an_interrupted_append_leaves_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = open_ledger(path, system="s")

    def interrupted(prev: bytes, seq: int, entry: Entry) -> bytes:
        if seq == 12:
            raise KeyboardInterrupt
        return link(prev, seq, entry)

    with monkeypatch.context() as patched:
        patched.setattr("kring.stores.sqlite.link", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ledger.append([entry(10), entry(11)])
    assert ledger.verify().seq == 10
    assert ledger.append([entry(10)]).seq == 11
    ledger.close()


FULL_DISK = """
import resource, sys
from pathlib import Path
from kring.errors import StorageError
from kring.stores.sqlite import open_ledger
from kring.testing.ledger import entry
path, limit = Path(sys.argv[1]), int(sys.argv[2])
ledger = open_ledger(path, system="s")
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
done, failed = 0, 0
for number in range(60):
    try:
        done = ledger.append([entry(number) for _ in range(5)]).seq
        assert not failed, "acknowledged after a failed write"
    except StorageError:
        failed += 1
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
try:
    ledger.append([entry(1)])
except StorageError as error:
    assert "takes no more events" in str(error)
    print(done, failed)
"""


@pytest.mark.parametrize("limit", [70_000, 100_003, 250_000, 400_000])
def test_a_disk_that_takes_no_more(tmp_path: Path, limit: int) -> None:
    """A write fails in the middle: what was acknowledged stays, nothing more is acknowledged."""
    path = tmp_path / "ledger.db"
    open_ledger(path, system="s").close()
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, path, str(limit)], capture_output=True, text=True, check=True
    )
    acknowledged, failed = map(int, done.stdout.split())
    assert failed
    ledger = open_ledger(path, system="s")
    assert ledger.verify().seq == acknowledged
    assert ledger.append([entry(1)]).seq == acknowledged + 1
    ledger.close()


def test_a_full_database_takes_events_again_when_there_is_space(path: Path) -> None:
    ledger = open_ledger(path, system="s")
    connection = ledger._connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    large = Entry(kind="run", id="r", body=b"x" * 100_000, actor="ada", at=0)
    with pytest.raises(StorageError, match="could not append"):
        ledger.append([large])
    assert ledger.verify().seq == 10
    connection.execute(f"PRAGMA max_page_count = {pages + 1000}")
    assert ledger.append([large]).seq == 11
    ledger.close()


RACE = """
import sys
from pathlib import Path
from kring.errors import Conflict
from kring.stores.sqlite import open_ledger
from kring.testing.ledger import entry
ledger = open_ledger(Path(sys.argv[1]), system="s")
won = 0
while ledger.head().seq < 60:
    seq = ledger.head().seq
    try:
        ledger.append([entry(seq, id=sys.argv[2])], expect_seq=seq)
        won += 1
    except Conflict:
        pass
print(won)
"""


def test_of_two_processes_one_wins_each_place(tmp_path: Path) -> None:
    path = tmp_path / "new" / "ledger.db"
    racers = [
        subprocess.Popen([sys.executable, "-c", RACE, path, name], stdout=subprocess.PIPE, text=True) for name in "ab"
    ]
    won = [int(racer.communicate(timeout=60)[0]) for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0]
    ledger = open_ledger(path, system="s")
    ids = [event.id for event in ledger.read()]
    assert ledger.verify().seq == len(ids) == sum(won) <= 61
    assert [ids.count(name) for name in "ab"] == won
    ledger.close()


KILLED = """
import sys
from pathlib import Path
from kring.stores.sqlite import open_ledger
from kring.testing.ledger import entry
ledger = open_ledger(Path(sys.argv[1]), system="s")
while True:
    head = ledger.append([entry(ledger.head().seq), entry(ledger.head().seq + 1)])
    print(head.seq, head.digest.hex(), flush=True)
"""


def test_a_killed_process_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    for turn in range(5):
        child = subprocess.Popen([sys.executable, "-c", KILLED, path], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(1 + 13 * turn)]
        child.kill()
        lines += child.stdout.read().splitlines(keepends=True)
        child.wait()
        child.stdout.close()
        ledger = open_ledger(path, system="s")
        digests = {event.seq: event.digest.hex() for event in ledger.read()}
        for line in lines:
            if line.endswith("\n"):
                seq, digest = line.split()
                assert digests[int(seq)] == digest
        assert ledger.verify().seq % 2 == 0
        ledger.close()


@settings(max_examples=25, deadline=None)
@given(
    groups=st.lists(
        st.lists(st.tuples(st.sampled_from(["run", "alarm"]), st.integers(0, 3), st.binary(max_size=20)), max_size=4),
        max_size=6,
    )
)
def test_any_history_reads_back(
    tmp_path_factory: pytest.TempPathFactory, groups: list[list[tuple[str, int, bytes]]]
) -> None:
    folder = tmp_path_factory.mktemp("history")
    ledger = open_ledger(folder / "ledger.db", system="s")
    flat = []
    for group in groups:
        entries = [Entry(kind=kind, id=f"x{id}", body=body, actor="ada", at=id) for kind, id, body in group]
        ledger.append(entries, expect_seq=len(flat))
        flat += entries
    events = list(ledger.read())
    assert [(e.kind, e.id, e.body, e.at) for e in events] == [(e.kind, e.id, e.body, e.at) for e in flat]
    for kind, id in {(e.kind, e.id) for e in flat}:
        newest = max(e.seq for e in events if (e.kind, e.id) == (kind, id))
        assert ledger.get(kind, id).seq == newest
    assert ledger.verify().seq == len(flat)
    ledger.close()
    shutil.rmtree(folder)
