"""A database that is opened again in the same process keeps the locks of those who have it open.

POSIX locks are let go when a process closes any descriptor of the file. Whoever closes the database elsewhere would
then believe to be the last one, and take the log away under the others.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kring.errors import IntegrityError
from kring.stores.database import open_database

ELSEWHERE = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT count(*) FROM t'); c.close()"


def opened(path: Path):
    return open_database(
        path, application=7, format=1, schema=("CREATE TABLE t (x INTEGER)",), journal="WAL", timeout=5.0
    )


def test_opening_again_lets_go_of_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "one.db"
    first = opened(path)
    first.execute("INSERT INTO t VALUES (1)")
    opened(path).close()
    for number in range(3):
        subprocess.run([sys.executable, "-c", ELSEWHERE, str(path)], check=True, timeout=60)
        assert path.with_name("one.db-wal").exists(), "somebody else took the log away"
        first.execute("INSERT INTO t VALUES (?)", (number,))
    first.close()
    again = opened(path)
    assert again.execute("SELECT count(*) FROM t").fetchone() == (4,)
    assert again.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    again.close()


@pytest.mark.parametrize("data", [b"x", b"not a database", b"x" * 511, b"x" * 512, b"SQLite format 4\0" * 300])
def test_what_is_no_database_is_told(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "one.db"
    path.write_bytes(data)
    with pytest.raises(IntegrityError):
        opened(path)
    assert path.read_bytes() == data


def test_a_file_that_others_may_read_is_made_private(tmp_path: Path) -> None:
    path = tmp_path / "one.db"
    opened(path).close()
    path.chmod(0o644)
    opened(path).close()
    assert path.stat().st_mode & 0o777 == 0o600
