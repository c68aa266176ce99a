"""Whether a model shapes its own labels: what was decided says whose outcome is ever seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from kring.metrics.intervals import wilson

FEWEST: Final = 30
"""Decisions of one kind without which nothing is said of it; looked at by chance, they are enough to learn from."""

GAP: Final = 0.2
"""How far the shares of known outcomes may lie apart between decisions."""

UNKNOWABLE: Final = (
    "whether an answer changes what happens can't be read off outcomes: that takes decisions that were left to chance"
)


class Coverage(NamedTuple):
    """Of `made` decisions that said `decision` and are old enough, `known` have an outcome; `by_chance` of these
    because a random draw had people look."""

    decision: str
    made: int
    known: int
    by_chance: int

    @property
    def share(self) -> float:
        return self.known / max(self.made, 1)


def shaped(coverage: Sequence[Coverage]) -> str:
    """Why labels may be the model's own doing, in words; empty when nothing speaks for it.

    Outcomes are much rarer for one decision than for another, beyond chance, and too few of them were looked at by
    chance to make up for it.
    """
    enough = sorted((one for one in coverage if one.made >= FEWEST), key=lambda one: one.share)
    if len(enough) < 2:
        return ""
    rare, common = enough[0], enough[-1]
    _, high = wilson(rare.known, rare.made)
    low, _ = wilson(common.known, common.made)
    if low - high <= GAP or rare.by_chance >= FEWEST:
        return ""
    return (
        f"outcomes are known of {rare.share:.0%} of {rare.made:,} decisions {rare.decision} and of {common.share:.0%} "
        f"of {common.made:,} decisions {common.decision}: the model chooses what it learns from, and only "
        f"{rare.by_chance:,} of the former were looked at by chance ([learn.review] share); {UNKNOWABLE}"
    )
