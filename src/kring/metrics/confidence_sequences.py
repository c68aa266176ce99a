"""Confidence sequences for means of bounded outcomes: intervals that may be looked at at any time.

With a probability of at least 1 − α the true value lies in *all* the intervals that are ever shown. Against each
candidate value somebody bets whose capital can't grow on average if it is the true one; values against which the
capital has reached 1/α are out (Waudby-Smith & Ramdas 2024, with the mixture over a fixed grid of bets that they call
grid Kelly).

All that is kept of the outcomes is their *mass*: whole numbers on a fixed grid of values, added in any order. An
outcome between two of them is divided so that its mean is kept; since a log is concave, no bet gains by it.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from kring.errors import DataError
from kring.metrics.e_values import Floats, Ints

ONE: Final = 1 << 20
"""The mass of one outcome."""

POINTS: Final = np.union1d(np.linspace(0, 1, 257), np.geomspace(2.0**-14, 2.0**-4, 81)).astype(np.float64)
"""The values on which mass lies: 1/256 apart, and finer near 0, where money mostly is."""

STAKES: Final = 2.0 ** np.arange(-10, 10)
"""The bets on a single mean, equally weighted; none puts more than `MOST` of the capital on one outcome."""

MOST: Final = 0.9
HALVINGS: Final = 40
NUISANCE: Final = 0.1
"""The part of α that is spent on where the old arm's mean lies, when two arms are compared."""

NUISANCE_POINTS: Final = 33


class Interval(NamedTuple):
    """An estimate with the ends of its interval."""

    value: float
    low: float
    high: float


class Lift(NamedTuple):
    """The new arm against the old one: the difference of their means, and the quotient less 1 (None: the old arm's mean
    may be 0)."""

    difference: Interval
    relative: Interval | None


def no_mass() -> Ints:
    """The mass of no outcomes."""
    return np.zeros(len(POINTS), dtype=np.int64)


def mass_of(values: ArrayLike, *, low: float = 0.0, high: float = 1.0) -> Ints:
    """The mass of outcomes (n,), shape (points,); masses of more outcomes are added to it.

    Outcomes below `low` and above `high` count as the end, so that what is claimed concerns the mean of outcomes
    cut off there. `DataError` for outcomes that are no number.
    """
    outcomes = np.asarray(values, dtype=np.float64)
    if not np.isfinite(outcomes).all():
        raise DataError(
            "an outcome that is no number",
            got=f"{int((~np.isfinite(outcomes)).sum())} of {len(outcomes)} outcomes",
            allowed="finite numbers",
            next="leave out outcomes that are not known: they are counted as missing",
        )
    scaled = np.clip((outcomes - low) / (high - low), 0, 1)
    below = np.clip(np.searchsorted(POINTS, scaled, side="right") - 1, 0, len(POINTS) - 2)
    above = np.rint((scaled - POINTS[below]) / (POINTS[below + 1] - POINTS[below]) * ONE).astype(np.int64)
    mass = no_mass()
    np.add.at(mass, below, ONE - above)
    np.add.at(mass, below + 1, above)
    return mass


def mean_of(mass: Ints) -> float:
    """Their mean on the scale from 0 to 1; NaN of none."""
    total = int(mass.sum())
    return float(mass @ POINTS) / total if total else float("nan")


def mean_interval(mass: Ints, *, alpha: float, low: float = 0.0, high: float = 1.0) -> Interval:
    """The mean of outcomes between `low` and `high` with its 1 − `alpha` confidence sequence, α/2 for each end.

    Without outcomes the whole range, with NaN as the value.
    """
    least, most = _mean_ends(mass, line=log(2 / alpha))
    width = high - low
    return Interval(low + width * mean_of(mass), low + width * least, low + width * most)


def lift(
    new: Ints, old: Ints, *, share: float, alpha: float, planned: int = 0, low: float = 0.0, high: float = 1.0
) -> Lift:
    """The new arm's mean against the old one's, from their masses, with 1 − `alpha` confidence sequences.

    `share` is the planned share (0 to 1) of the new arm among the two. `planned` is how many outcomes of both arms were
    planned *beforehand* (0: not said): the interval is tightest there, and valid wherever one looks. A pair of means
    (m, m + d) is bet against in both arms at once, on one side for each end of the interval, and d is out when that has
    reached 1/α at every m that the old arm's own sequence leaves (of which 33 are tried; capital is smooth in m).
    """
    edge = NUISANCE * alpha
    means = np.linspace(*_mean_ends(old, line=log(2 / edge)), NUISANCE_POINTS)
    pair = _Pair(_kept(new), _kept(old), means=means, share=share, line=log(2 / (alpha - edge)), planned=planned)
    width = high - low
    gap = mean_of(new) - mean_of(old)
    ends = pair.ends(lambda effect: means + effect, start=gap, least=-1.0, most=1.0)
    difference = Interval(width * gap, width * ends[0], width * ends[1])
    if low + width * means[0] <= 0:
        return Lift(difference, None)
    offset = low / width
    value = (mean_of(new) + offset) / (mean_of(old) + offset) - 1
    most = float((1 + offset) / (means[0] + offset) - 1)
    ends = pair.ends(lambda effect: (means + offset) * (1 + effect) - offset, start=value, least=-1.0, most=most)
    return Lift(difference, Interval(value, *ends))


