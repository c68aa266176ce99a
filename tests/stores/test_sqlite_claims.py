"""Claims in SQLite: conformance, many processes, processes that die, power cuts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kring.errors import IntegrityError, NewerFormat, NoRoom
from kring.host.files import LocalFiles
from kring.metrics.claims import Tag, body_digest, claim_name, claim_tags, read_tag
from kring.ports.claims import Claimed, Claims, Owner, Pending, Taken, Won
from kring.stores.claims import adopt, open_claims
from kring.stores.database import open_database
from kring.stores.file import open_log
from kring.testing.claims import MINE, OTHER, ClaimsSuite, claim, logged
from kring.testing.decision_log import START, SYSTEM


class TestSqliteClaims(ClaimsSuite):
    def make(self, folder: Path) -> Claims:
        return open_claims(folder / "serve" / "claims.db")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting for the disk where only a power cut could tell."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


# ---------------------------------------------------------------- names and tags


@given(st.text(), st.text(), st.text(), st.binary(), st.integers(1, 40))
def test_tags_say_what_they_were_made_of(system: str, scope: str, key: str, body: bytes, rows: int) -> None:
    name, digest = claim_name(system, scope, key), body_digest(body, key=key)
    tags = claim_tags(name, digest, rows)
    assert [read_tag(tag) for tag in tags] == [Tag(name, digest, row, rows) for row in range(rows)]
    assert len(name) == len(digest) == 22


@pytest.mark.parametrize("text", ["", "a", "a.b.c.d", "a.b.1", "a.b.-1.2", "a.b.1.", "a.b.².3", "a.b. 1.2"])
def test_what_is_no_tag_is_none(text: str) -> None:
    assert read_tag(text) is None


# ---------------------------------------------------------------- threads and processes


def test_fifty_at_once_and_one_wins(tmp_path: Path) -> None:
    claims = [open_claims(tmp_path / "claims.db", timeout=60) for _ in range(5)]
    with ThreadPoolExecutor(50) as pool:
        found = list(
            pool.map(
                lambda number: claims[number % 5].claim_many([claim("a")], owner=Owner(SYSTEM, number), now=START)[0],
                range(50),
            )
        )
    (winner,) = [number for number, one in enumerate(found) if one == Won()]
    assert Counter(type(one) for one in found) == {Won: 1, Pending: 49}
    assert {one for one in found if isinstance(one, Pending)} == {Pending(Owner(SYSTEM, winner))}
    for one in claims:
        one.close()


ANSWERS = """
import os, sys
from pathlib import Path
from kring.host.files import LocalFiles
from kring.ports.claims import Owner, Taken, Won
from kring.stores.claims import open_claims
from kring.stores.file import free_writer
from kring.testing.claims import claim, logged
from kring.testing.decision_log import START, SYSTEM
folder = Path(sys.argv[1])
log = free_writer(folder / "log", files=LocalFiles(), system=SYSTEM)
owner = Owner(SYSTEM, log.writer)
claims = open_claims(folder / "claims.db", timeout=60)
claims.take_over(log, owner=owner, now=START)
for number in range(int(sys.argv[2]), 10**6):
    asked = claim(str(number % 40))
    (state,) = claims.claim_many([asked], owner=owner, now=START)
    if state == Won():
        ids = logged(log, asked, 2)
        claims.settle_many([(asked.name, ids)], owner=owner, cursor=log.cursor())
        state = Taken(ids)
    if isinstance(state, Taken):
        os.write(1, (asked.name + " " + b"".join(state.ids).hex() + chr(10)).encode())
