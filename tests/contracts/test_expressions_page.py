"""The page about expressions names everything there is."""

from __future__ import annotations

import re
from pathlib import Path

from kring.contracts.functions import FUNCTIONS, SPECIAL

PAGE = Path(__file__).parents[2] / "docs" / "expressions.md"


def test_every_function_stands_in_the_table() -> None:
    rows = [line.split("|")[1] for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert set(re.findall(r"`(\w+)\(", "".join(rows))) == {*FUNCTIONS, *SPECIAL}
