"""What a simulation found, as a row of the table of results."""

from __future__ import annotations

import datetime
from math import inf, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SEED = 20261122


class Finding(NamedTuple):
    """`value` against `goal`, the largest that is good, or with `least` the smallest; `error` is two standard errors;
    `beside` says of what it was measured. Without a goal it is there for comparison."""

    name: str
    value: float
    words: str
    beside: str
    goal: float | None = None
    least: bool = False
    error: float = 0.0

    @property
    def reached(self) -> bool:
        return self.goal is None or (self.value >= self.goal if self.least else self.value <= self.goal)


def share_of(
    hits: NDArray[np.bool_], name: str, beside: str, *, goal: float | None = None, least: bool = False
) -> Finding:
    """A share of runs."""
    value = float(hits.mean())
    error = 2 * sqrt(max(value * (1 - value), 1 / len(hits)) / len(hits))
    words = f"{value:.4f} ± {error:.4f}"
    return Finding(name, value, words, f"{len(hits):,} rollouts, {beside}", goal=goal, least=least, error=error)


def median_of(values: NDArray[np.float64], name: str, beside: str, *, goal: float | None = None) -> Finding:
    """A median over runs, infinite where a run never came so far; its error from order statistics."""
    ordered = np.sort(values)
    n = len(ordered)
    middle, half = n // 2, max(1, round(sqrt(n)))
    value = float(ordered[middle])
    error = float(ordered[min(n - 1, middle + half)]) - value if value < inf else 0.0
    return Finding(name, value, f"{value:,.0f}", f"{n:,} rollouts, {beside}", goal=goal, error=error)


def printed(script: str, findings: list[Finding]) -> None:
    """One row for each finding."""
    today = datetime.datetime.now(tz=datetime.UTC).date()
    for one in findings:
        sign = "≥" if one.least else "≤"
        goal = "" if one.goal is None else f" ({'goal' if one.reached else 'MISSED, goal'} {sign} {one.goal:,g})"
        beside = f"{one.beside}, seed {SEED}"
        print(f"| `python benchmarks/release/{script}.py`, {one.name} | {today} | {one.words}{goal} | {beside} |")
