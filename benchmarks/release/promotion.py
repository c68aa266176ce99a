"""How often, and after how many requests, an equal version is promoted; how often one that is at its limit is.

python benchmarks/release/promotion.py
"""

from __future__ import annotations

from math import log

import numpy as np
from simulated import Logs, Rules, drawing, in_parts, walked
from told import SEED, Finding, median_of, printed, share_of

from kring.metrics.e_values import floor_log, safe

RULES = Rules(
    steps=(1, 5, 20, 50), margins=(2.0, 2.0, 1.5, 1.25), alpha=0.05, beta=0.05, min_units=500, smoke_units=200
)
RATE = 0.01
FLOOR = 0.005
TOGETHER = 100


def worse(rate: float, ratio: float) -> float:
    """The rate of which the odds are `ratio` times those of `rate`."""
    return ratio * rate / (1 - rate + ratio * rate)


def equal(*, runs: int) -> list[Finding]:
    walk = walked(np.random.default_rng(SEED + 20), RULES, runs=runs, rates=(RATE, RATE), most=10_000)
    promoted = walk.ended == 100
    beside = "1 → 5 → 20 → 50 → 100 %, 1 % bad"
    return [
        share_of(promoted, "an equal version is promoted", beside, goal=0.95, least=True),
        median_of(
            walk.requests[promoted].astype(float), "requests until an equal version is promoted", beside, goal=80_000
        ),
        share_of(walk.ended == 0, "an equal version is rolled back on the way", beside, goal=0.05),
    ]


def at_the_margin(*, runs: int, batches: int) -> list[Finding]:
    walk = walked(np.random.default_rng(SEED + 21), RULES, runs=runs, rates=(worse(RATE, 1.25), RATE), most=batches)
    found = [share_of(walk.ended == 100, "promoted, though 1.25 times as bad, the last margin", "all steps", goal=0.05)]
    generator = np.random.default_rng(SEED + 22)
    for margin, share in ((2.0, 0.05), (1.5, 0.2), (1.25, 0.5)):
        logs = Logs(safe(margin))
        draw = drawing(generator, batches=batches, share=share, new_rate=worse(RATE, margin), old_rate=RATE)
        hits = [(logs.path(part) >= log(20)).any(axis=1) for part in in_parts(draw, runs=runs, batches=batches)]
        name = f"proven safe, though exactly {margin:g} times as bad, share {share:.0%}"
        found.append(
            share_of(np.concatenate(hits), name, f"{batches * 100:,} requests each, never rolled back", goal=0.05)
        )
    return found


def by_the_floor(*, runs: int, units: int) -> list[Finding]:
    """The absolute route: nobody is bad at all; and, at the limit, exactly 0.5 % are."""
    counts = np.arange(units + 1)
    cleared = int(np.argmax(floor_log(counts, np.zeros(units + 1), floor=FLOOR) >= log(20)))
    generator = np.random.default_rng(SEED + 23)
    hits = []
    for start in range(0, runs, TOGETHER):
        bad = np.cumsum(generator.random((min(TOGETHER, runs - start), units)) < FLOOR, axis=1)
        hits.append((floor_log(counts[1:] - bad, bad, floor=FLOOR) >= log(20)).any(axis=1))
    return [
        Finding(
            "units of the new version until it is cleared without any error, absolute route",
            float(cleared),
            f"{cleared:,}",
            "floor 0.5 %, no chance in it",
            goal=900,
        ),
        share_of(np.concatenate(hits), "cleared by the floor, though at it", f"{units:,} units each", goal=0.05),
    ]


def findings(*, runs: int = 10_000, batches: int = 4000, units: int = 20_000) -> list[Finding]:
    """All of them; smaller numbers for a short form."""
    return [*equal(runs=runs), *at_the_margin(runs=runs, batches=batches), *by_the_floor(runs=runs, units=units)]


if __name__ == "__main__":
    printed("promotion", findings())
