"""The store of trials on real SQLite."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from kring.errors import IntegrityError, NewerFormat
from kring.ports.trials import Trials
from kring.stores.trials import open_trials
from kring.testing.trials import TrialsConformance


class TestSqliteTrials(TrialsConformance):
    def open(self, path: Path) -> Trials:
        return open_trials(path)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "trials.db"
    path.write_bytes(b"no database at all, but long enough to look like one" * 100)
    with pytest.raises(IntegrityError):
        open_trials(path)


def test_a_newer_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "trials.db"
    open_trials(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(NewerFormat):
        open_trials(path)