Kept = tuple[Floats, Floats]


def _kept(mass: Ints) -> Kept:
    """Values with some mass, and how many outcomes that is."""
    there = np.flatnonzero(mass)
    return POINTS[there], mass[there] / ONE


def _mean_ends(mass: Ints, *, line: float) -> tuple[float, float]:
    """The candidates between which no capital has reached exp(line); the capital against each falls, or rises, with
    the candidate, so that halving finds the end, on the safe side of it."""
    values, weights = _kept(mass)
    if not len(values):
        return 0.0, 1.0
    return _below(values, weights, line=line), 1 - _below(1 - values, weights, line=line)


def _below(values: Floats, weights: Floats, *, line: float) -> float:
    out, left = 0.0, 1.0
    if _capital(values, weights, candidate=0.0) < line:
        return 0.0
    for _ in range(HALVINGS):
        middle = (out + left) / 2
        if _capital(values, weights, candidate=middle) >= line:
            out = middle
        else:
            left = middle
    return out


def _capital(values: Floats, weights: Floats, *, candidate: float) -> float:
    """log of the capital that bets on a mean above the candidate have become."""
    stakes = np.minimum(STAKES, MOST / candidate) if candidate else STAKES
    logs = np.log1p(np.outer(stakes, values - candidate)) @ weights
    return float(np.logaddexp.reduce(logs)) - log(len(STAKES))


class _Pair:
    """Bets against pairs of means, for one set of candidates of the old arm's mean."""

    def __init__(self, new: Kept, old: Kept, *, means: Floats, share: float, line: float, planned: int) -> None:
        self.new, self.old, self.means, self.line = new, old, means, line
        self.grid, self.weights = _sizes(planned)
        spread = np.maximum(means * (1 - means), 1e-12) * share * (1 - share)
        self.sizes = self.grid[:, None] * np.sqrt(2 * line / spread)
        self.shares = 1 - share, share

    def ends(
        self, paired: Callable[[float], Floats], *, start: float, least: float, most: float
    ) -> tuple[float, float]:
        """Between which effects there is a pair (mean, `paired(effect)`) that no capital has ruled out."""
        if not (len(self.new[0]) and len(self.old[0])):
            return least, most
        return (
            self._end(paired, upwards=True, inside=start, beyond=least),
            self._end(paired, upwards=False, inside=start, beyond=most),
        )

    def _end(self, paired: Callable[[float], Floats], *, upwards: bool, inside: float, beyond: float) -> float:
        """The end towards `beyond`, on its safe side; what lies at the end of the range is never out."""
        for _ in range(HALVINGS):
            middle = (inside + beyond) / 2
            if self._ruled_out(paired(middle), upwards=upwards):
                beyond = middle
            else:
                inside = middle
        return beyond

    def _ruled_out(self, means: Floats, *, upwards: bool) -> bool:
        """Whether bets on a new mean above (`upwards`) or below the candidates `means` have won against every pair of
        which both are possible."""
        possible = (means >= 0) & (means <= 1)
        logs = _bets(self.new, means, self.sizes * self.shares[0], upwards=upwards)
        logs += _bets(self.old, self.means, self.sizes * self.shares[1], upwards=not upwards)
        capital = np.logaddexp.reduce(logs + np.log(self.weights)[:, None], axis=0)
        return bool((capital[possible] >= self.line).all())


def _sizes(planned: int) -> tuple[Floats, Floats]:
    """Bets as multiples of the best one for a yes or no of one outcome in all, and their weights.

    The best bet shrinks with the root of the number of outcomes, and grows as they vary less than a yes or no.
    """
    if planned:
        return 2.0 ** np.arange(-1.0, 6.0) / planned**0.5, np.array([0.1, 0.5, 0.18, 0.1, 0.06, 0.04, 0.02])
    grid = 2.0 ** np.arange(-12.0, 1.0)
    return grid, np.full(len(grid), 1 / len(grid))


def _bets(kept: Kept, candidates: Floats, sizes: Floats, *, upwards: bool) -> Floats:
    """log of what bets of `sizes` (k, c) against `candidates` (c,) have become: (k, c)."""
    values, weights = kept
    values, candidates = (values, candidates) if upwards else (1 - values, 1 - candidates)
    inside = np.clip(candidates, 1e-12, 1)
    stakes = np.minimum(sizes, MOST / inside)
    logs: Floats = np.log1p(stakes[:, :, None] * (values - inside[:, None])) @ weights
    return logs
