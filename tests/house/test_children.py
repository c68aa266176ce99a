"""A process that Kring starts takes no module from the folder that somebody happens to be in."""

from __future__ import annotations

import re
from pathlib import Path

SOURCES = Path(__file__).parents[2] / "src"
STARTS = re.compile(r"sys\.executable,([^\]\)]*?)\"-m\"", re.DOTALL)


def test_no_child_looks_for_modules_where_it_stands() -> None:
    starts = [(path, found[1]) for path in SOURCES.rglob("*.py") for found in STARTS.finditer(path.read_text())]
    assert len(starts) >= 7
    assert [path.name for path, options in starts if '"-P"' not in options] == []
