"""How soon a version that is worse is rolled back: units of the new version until then, by us, by the test that knows
how much worse it is, and by the rules of others.

    python benchmarks/release/detection.py
"""

from __future__ import annotations

from math import log
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from peers import RULES
from simulated import NEVER, Logs, drawing, first, in_parts, units_by
from told import SEED, Finding, median_of, printed, share_of

from kring.metrics.e_values import HARM, Bets

LINE = log(20)


class Case(NamedTuple):
    """From which rate of bad units to which; the largest median that is good, at a share of 5 and 20 %; requests."""

    words: str
    old: float
    new: float
    goals: tuple[float | None, float | None]
    requests: int


CASES = (
    Case("1 → 2 %", 0.01, 0.02, (950, 1200), 120_000),
    Case("1 → 1.3 %", 0.01, 0.013, (8000, 8000), 1_000_000),
    Case("5 → 6 %", 0.05, 0.06, (3400, 3800), 400_000),
    Case("tenfold outage, 1 → 10 %", 0.01, 0.10, (50, None), 10_000),
)
RATIO = 1.5
OUTAGE = 0.1


def oracle(case: Case) -> Bets:
    """The sequential probability ratio test that knows the effect: one bet, on the true odds ratio."""
    return Bets(1.0, (case.new / (1 - case.new) / (case.old / (1 - case.old)),), (1.0,))


def until_rollback(case: Case, *, share: float, runs: int) -> dict[str, NDArray[np.float64]]:
    """Units of the new version until it is rolled back, by us and by the test that knows the effect."""
    generator = np.random.default_rng([SEED, 10, round(100 * share), round(1000 * case.new)])
    batches = case.requests // (100 if share < 0.1 else 200)
    draw = drawing(generator, batches=batches, share=share, new_rate=case.new, old_rate=case.old)
    tests = {"ours": Logs(HARM), "best": Logs(oracle(case))}
    units: dict[str, list[NDArray[np.float64]]] = {name: [] for name in tests}
    for part in in_parts(draw, runs=runs, batches=batches):
        for name, logs in tests.items():
            units[name].append(units_by(part, first(logs.path(part) >= LINE)))
    return {name: np.concatenate(parts) for name, parts in units.items()}


def detected(*, runs: int) -> list[Finding]:
    found = []
    for case in CASES:
        for share, goal in zip((0.05, 0.2), case.goals, strict=True):
            units = until_rollback(case, share=share, runs=runs)
            name = f"{case.words}, share {share:.0%}"
            found.append(median_of(units["ours"], f"units to rollback, {name}", "median", goal=goal))
            if case.new < OUTAGE:
                found.append(_beside_the_best(units, name))
    return found


def _beside_the_best(units: dict[str, NDArray[np.float64]], name: str) -> Finding:
    ours, best = (float(np.median(units[which])) for which in ("ours", "best"))
    return Finding(
        f"against a test that knows the effect, {name}",
        ours / best,
        f"{ours / best:.2f}x of {best:,.0f}",
        f"{len(units['ours']):,} rollouts",
        goal=RATIO,
        error=3 * ours / best / len(units["ours"]) ** 0.5,
    )


def by_others(*, runs: int, batches: int = 1000) -> list[Finding]:
    """What share of rollouts of a worse version each rule has rolled back within 100,000 requests."""
    generator = np.random.default_rng(SEED + 11)
    logs = Logs(HARM)
    rules = {"Kring": lambda part: first(logs.path(part) >= LINE), **RULES}
    found = []
    for words, new in (("1 → 2 %", 0.02), ("1 → 1.3 %", 0.013)):
        caught: dict[str, list[NDArray[np.bool_]]] = {}
        draw = drawing(generator, batches=batches, share=0.2, new_rate=new, old_rate=0.01)

        for part in in_parts(draw, runs=runs, batches=batches):
            for name, rule in rules.items():
                caught.setdefault(name, []).append(rule(part) != NEVER)
        beside = f"{batches * 100:,} requests each, to compare"
        found += [
            share_of(np.concatenate(some), f"rolled back by {name}, {words}, share 20%", beside)
            for name, some in caught.items()
        ]
    return found


def findings(*, runs: int = 10_000) -> list[Finding]:
    """All of them; a smaller number for a short form."""
    return [*detected(runs=runs), *by_others(runs=min(runs, 2000))]


if __name__ == "__main__":
    printed("detection", findings())
