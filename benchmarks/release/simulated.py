"""Many simulated rollouts at once, judged by the formulas that ship.

A batch is 100 units first seen. `Stream` holds the counts of many runs, batch by batch; e-values come from
`kring.metrics.e_values`, settled and added as `kring.release.judging` does: `tests/release/test_simulated.py` holds a
run that is judged here against the same run folded through `advanced` and `judged`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import log
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kring.metrics.e_values import HARM, SAFE_WEIGHTS, Bets, cohort_logs, mixed, safe, settled

BATCH = 100
NEVER = -1


class Stream(NamedTuple):
    """Counts of units (runs, batches) in both arms, and how many of them are bad."""

    new: NDArray[np.int64]
    old: NDArray[np.int64]
    new_bad: NDArray[np.int64]
    old_bad: NDArray[np.int64]


def streamed(
    generator: np.random.Generator, *, runs: int, share: ArrayLike, new_rate: ArrayLike, old_rate: ArrayLike
) -> Stream:
    """Batches of independent units. `share` and the rates of bad units are numbers or (batches,)."""
    shares, new_rates, old_rates = np.broadcast_arrays(share, new_rate, old_rate)
    size = (runs, shares.size)
    new = generator.binomial(BATCH, shares, size=size)
    old = BATCH - new
    return Stream(new, old, generator.binomial(new, new_rates), generator.binomial(old, old_rates))


def drawing(
    generator: np.random.Generator, *, batches: int, share: ArrayLike, new_rate: ArrayLike, old_rate: ArrayLike
) -> Callable[[int], Stream]:
    """`streamed` of as many runs as are asked for."""
    shares = np.broadcast_to(share, batches)

    def draw(runs: int) -> Stream:
        return streamed(generator, runs=runs, share=shares, new_rate=new_rate, old_rate=old_rate)

    return draw


def in_parts(draw: Callable[[int], Stream], *, runs: int, batches: int, cells: int = 2_000_000) -> Iterator[Stream]:
    """`runs` runs, as many at once as fit into `cells` counts."""
    together = max(1, min(runs, cells // batches))
    for start in range(0, runs, together):
        yield draw(min(together, runs - start))


class Logs:
    """log e of cohorts for each bet, settled; each kind of counts is computed once."""

    def __init__(self, bets: Bets) -> None:
        self.bets = bets
        self._known = np.full((BATCH + 1) ** 3, NEVER)
        self._rows = np.zeros((0, len(bets.ratios)))

    def of(self, stream: Stream) -> NDArray[np.float64]:
        """(runs, batches, bets)."""
        if (stream.new + stream.old == BATCH).all():
            return self._of_full(stream)
        kinds, which = np.unique(np.stack([counts.ravel() for counts in stream], axis=1), axis=0, return_inverse=True)
        rows = settled(cohort_logs(kinds, self.bets))
        return rows[which.reshape(stream.new.shape)]

    def _of_full(self, stream: Stream) -> NDArray[np.float64]:
        base = BATCH + 1
        codes = (stream.new * base + stream.new_bad) * base + stream.old_bad
        unknown = np.unique(codes[self._known[codes] == NEVER])
        if len(unknown):
            new, new_bad, old_bad = unknown // base**2, unknown // base % base, unknown % base
            rows = settled(cohort_logs(np.stack([new, BATCH - new, new_bad, old_bad], axis=1), self.bets))
            self._known[unknown] = len(self._rows) + np.arange(len(unknown))
            self._rows = np.concatenate([self._rows, rows])
        return self._rows[self._known[codes]]

    def path(self, stream: Stream) -> NDArray[np.float64]:
        """log of the mixture after each batch, (runs, batches)."""
        return path(self.of(stream), self.bets)


def path(logs: NDArray[np.float64], bets: Bets) -> NDArray[np.float64]:
    """log of the mixture after each batch, (runs, batches), of log e for each bet, (runs, batches, bets)."""
    return mixed(np.cumsum(logs, axis=1), bets.weights)


def first(reached: NDArray[np.bool_]) -> NDArray[np.intp]:
    """The first batch (runs,) at which something is true, `NEVER` when it never is."""
    return np.where(reached.any(axis=1), reached.argmax(axis=1), NEVER)


def units_by(stream: Stream, at: NDArray[np.intp]) -> NDArray[np.float64]:
    """How many units of the new version there were by the batch `at`; infinitely many when it never came."""
    seen = np.cumsum(stream.new, axis=1)
    return np.where(at == NEVER, np.inf, seen[np.arange(len(at)), np.maximum(at, 0)])


class Returning(NamedTuple):
    """How units that come back become bad: the chance at each look after they were first seen, while they are not."""

    new: NDArray[np.float64]
    old: NDArray[np.float64]


def hazards(*, visit: float, looks: int, mean: float, spread: float) -> NDArray[np.float64]:
    """The chance (looks,) of a unit that is not yet bad to become bad at each look, when it comes back with the chance
    `visit` and is bad then with a rate of its own: Beta-distributed with `mean`, more unlike each other the smaller
    `spread` is."""
    a, b = mean * spread, (1 - mean) * spread
    rates = np.random.default_rng(0).beta(a, b, size=200_000)
    alive = np.ones_like(rates)
    found = []
    for look in range(looks):
        chance = rates * (1.0 if look == 0 else visit)
        found.append(float((alive * chance).sum() / alive.sum()))
        alive *= 1 - chance
    return np.array(found)


def returning_path(
    generator: np.random.Generator, chances: Returning, bets: Bets, *, runs: int, shares: NDArray[np.float64]
) -> NDArray[np.float64]:
    """log of the mixture after each batch, (runs, batches), for units that come back and are counted in the cohort of
    the batch in which they were first seen. `shares` (batches,) rise and fall; a unit that a new share moves to the
    other arm leaves its cohort uncounted."""
    batches, looks = len(shares), len(chances.new)
    new = generator.binomial(BATCH, shares, size=(runs, batches))
    old = BATCH - new
    total = np.zeros((runs, batches, len(bets.ratios)))
    for look in range(looks):
        within = batches - look
        if look:
            before, now = shares[look - 1 : look - 1 + within], shares[look : look + within]
            new[:, :within] = generator.binomial(new[:, :within], np.minimum(1, now / before))
            old[:, :within] = generator.binomial(old[:, :within], np.minimum(1, (1 - now) / (1 - before)))
        new_bad = generator.binomial(new[:, :within], chances.new[look])
        old_bad = generator.binomial(old[:, :within], chances.old[look])
        run, batch = np.nonzero(new_bad + old_bad)
        cells = np.stack([table[run, batch] for table in (new, old, new_bad, old_bad)], axis=1)
        kinds, which = np.unique(cells, axis=0, return_inverse=True)
        np.add.at(total, (run, batch + look), settled(cohort_logs(kinds, bets))[which.reshape(-1)])
        new[:, :within] -= new_bad
        old[:, :within] -= old_bad
    return path(total, bets)


class Walk(NamedTuple):
    """How rollouts ended, (runs,): the step they were at (100: promoted, 0: rolled back), requests in all, and at
    which share they were in each batch, (runs, batches)."""

    ended: NDArray[np.int64]
    requests: NDArray[np.int64]


class Rules(NamedTuple):
    """What a walk is judged by, as in `Terms`."""

    steps: tuple[int, ...]
    margins: tuple[float, ...]
    alpha: float
    beta: float
    min_units: int
    smoke_units: int


def walked(
    generator: np.random.Generator,
    rules: Rules,
    *,
    runs: int,
    rates: tuple[float, float],
    most: int,
    told: Callable[[Stream, NDArray[np.int64]], None] | None = None,
) -> Walk:
    """Rollouts step by step with one relative guardrail: `rates` of bad units, new and old; at most `most` batches.
    `told` gets the counts of each batch, and at which step each run was."""

    tables = {margin: Logs(safe(margin)) for margin in sorted(set(rules.margins))}
    harm_logs = Logs(HARM)
    harm = np.zeros((runs, len(HARM.ratios)))
    proof = {margin: np.zeros((runs, len(logs.bets.ratios))) for margin, logs in tables.items()}
    place, units, requests = np.zeros(runs, int), np.zeros(runs, int), np.zeros(runs, int)
    steps = np.array([*rules.steps, 100, 0])
    live = np.ones(runs, bool)
    for _ in range(most):
        share = steps[place] / 100
        stream = streamed_now(generator, share, rates=rates)
        if told:
            told(stream, np.where(live, steps[place], -1))
        harm += harm_logs.of(stream)[:, 0]
        for margin, logs in tables.items():
            proof[margin] += logs.of(stream)[:, 0]
        requests += BATCH * live
        units += stream.new[:, 0]
        worse = live & (mixed(harm, HARM.weights) >= log(1 / rules.alpha))
        place[worse] = len(steps) - 1
        live &= ~worse
        onward = live & _may_go_on(place, units, rules, proof=proof)
        place[onward] += 1
        units[onward] = 0
        live &= place < len(rules.steps)
        if not live.any():
            break
    return Walk(steps[place], requests)


def streamed_now(generator: np.random.Generator, share: NDArray[np.float64], *, rates: tuple[float, float]) -> Stream:
    """One batch of each run, at the run's own share (runs,)."""
    new = generator.binomial(BATCH, share)[:, None]
    old = BATCH - new
    return Stream(new, old, generator.binomial(new, rates[0]), generator.binomial(old, rates[1]))


def _may_go_on(
    place: NDArray[np.int64], units: NDArray[np.int64], rules: Rules, *, proof: dict[float, NDArray[np.float64]]
) -> NDArray[np.bool_]:

    onward = np.zeros(len(place), bool)
    for at, (step, margin) in enumerate(zip(rules.steps, rules.margins, strict=True)):
        here = place == at
        if at == 0 and step <= 1:
            onward |= here & (units >= rules.smoke_units)
        else:
            proven = mixed(proof[margin], SAFE_WEIGHTS) >= log(1 / rules.beta)
            onward |= here & proven & (units >= rules.min_units)
    return onward
