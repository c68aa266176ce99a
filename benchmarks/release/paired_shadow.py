"""How many shadowed rows it takes to clear an equal version and to give up a worse one, and how often one that is worse
by just δ is cleared, or given up.

python benchmarks/release/paired_shadow.py
"""

from __future__ import annotations

from collections.abc import Callable
from math import log

import numpy as np
from numpy.typing import NDArray
from simulated import NEVER, first
from told import SEED, Finding, median_of, printed, share_of

from kring.metrics.e_values import mixed
from kring.metrics.paired import WEIGHTS, paired_logs, worse_logs

Logs = Callable[..., NDArray[np.float64]]

DELTA = 0.01
BATCH = 100


def cleared(
    generator: np.random.Generator, *, runs: int, batches: int, discordant: float, worse: float
) -> NDArray[np.float64]:
    """After how many rows each run is cleared: of `discordant` rows one of the versions is wrong and the other right,
    so that the new one loses `worse` on average."""
    return reached(generator, paired_logs, runs=runs, batches=batches, discordant=discordant, worse=worse)


def given_up(
    generator: np.random.Generator, *, runs: int, batches: int, discordant: float, worse: float
) -> NDArray[np.float64]:
    """After how many rows each run is given up: proven worse by more than δ, as the only guardrail."""
    return reached(generator, worse_logs, runs=runs, batches=batches, discordant=discordant, worse=worse)


def reached(
    generator: np.random.Generator, logs_of: Logs, *, runs: int, batches: int, discordant: float, worse: float
) -> NDArray[np.float64]:
    """After how many rows the bets of `logs_of` have come to 20."""
    better = np.array([logs_of([value], delta=DELTA) for value in (-1.0, 0.0, 1.0)])
    shares = [(discordant - worse) / 2, 1 - discordant, (discordant + worse) / 2]
    counts = generator.multinomial(BATCH, shares, size=(runs, batches))
    logs = mixed(np.cumsum(counts @ better, axis=1), WEIGHTS)
    at = first(logs >= log(20))
    return np.where(at == NEVER, np.inf, (at + 1.0) * BATCH)


def findings(*, runs: int = 2000, batches: int = 1000) -> list[Finding]:
    """All of them; smaller numbers for a short form."""
    generator, other = np.random.default_rng(SEED + 30), np.random.default_rng(SEED + 31)
    found = []
    for discordant, goal in ((0.05, 4000), (0.1, 7500)):
        equal = cleared(generator, runs=runs, batches=min(batches, 300), discordant=discordant, worse=0.0)
        at_limit = cleared(generator, runs=runs, batches=batches, discordant=discordant, worse=DELTA)
        accused = given_up(other, runs=runs, batches=batches, discordant=discordant, worse=DELTA)
        worse = given_up(other, runs=runs, batches=min(batches, 300), discordant=discordant, worse=4 * DELTA)
        name = f"discordance {discordant:.0%}"
        found += [
            median_of(equal, f"shadowed rows until an equal version is cleared, {name}", "δ = 0.01", goal=goal),
            share_of(
                np.isfinite(at_limit),
                f"cleared in the shadow, though worse by δ, {name}",
                f"{batches * BATCH:,} rows each",
                goal=0.05,
            ),
            share_of(
                np.isfinite(accused),
                f"given up in the shadow, though worse by no more than δ, {name}",
                f"{batches * BATCH:,} rows each",
                goal=0.05,
            ),
            median_of(worse, f"shadowed rows until one that is worse by 4 δ is given up, {name}", "δ = 0.01"),
        ]
    return found


if __name__ == "__main__":
    printed("paired_shadow", findings())