"""


def test_killed_processes_answer_each_key_once(tmp_path: Path) -> None:
    """Pairs of processes work on the same forty keys and are killed; no key ever has two answers."""
    answers: dict[str, set[str]] = {}
    for turn in range(5):
        words = [sys.executable, "-c", ANSWERS, str(tmp_path), str(turn * 7)]
        children = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        for child in children:
            assert child.stdout is not None
            lines = [child.stdout.readline() for _ in range(2 + turn)]
            child.kill()
            lines += child.stdout.read().splitlines(keepends=True)
            child.wait()
            child.stdout.close()
            for line in lines:
                if line.endswith("\n"):
                    name, ids = line.split()
                    answers.setdefault(name, set()).add(ids)
    assert len(answers) > 10
    assert [len(some) for some in answers.values()] == [1] * len(answers)


def test_writers_that_nobody_opens_any_more_are_adopted(tmp_path: Path, quick: None) -> None:
    claims = open_claims(tmp_path / "claims.db")
    logs = [open_log(tmp_path / "log", files=LocalFiles(), system=SYSTEM, writer=writer) for writer in range(3)]
    for writer, key in enumerate("abc"):
        claims.claim_many([claim(key)], owner=Owner(SYSTEM, writer), now=START)
    ids = logged(logs[0], claim("a"))
    logs[0].close()
    logs[2].close()
    assert adopt(claims, folder=tmp_path / "log", files=LocalFiles(), system=SYSTEM, now=START) == 2
    assert claims.look([claim(key).name for key in "abc"]) == [Taken(ids), Pending(Owner(SYSTEM, 1)), None]
    assert adopt(claims, folder=tmp_path / "log", files=LocalFiles(), system=SYSTEM, now=START) == 0
    logs[1].close()
    claims.close()


# ---------------------------------------------------------------- power cuts


STEPS = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.booleans(), st.booleans()), max_size=12)


@settings(max_examples=15)
@given(steps=STEPS, kept=st.floats(0, 1))
def test_a_power_cut_loses_no_answer(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, bool, bool]], kept: float
) -> None:
    """The log is durable; of the claims' journal any beginning may be left. What is on record stays the one answer."""
    folder = tmp_path_factory.mktemp("power")
    claims, log = open_claims(folder / "claims.db"), open_log(folder / "log", files=LocalFiles(), system=SYSTEM)
    claims.take_over(log, owner=MINE, now=START)
    durable = (folder / "claims.db-wal").stat().st_size
    recorded: dict[str, tuple[bytes, ...]] = {}
    for key, answers, settles in steps:
        if claims.claim_many([claim(key)], owner=MINE, now=START) == [Won()] and answers:
            recorded[key] = logged(log, claim(key), 2)
            if settles:
                claims.settle_many([(claim(key).name, recorded[key])], owner=MINE, cursor=log.cursor())
    after = folder / "after"
    after.mkdir()
    for name in ("claims.db", "claims.db-wal"):
        shutil.copy(folder / name, after / name)
    written = (after / "claims.db-wal").stat().st_size
    os.truncate(after / "claims.db-wal", durable + int((written - durable) * kept))
    claims.close()
    again = open_claims(after / "claims.db")
    again.take_over(log, owner=MINE, now=START)
    expected: list[Claimed] = [Taken(recorded[key]) if key in recorded else Won() for key in "abcdefgh"]
    assert again.claim_many([claim(key) for key in "abcdefgh"], owner=OTHER, now=START) == expected
    again.close()
    log.close()
    shutil.rmtree(folder)


# ---------------------------------------------------------------- files that are something else


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "claims.db"
    path.write_bytes(b"not a database, but long enough to be read as one" * 9)
    with pytest.raises(IntegrityError):
        open_claims(path)
    path.unlink()
    open_database(path, application=7, format=1, schema=(), journal="WAL", timeout=1).close()
    with pytest.raises(IntegrityError, match="not the one"):
        open_claims(path)
    path.unlink()
    open_claims(path).close()
    connection = open_database(path, application=0x4B724331, format=1, schema=(), journal="WAL", timeout=1)
    connection.execute("PRAGMA user_version=9")
    connection.close()
    with pytest.raises(NewerFormat):
        open_claims(path)


def test_the_file_is_private_and_names_nobody(tmp_path: Path) -> None:
    claims = open_claims(tmp_path / "serve" / "claims.db")
    claims.claim_many([claim("ada@example.org", body=b"ada@example.org")], owner=MINE, now=START)
    for path in (tmp_path / "serve").iterdir():
        assert path.stat().st_mode & 0o077 == 0
        assert b"ada@example" not in path.read_bytes()
    claims.close()


def test_a_full_disk_is_told_and_passes(tmp_path: Path) -> None:
    claims = open_claims(tmp_path / "claims.db")
    (pages,) = claims._connection.execute("PRAGMA page_count").fetchone()
    claims._connection.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(NoRoom):
        claims.claim_many([claim(str(number)) for number in range(5000)], owner=MINE, now=START)
    assert claims.look([claim("0").name]) == [None]
    claims._connection.execute("PRAGMA max_page_count=1000000")
    assert claims.claim_many([claim("0")], owner=MINE, now=START) == [Won()]
    claims.close()
