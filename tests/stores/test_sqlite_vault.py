"""The vault in SQLite: conformance, what the file shows, what forgetting leaves behind."""

from __future__ import annotations

import os
import re
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kring.errors import Busy, IntegrityError, NewerFormat, StorageError
from kring.host.random import SeededRandom, SystemRandom
from kring.stores.database import storage
from kring.stores.sqlite import open_ledger
from kring.stores.vault import SqliteVault, open_vault
from kring.testing.vault import VaultSuite


class TestSqliteVault(VaultSuite):
    def make(self, folder: Path) -> SqliteVault:
        return open_vault(folder / "vault.db", random=SystemRandom())


def key_of(path: Path, vault: SqliteVault, value: str) -> bytes:
    connection = sqlite3.connect(path)
    (key,) = connection.execute("SELECT key FROM subject WHERE lookup = ?", (vault._lookup(value),)).fetchone()
    connection.close()
    return bytes(key)


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_tokens_look_like_tokens(tmp_path: Path) -> None:
    vault = open_vault(tmp_path / "vault.db", random=SeededRandom(1))
    tokens = vault.tokens(["ada", "bob"])
    assert all(re.fullmatch(r"t_[0-7][0-9A-HJKMNP-TV-Z]{25}", token) for token in tokens)
    assert b"ada" not in everything(tmp_path)
    vault.close()


def test_the_same_chance_makes_the_same_tokens(tmp_path: Path) -> None:
    made = []
    for name in ("one", "two"):
        vault = open_vault(tmp_path / name / "vault.db", random=SeededRandom(7))
        made.append(vault.tokens(["ada", "bob", "ada"]))
        vault.close()
    assert made[0] == made[1]


def test_only_the_owner_may_read(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        open_vault(tmp_path / "new" / "vault.db", random=SystemRandom()).close()
    finally:
        os.umask(before)
    (tmp_path / "new" / "vault.db").chmod(0o644)
    vault = open_vault(tmp_path / "new" / "vault.db", random=SystemRandom())
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "new" / "vault.db").stat().st_mode) == 0o600
    vault.close()


@pytest.mark.parametrize("subjects", [1, 50, 2000])
def test_no_byte_of_a_forgotten_key_is_left(tmp_path: Path, subjects: int) -> None:
    path = tmp_path / "vault.db"
    vault = open_vault(path, random=SystemRandom())
    for begin in range(0, subjects, 100):
        vault.tokens([f"subject {number}" for number in range(begin, min(subjects, begin + 100))])
    value = f"subject {subjects // 2}"
    key, lookup = key_of(path, vault, value), vault._lookup(value)
    assert key in everything(tmp_path)
    assert vault.forget(value)
    assert key not in everything(tmp_path)
    assert lookup not in everything(tmp_path)
    vault.close()


def test_a_forgetting_that_was_cut_short_is_finished_at_the_next_opening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "vault.db"
    vault = open_vault(path, random=SystemRandom())
    (token,) = vault.tokens(["ada"])
    key = key_of(path, vault, "ada")
    with monkeypatch.context() as patched:
        patched.setattr(SqliteVault, "_clean", interrupted)
        with pytest.raises(KeyboardInterrupt):
            vault.forget("ada")
    assert vault._connection.execute("SELECT unclean FROM master").fetchone() == (1,)
    vault.close()
    again = open_vault(path, random=SystemRandom())
    assert again._connection.execute("SELECT unclean FROM master").fetchone() == (0,)
    assert key not in everything(tmp_path)
    assert again.tokens(["ada"]) != [token]
    again.close()


def interrupted(vault: SqliteVault) -> None:
    raise KeyboardInterrupt


def test_a_hundred_thousand_subjects_are_quick(tmp_path: Path) -> None:
    vault = open_vault(tmp_path / "vault.db", random=SystemRandom())
    values = [f"subject {number}" for number in range(100_000)]
    begin = time.process_time()
    tokens = vault.tokens(values)
    seconds = time.process_time() - begin
    assert len(set(tokens)) == 100_000
    assert vault.tokens(values[5::997]) == tokens[5::997]
    vault.close()
    assert seconds < 4


def test_newer_foreign_and_damaged_files_are_refused(tmp_path: Path) -> None:
    open_ledger(tmp_path / "ledger.db", system="s").close()
    with pytest.raises(IntegrityError, match="not the one that belongs here"):
        open_vault(tmp_path / "ledger.db", random=SystemRandom())
    (tmp_path / "text").write_text("no database")
    with pytest.raises(IntegrityError):
        open_vault(tmp_path / "text", random=SystemRandom())
    open_vault(tmp_path / "vault.db", random=SystemRandom()).close()
    connection = sqlite3.connect(tmp_path / "vault.db")
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    with pytest.raises(NewerFormat):
        open_vault(tmp_path / "vault.db", random=SystemRandom())


def test_a_locked_vault_is_busy(tmp_path: Path) -> None:
    vault = open_vault(tmp_path / "vault.db", random=SystemRandom(), timeout=0.05)
    other = sqlite3.connect(tmp_path / "vault.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Busy):
        vault.tokens(["ada"])
    other.execute("ROLLBACK")
    other.close()
    assert vault.tokens(["ada"])
    vault.close()


def test_an_error_of_the_disk_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="could not do it"), storage("do it", tmp_path):
        raise OSError(28, "No space left on device")


CHILD = """
import sys
from pathlib import Path
from kring.host.random import SystemRandom
from kring.stores.vault import open_vault
vault = open_vault(Path(sys.argv[1]), random=SystemRandom())
print(" ".join(vault.tokens([f"subject {number}" for number in range(3000)])))
"""


def test_two_processes_make_the_same_tokens(tmp_path: Path) -> None:
    path = tmp_path / "new" / "vault.db"
    children = [subprocess.Popen([sys.executable, "-c", CHILD, path], stdout=subprocess.PIPE) for _ in range(2)]
    one, two = (child.communicate(timeout=60)[0] for child in children)
    assert [child.returncode for child in children] == [0, 0]
    assert one == two
