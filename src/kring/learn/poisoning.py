"""Whether what is new among the rows to learn from looks as if somebody had put it there."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kring.metrics.intervals import Z, wilson
from kring.metrics.neighbours import NEAREST, Points, against, largest_cells
from kring.metrics.ranking import Floats

FEWEST_NEW: Final = 50
FEWEST_OLD: Final = 200
FEWEST_TRUSTED: Final = 50
MOST_ROWS: Final = 4_000

CONTRADICTED: Final = (0.7, 0.8)
"""A label is contradicted when so many of the ten rows most like it turned out otherwise. Where labels are noisy the
first of these finds more, where they are clear the second."""

FAR: Final = 8.0
"""A number is, when it lies so many usual distances from the middle of the ten."""

RUNS: Final = 10
FEWEST_RUNS: Final = 2

MORE: Final = 0.01
"""More contradicted rows than ever before are of interest from one in a hundred on."""

WORSE: Final = 0.01
"""A larger loss on trusted rows is of interest beyond chance, and from this share of it on."""

BURST: Final = 10
TIMES: Final = 3.0
"""A burst is at least ten rows, and three times as many as ever came alike before."""


class Flips(NamedTuple):
    """Rows that those most like them contradict: `new` of `rows` new ones; `most` is the largest share in any equally
    long run of old ones, or what that would be with labels as frequent as the new ones."""

    new: int
    rows: int
    most: float

    @property
    def is_more(self) -> bool:
        """Whether there are more among the new rows than ever before, beyond chance."""
        low, _ = wilson(self.new, self.rows)
        return low > self.most + MORE

    @property
    def words(self) -> str:
        return (
            f"{self.new / self.rows:.1%} of {self.rows:,} new rows contradict the rows most like them, "
            f"against {self.most:.1%} at the most before, had each label been as frequent as now"
        )


class Burst(NamedTuple):
    """Rows that are almost the same: the most at once among the new ones, and before in as many rows; `rows` are new
    ones in such crowds."""

    new: int
    old: int
    rows: int

    @property
    def is_one(self) -> bool:
        return self.new >= max(BURST, TIMES * self.old)

    @property
    def words(self) -> str:
        return (
            f"{self.rows:,} new rows are almost copies of each other, up to {self.new:,} of one; "
            f"before, no more than {self.old:,} came alike in as many rows"
        )


class Trusted(NamedTuple):
    """The mean loss on `rows` trusted rows of a model that learned without the new rows, and how much larger it is with
    them, with a 95 % interval."""

    without: float
    more: float
    low: float
    high: float
    rows: int

    @property
    def is_worse(self) -> bool:
        return self.low > 0 and self.more >= WORSE * self.without

    @property
    def words(self) -> str:
        return (
            f"what is learned from the new rows answers {self.rows:,} trusted rows worse: mean loss "
            f"{self.without + self.more:.4g} instead of {self.without:.4g} (by {self.low:.2g} to {self.high:.2g} more)"
        )


def flips(old: Points, new: Points, *, labelled: bool, seed: int) -> list[Flips]:
    """Rows whose label (or number) the rows most like them contradict, among the new ones and among runs of old ones,
    which are in the order of time. Nothing where there are too few of either to tell.

    Rows are compared with rows of their own run alone: what has really changed agrees with what came at the same time,
    and is a matter for whoever watches drift; what a few were made to say does not. Where the rarer label has become
    more frequent more rows contradict each other by that alone, and so many more are allowed.
    """
    if old.n < FEWEST_OLD or new.n < FEWEST_NEW:
        return []
    length = min(new.n, old.n // FEWEST_RUNS)
    runs = [old.some(np.arange(end - length, end)) for end in range(old.n, length - 1, -length)][:RUNS]
    here, *before = (sampled(run, MOST_ROWS, seed=seed) for run in (new, *runs))
    said, ever = against_own(here, labelled=labelled), [against_own(run, labelled=labelled) for run in before]
    found = []
    for far in CONTRADICTED if labelled else (FAR,):
        more = [more_by_chance(here.truth, run.truth, far=far) if labelled else 1.0 for run in before]
        most = max(float((one >= far).mean()) * times for one, times in zip(ever, more, strict=True))
        found.append(Flips(int((said >= far).sum()), len(said), most))
    return found


def more_by_chance(new: Floats, old: Floats, *, far: float) -> float:
    """How many times as many of the rows with the labels `new` (n,) as of those with `old` (m,) ten others would
    contradict if these were like them in nothing; 1 at the least."""
    before = contradicted(old, far=far)
    return max(1.0, contradicted(new, far=far) / before) if before else 1.0


def contradicted(truth: Floats, *, far: float) -> float:
    """The share of rows that ten others, drawn at random, contradict: binomial, by the share of each label."""
    shares = np.unique(truth, return_counts=True)[1] / max(len(truth), 1)
    enough = range(math.ceil(far * NEAREST), NEAREST + 1)
    return float(sum(math.comb(NEAREST, n) * shares @ ((1 - shares) ** n * shares ** (NEAREST - n)) for n in enough))


def against_own(rows: Points, *, labelled: bool) -> Floats:
    """What speaks against each row among the others, (n,): of numbers in usual distances."""
    found = against(rows, rows, labelled=labelled, alike=True)
    return found if labelled else found / max(float(np.median(found)), 1e-12)


def burst(old: Points, new: Points) -> Burst | None:
    """The largest crowd of almost equal rows among the new ones, beside the largest in any equally long run of old
    ones, which are in the order of time. None where there are too few of either to tell."""
    if old.n < FEWEST_OLD or new.n < FEWEST_NEW:
        return None
    runs = max(1, old.n // new.n)
    ever = max(int(largest_cells(old.some(part)).max()) for part in np.array_split(np.arange(old.n), runs))
    ever = math.ceil(ever * max(1.0, new.n / old.n))
    here = largest_cells(new)
    return Burst(int(here.max()), ever, int((here >= max(BURST, TIMES * ever)).sum()))


def trusted(without: Floats, with_new: Floats) -> Trusted | None:
    """Losses (n,) on the same trusted rows of a model that learned without the new rows, and of one that learned with
    them. None for too few rows."""
    n = len(without)
    if n < FEWEST_TRUSTED:
        return None
    more = with_new - without
    mean, half = float(more.mean()), Z * float(more.std(ddof=1)) / n**0.5
    return Trusted(float(without.mean()), mean, mean - half, mean + half, n)


def sampled(points: Points, most: int, *, seed: int) -> Points:
    """At most so many of the rows, in their order; the same ones for the same seed."""
    if points.n <= most:
        return points
    rows: NDArray[np.intp] = np.sort(np.random.default_rng(seed).choice(points.n, size=most, replace=False))
    return points.some(rows)
