"""The docs name what there is, and nothing in the repository speaks of any one machine."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import kring

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "kring"
BINARY = {".png", ".zip", ".gz", ".parquet", ".onnx", ".ico", ".pdf"}

# Written in two halves, so that this file is not its own first finding.
FOREIGN = [
    "/wo" + "rk/",
    "/ro" + "ot/",
    "/ho" + "me/",
    "pypi" + ".org",
    "python" + "hosted",
    "registry." + "npmjs",
    "deb." + "debian",
    "work" + "place",
    "sub" + "agent",
    "chat" + "gpt",
    "lang" + "uage model wrote",
]


def kept() -> list[Path]:
    """What git keeps, or would keep."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("needs a git checkout")
    files = [ROOT / line for line in listed.stdout.splitlines()]
    return [file for file in files if file.is_file() and file.suffix not in BINARY]


def test_no_file_speaks_of_a_machine_or_of_how_it_was_made() -> None:
    found = []
    for file in kept():
        text = file.read_text(encoding="utf-8", errors="replace").lower()
        found += [f"{file.relative_to(ROOT)}: {word}" for word in FOREIGN if word in text]
    assert not found, "\n".join(found)


def test_reference_pages_are_what_the_code_says() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "reference.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_readme_draws_the_house_as_it_stands() -> None:
    tree = re.search(r"^src/kring/\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert tree
    drawn = re.findall(r"^[├└]── (\w+(?:\.py)?)/?", tree[1], re.MULTILINE)
    folders = [folder.name for folder in SOURCE.iterdir() if any(folder.glob("*.py"))]
    assert sorted(drawn) == sorted([*folders, "errors.py"])


def test_every_folder_says_what_it_reads_adds_and_refuses() -> None:
    for file in sorted(SOURCE.glob("*/__init__.py")):
        lines = file.read_text(encoding="utf-8").strip().splitlines()
        assert lines, f"{file.parent.name}/__init__.py is empty"
        assert lines[0].startswith('"""'), file.parent.name
        assert len(lines) <= 10, f"{file.parent.name}/__init__.py has {len(lines)} lines"


def test_names_that_say_nothing_are_not_used() -> None:
    empty = {"util", "utils", "common", "helper", "helpers", "core", "manager", "misc", "base"}
    assert [str(path) for path in SOURCE.rglob("*") if path.stem in empty] == []


def test_the_root_exports_few_names_and_all_of_them_exist() -> None:
    assert len(kring.__all__) <= 20
    assert [name for name in kring.__all__ if not hasattr(kring, name)] == []


def test_every_choice_has_its_four_parts() -> None:
    choices = sorted((ROOT / "docs" / "choices").glob("*.md"))
    assert choices
    for choice in choices:
        text = choice.read_text(encoding="utf-8")
        for part in ("**Question.**", "**Options.**", "**Choice.**", "**What would change our mind.**"):
            assert part in text, f"{choice.name}: {part}"
        assert len(text.splitlines()) <= 40, f"{choice.name} is longer than half a page"


def test_every_page_is_named_in_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    pages = [str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")]
    assert [page for page in pages if page != "index.md" and f"({page})" not in index] == []
