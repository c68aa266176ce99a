"""The same history under other settings, side by side."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kring.flow.replaying.comparing import AS_IT_IS
from systems import kring, write_loans

SPAN = ("--from", "2024-01-16", "--to", "2024-01-18")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_loans(tmp_path / "loans")


def other(folder: Path, old: str, new: str, *, name: str = "other.toml") -> Path:
    text = (folder / "kring.toml").read_text()
    assert old in text, text
    file = folder / name
    file.write_text(text.replace(old, new, 1))
    return file


def test_each_side_says_what_it_set_and_did(folder: Path) -> None:
    file = folder / "strict.toml"
    file.write_text((folder / "kring.toml").read_text() + "\n[slo]\navailability = 0.9\n")
    refused = kring("replay", folder, *SPAN, "--with", file, "--json")
    assert refused.code == 2
    assert "slo.availability" in refused.json["error"]["got"]
    file = other(folder, 'maturity = "2d"', 'maturity = "3d"\nseason = "month"')
    told = kring("replay", folder, *SPAN, "--with", file, "--json")
    assert told.code == 0, told.err
    first, second = told.json["comparison"]["sides"]
    assert (first["name"], first["changed"]) == (AS_IT_IS, {})
    assert second["name"] == "other"
    assert second["changed"] == {"watch.season": '"month"', "watch.maturity": '"3d"'}
    assert first["replay"]["decisions"] == second["replay"]["decisions"] > 0
    for side in (first, second):
        assert sum(one["decisions"] for one in side["exposures"]) == side["replay"]["decisions"]
    page = Path(told.json["report"]).read_text()
    assert "What other settings would have done" in page
    assert "watch.maturity" in page


def test_people_read_it_in_a_few_lines(folder: Path) -> None:
    file = other(folder, "violations = 0.2", "violations = 0.5")
    told = kring("replay", folder, *SPAN, "--with", file)
    assert told.code == 0
    assert "watch.violations = 0.5" in told.out
    assert AS_IT_IS in told.out


def test_the_same_settings_twice_or_elsewhere_are_refused(folder: Path, tmp_path: Path) -> None:
    same = other(folder, "[gate]", "[gate]")
    assert "changes nothing" in kring("replay", folder, *SPAN, "--with", same, "--json").json["error"]["message"]
    elsewhere = tmp_path / "other.toml"
    elsewhere.write_text(same.read_text())
    for files in ((elsewhere,), (same, same), (folder / "gone.toml",)):
        told = kring("replay", folder, *SPAN, *(word for file in files for word in ("--with", file)), "--json")
        assert told.code == 2, told.err
        assert json.loads(told.out)["error"]["next"]


def test_another_history_is_refused_and_a_fault_is_named(folder: Path) -> None:
    text = (folder / "kring.toml").read_text()
    file = folder / "other.toml"
    file.write_text(text.replace('name = "loans"', 'name = "grants"'))
    told = kring("replay", folder, *SPAN, "--with", file, "--json")
    assert told.code == 2
    assert told.json["error"]["got"] == "system.name"
    file.write_text(text + "\n[lern]\nask = true\n")
    told = kring("replay", folder, *SPAN, "--with", file, "--json")
    assert told.code == 2
    assert told.json["error"]["where"]["file"].endswith("other.toml")
    assert not list((folder / ".kring").rglob("comparison.html"))
