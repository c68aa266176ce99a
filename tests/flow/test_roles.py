"""The contract says what a column is for; `kring.toml` may repeat it, and need not."""

from __future__ import annotations

from pathlib import Path

import pytest

from kring.errors import ConfigError
from kring.flow.project import open_project
from systems import kring, write_loans, write_prices


def replaced(folder: Path, old: str, new: str) -> Path:
    file = folder / "kring.toml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    return folder


def test_a_role_that_is_left_out_is_the_contracts(tmp_path: Path) -> None:
    folder = replaced(write_loans(tmp_path / "loans"), 'time = "asked_at"\n', "")
    assert open_project(folder).system.data.time == "asked_at"
    assert kring("go", folder).code == 0


def test_the_time_of_the_outcome_is_known_later_whoever_says_so(tmp_path: Path) -> None:
    folder = replaced(write_loans(tmp_path / "loans"), 'outcome_at = "settled_at"', 'outcome_after = "40h"')
    assert open_project(folder).known_later == {"repaid", "settled_at"}


def test_a_role_that_differs_is_a_fault(tmp_path: Path) -> None:
    folder = replaced(write_loans(tmp_path / "loans"), 'time = "asked_at"', 'time = "settled_at"')
    with pytest.raises(ConfigError, match=r"data\.time differs from the contract"):
        open_project(folder)


def test_a_lookup_needs_the_time_of_decisions(tmp_path: Path) -> None:
    folder = write_prices(tmp_path / "prices")
    replaced(folder, "[[candidate]]\nname = \"prior\"", '[lookup.by_day]\nkey = ["weekday"]\nvalue = "demand"\n\n'
             '[[candidate]]\nname = "prior"')  # fmt: skip
    replaced(folder, 'weekday = "weekday"', "weekday = 'lookup(\"by_day\", key = [weekday])'")
    with pytest.raises(ConfigError, match="it needs the time of decisions") as refused:
        open_project(folder)
    assert [(fault.key, fault.line) for fault in refused.value.faults] == [("lookup.by_day", 23)]
