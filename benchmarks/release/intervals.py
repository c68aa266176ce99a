"""How often a confidence sequence is wrong at any look at all, and how wide it is beside an interval for one look.

python benchmarks/release/intervals.py
"""

from __future__ import annotations

from math import sqrt

import numpy as np
from numpy.typing import NDArray
from told import SEED, Finding, printed, share_of

from kring.metrics.confidence_sequences import Ints, Lift, lift, mass_of, mean_interval

ALPHA = 0.05
OUTCOMES = 50_000
MONEY = 500.0


def paid(generator: np.random.Generator, size: int) -> NDArray[np.float64]:
    """What people pay: 3 % of them anything, a few of those a lot, at most 500."""
    return np.minimum(np.where(generator.random(size) < 0.03, generator.lognormal(3, 1, size), 0.0), MONEY)


def masses(values: NDArray[np.float64], *, looks: NDArray[np.int64], high: float) -> list[Ints]:
    """The mass at each look."""
    parts = np.split(values, looks)[:-1]
    return list(np.cumsum([mass_of(part, high=high) for part in parts], axis=0))


def means(*, runs: int, looks: NDArray[np.int64]) -> list[Finding]:
    generator = np.random.default_rng(SEED + 40)
    truth = float(paid(np.random.default_rng(1), 20_000_000).mean())
    missed = {"a rate of 2 %": np.zeros(runs, bool), "money": np.zeros(runs, bool)}
    for run in range(runs):
        rate = masses((generator.random(OUTCOMES) < 0.02).astype(float), looks=looks, high=1.0)
        money = masses(paid(generator, OUTCOMES), looks=looks, high=MONEY)
        for some, high, name, value in ((rate, 1.0, "a rate of 2 %", 0.02), (money, MONEY, "money", truth)):
            ends = [mean_interval(mass, alpha=ALPHA, high=high) for mass in some]
            missed[name][run] = any(not end.low <= value <= end.high for end in ends)
    beside = f"{len(looks)} looks up to {OUTCOMES:,} outcomes"
    return [
        share_of(hits, f"interval that misses the mean at any look, {name}", beside, goal=ALPHA)
        for name, hits in missed.items()
    ]


def lifts(*, runs: int, looks: NDArray[np.int64]) -> list[Finding]:
    generator = np.random.default_rng(SEED + 41)
    wrong: dict[str, NDArray[np.bool_]] = {}
    for name, planned in (("no plan", 0), ("planned for 100,000", 100_000)):
        hits = np.zeros(runs, bool)
        for run in range(runs):
            arms = [masses((generator.random(OUTCOMES) < 0.05).astype(float), looks=looks, high=1.0) for _ in range(2)]
            hits[run] = any(
                _excludes_none(lift(new, old, share=0.5, alpha=ALPHA, planned=planned))
                for new, old in zip(*arms, strict=True)
            )
        wrong[name] = hits
    beside = f"two arms of 5 %, {len(looks)} looks up to {OUTCOMES:,} outcomes each"
    return [
        share_of(hits, f"a difference claimed at any look where there is none, {name}", beside, goal=ALPHA)
        for name, hits in wrong.items()
    ]


def _excludes_none(found: Lift) -> bool:
    return found.difference.low > 0 or found.difference.high < 0


def width() -> list[Finding]:
    """19 % in both arms of 45,000, as planned."""
    n, rate = 45_000, 0.19
    mass = mass_of(np.arange(n) < round(n * rate))
    once = 1.96 * sqrt(2 * rate * (1 - rate) / n)
    found = []
    for name, planned in (("no plan", 0), ("at the planned number", 2 * n)):
        ends = lift(mass, mass, share=0.5, alpha=ALPHA, planned=planned).difference
        ratio = (ends.high - ends.low) / 2 / once
        found.append(
            Finding(
                f"width beside an interval for one look only, {name}",
                ratio,
                f"{ratio:.2f}x",
                "19 % of 45,000 in both arms, to compare",
            )
        )
    return found


def findings(*, runs: int = 200, looks: int = 20) -> list[Finding]:
    """All of them; smaller numbers for a short form."""
    at = np.unique(np.geomspace(50, OUTCOMES, looks).astype(np.int64))
    return [*means(runs=runs, looks=at), *lifts(runs=runs, looks=at), *width()]


if __name__ == "__main__":
    printed("intervals", findings())
