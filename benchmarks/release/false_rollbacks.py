"""How often a version that is no worse is rolled back, by us and by the rules of others.

    python benchmarks/release/false_rollbacks.py

A look every 100 units, α = 0.05, up to a million requests; 1 % of the units are bad unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log

import numpy as np
from numpy.typing import NDArray
from peers import RULES
from simulated import NEVER, Logs, Returning, Stream, drawing, hazards, in_parts, returning_path, streamed
from told import SEED, Finding, printed, share_of

from kring.metrics.e_values import HARM

ALPHA = 0.05
LINE = log(1 / ALPHA)
RATE = 0.01
DELAYS = (1.0, 3.0)
"""After how many days the labels of the new and the old version come, on average."""

LOOKS_A_DAY = 50


def ever(draw: Callable[[int], Stream], *, runs: int, batches: int) -> NDArray[np.bool_]:
    """Whether each run was ever rolled back."""
    logs = Logs(HARM)
    return np.concatenate(
        [(logs.path(part) >= LINE).any(axis=1) for part in in_parts(draw, runs=runs, batches=batches)]
    )


def no_difference(runs: int, batches: int) -> list[Finding]:
    generator = np.random.default_rng(SEED)
    found = []
    for share in (0.05, 0.2, 0.5):
        draw = drawing(generator, batches=batches, share=share, new_rate=RATE, old_rate=RATE)
        hits = ever(draw, runs=runs, batches=batches)
        beside = f"{batches * 100:,} requests each"
        found.append(share_of(hits, f"rolled back, no difference, share {share:.0%}", beside, goal=ALPHA))
    return found


def shared_incident(runs: int, batches: int) -> list[Finding]:
    """Both arms go from 1 % to 6 % to 10 % and back."""
    generator = np.random.default_rng(SEED + 1)
    rate = np.full(batches, RATE)
    rate[batches // 5 : batches // 3] = 0.06
    rate[batches // 3 : batches // 2] = 0.10
    draw = drawing(generator, batches=batches, share=0.05, new_rate=rate, old_rate=rate)
    hits = ever(draw, runs=runs, batches=batches)
    return [
        share_of(
            hits, "rolled back, incident in both arms, 1 → 6 → 10 %", f"{batches * 100:,} requests each", goal=ALPHA
        )
    ]


def changing_shares(runs: int, batches: int) -> list[Finding]:
    """The share walks 1, 5, 20, 50, 20, 5 % while the rate of both arms rises with it from 1 to 5 %: whoever adds up
    all requests sees a new version that is far worse."""
    generator = np.random.default_rng(SEED + 2)
    share = np.repeat([0.01, 0.05, 0.2, 0.5, 0.2, 0.05], -(-batches // 6))[:batches]
    rate = RATE + 0.08 * share
    draw = drawing(generator, batches=batches, share=share, new_rate=rate, old_rate=rate)
    hits = ever(draw, runs=runs, batches=batches)
    return [
        share_of(hits, "rolled back, shares and rates change together", f"{batches * 100:,} requests each", goal=ALPHA)
    ]


def several_guardrails(runs: int, batches: int) -> list[Finding]:
    """Errors and a latency with three limits, of which each slow answer beyond one is beyond those before it: together
    they share one α."""
    generator = np.random.default_rng(SEED + 6)
    tests = [Logs(HARM) for _ in range(4)]
    hits = []
    for size in _chunks(runs, batches):
        errors = streamed(generator, runs=size, share=np.full(batches, 0.2), new_rate=RATE, old_rate=RATE)
        parts, new_bad, old_bad = [errors], errors.new, errors.old
        for rarer in (0.5, 0.2, 0.1):
            new_bad, old_bad = generator.binomial(new_bad, rarer), generator.binomial(old_bad, rarer)
            parts.append(Stream(errors.new, errors.old, new_bad, old_bad))
        paths = np.exp([logs.path(part) for logs, part in zip(tests, parts, strict=True)])
        hits.append(((paths[0] + paths[1:].mean(axis=0)) / 2 >= 1 / ALPHA).any(axis=1))
    name = "rolled back, errors and a latency with three limits, no difference"
    return [share_of(np.concatenate(hits), name, f"{batches * 100:,} requests each", goal=ALPHA)]


def sticky_subjects(runs: int, batches: int) -> list[Finding]:
    """Units that come back, each with a rate of its own, counted in their cohorts; the share rises and falls."""
    generator = np.random.default_rng(SEED + 3)
    chances = hazards(visit=0.3, looks=10, mean=RATE, spread=5.0)
    shares = np.repeat([0.05, 0.2, 0.5, 0.2], -(-batches // 4))[:batches]
    hits = [
        (returning_path(generator, Returning(chances, chances), HARM, runs=some, shares=shares) >= LINE).any(axis=1)
        for some in _chunks(runs, batches)
    ]
    beside = f"{batches * 100:,} subjects with 3.7 requests each"
    return [share_of(np.concatenate(hits), "rolled back, subjects that come back", beside, goal=ALPHA)]


def _chunks(runs: int, batches: int) -> list[int]:
    together = max(1, min(runs, 400_000 // batches))
    return [min(together, runs - start) for start in range(0, runs, together)]


def late_labels(runs: int, batches: int) -> list[Finding]:
    """Labels of the new version come after a day on average, those of the old one after three. Counted at the age of 14
    days, of those with a label only; and, to compare, as they come."""
    generator = np.random.default_rng(SEED + 4)
    known = [1 - np.exp(-14 / delay) for delay in DELAYS]

    def draw(some: int) -> Stream:
        full = streamed(generator, runs=some, share=np.full(batches, 0.05), new_rate=RATE, old_rate=RATE)
        labelled = [generator.binomial(units, share) for units, share in zip(full[:2], known, strict=True)]
        bad = [generator.binomial(units, RATE) for units in labelled]
        return Stream(labelled[0], labelled[1], bad[0], bad[1])

    logs = Logs(HARM)
    hits = [(logs.path(part) >= LINE).any(axis=1) for part in in_parts(draw, runs=runs, batches=batches)]
    early = returning_path(generator, _as_they_come(), HARM, runs=runs // 10, shares=np.full(min(batches, 1000), 0.05))
    return [
        share_of(
            np.concatenate(hits),
            "rolled back, labels of the new version come sooner",
            f"{batches * 100:,} requests each",
            goal=ALPHA,
        ),
        share_of(
            (early >= LINE).any(axis=1),
            "the same, counted as they come",
            f"{min(batches, 1000) * 100:,} requests each, 5,000 a day, to compare",
        ),
    ]


def _as_they_come() -> Returning:
    """The chance to become bad at each look, fifty a day: bad ones only show when their label comes."""
    days = np.arange(1, 10 * LOOKS_A_DAY + 1) / LOOKS_A_DAY

    def chances(delay: float) -> NDArray[np.float64]:
        bad = RATE * (1 - np.exp(-days / delay))
        before = np.concatenate([[0.0], bad[:-1]])
        return (bad - before) / (1 - before)

    return Returning(*(chances(delay) for delay in DELAYS))


def of_others(runs: int, batches: int) -> list[Finding]:
    """The rules of others on one and the same streams without a difference."""
    generator = np.random.default_rng(SEED + 5)
    found = []
    logs = Logs(HARM)
    for share in (0.05, 0.2):
        hits: dict[str, list[NDArray[np.bool_]]] = {}
        draw = drawing(generator, batches=batches, share=share, new_rate=RATE, old_rate=RATE)
        for part in in_parts(draw, runs=runs, batches=batches):
            hits.setdefault("Kring", []).append((logs.path(part) >= LINE).any(axis=1))
            for name, rule in RULES.items():
                hits.setdefault(name, []).append(rule(part) != NEVER)
        beside = f"{batches * 100:,} requests each, to compare"
        found += [
            share_of(np.concatenate(some), f"rolled back by {name}, no difference, share {share:.0%}", beside)
            for name, some in hits.items()
        ]
    return found


def findings(*, runs: int = 2000, batches: int = 10_000, to_compare: int = 2000) -> list[Finding]:
    """All of them; smaller numbers for a short form."""
    return [
        *no_difference(runs, batches),
        *shared_incident(runs, batches),
        *changing_shares(runs, batches),
        *several_guardrails(runs // 2, batches // 4),
        *sticky_subjects(runs // 2, batches // 4),
        *late_labels(runs, batches),
        *of_others(to_compare, min(1000, batches)),
    ]


if __name__ == "__main__":
    printed("false_rollbacks", findings())
