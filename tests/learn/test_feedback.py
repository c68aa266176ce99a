"""Whether a model chooses what it learns from."""

from __future__ import annotations

import pytest

from kring.learn.feedback import FEWEST, UNKNOWABLE, Coverage, shaped


def test_outcomes_of_one_decision_alone() -> None:
    words = shaped([Coverage("lend", 400, 380, 0), Coverage("refuse", 600, 3, 0)])
    assert "0% of 600 decisions refuse" in words
    assert "95% of 400 decisions lend" in words
    assert UNKNOWABLE in words


@pytest.mark.parametrize(
    "coverage",
    [
        [],
        [Coverage("lend", 400, 380, 0)],
        [Coverage("lend", 400, 380, 0), Coverage("refuse", 600, 560, 0)],
        [Coverage("lend", 400, 380, 0), Coverage("refuse", FEWEST - 1, 0, 0)],
        [Coverage("lend", 40, 30, 0), Coverage("refuse", 40, 22, 0)],
        [Coverage("lend", 400, 380, 4), Coverage("refuse", 600, 33, FEWEST)],
        [Coverage("lend", 400, 0, 0), Coverage("refuse", 600, 0, 0)],
    ],
)
def test_what_says_nothing_of_the_kind(coverage: list[Coverage]) -> None:
    assert shaped(coverage) == ""
