"""The page of the proofs names all of them, and only tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")


def test_every_reliability_test_has_its_row():
    assert [int(number) for number in re.findall(r"^\| R(\d+) \|", PAGE, re.MULTILINE)] == list(range(1, 41))


def named() -> list[tuple[Path, str]]:
    """Files, each with the name of a test or nothing; `…` stands for the file that was named before."""
    found, last = [], ""
    for file, name in re.findall(r"`(tests/[\w/]+\.py|…)(?:::(\w+))?`", PAGE):
        last = last if file == "…" else file
        found.append((ROOT / last, name))
    return found


def test_every_test_that_is_named_is_there():
    assert len(named()) > 100
    gone = [
        f"{file.relative_to(ROOT)}::{name}"
        for file, name in named()
        if not file.is_file()
        or (name and not re.search(rf"^(async )?def {name}\(", file.read_text(encoding="utf-8"), re.MULTILINE))
    ]
    assert not gone


def test_every_test_of_this_folder_is_named():
    here = [path for path in Path(__file__).parent.glob("test_*.py") if path != Path(__file__)]
    tests = {name for path in here for name in re.findall(r"^def (test_\w+)\(", path.read_text(), re.MULTILINE)}
    assert sorted(name for name in tests if name not in PAGE) == []
