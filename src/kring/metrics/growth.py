"""How fast evidence grows on average: what a rollout will take, before and while it runs.

The growth of a bet's log e for each unit of the new version (Kelly 1956; Grünwald, de Heide & Koolen 2024). Of x bad
units the number of new ones is nearly binomial, with the chance `share · ψ / (1 − share + share · ψ)` at the odds
ratio ψ, so that a bad unit teaches what one toss does. Where many units are bad few good ones are left to tell: hence
1 − rate.
"""

from __future__ import annotations

from math import exp, inf, log, sqrt
from statistics import NormalDist
from typing import Final

from kring.metrics.e_values import FLOOR_SHARES, HARM

RARE: Final = 1e-12
"""Growth below this is none."""

NORMAL: Final = NormalDist()
HALVINGS: Final = 40


def proof_growth(*, share: float, margin: float, rate: float) -> float:
    """Of the proof that the new version is not `margin` times as bad, when both are bad at `rate` and the new one has
    the `share` of units."""
    if not 0 < share < 1:
        return 0.0
    return rate * (1 - rate) * (log(1 - share + share * margin) - share * log(margin)) / share


def floor_growth(*, floor: float, rate: float) -> float:
    """Of the proof that fewer than `floor` of the new version's units are bad, when they are bad at `rate`."""
    return max(_bet(floor * part, floor=floor, rate=rate) for part in FLOOR_SHARES)


def _bet(bet: float, *, floor: float, rate: float) -> float:
    good = (1 - rate) * (log(1 - bet) - log(1 - floor))
    if not rate:
        return good
    return good + rate * log(bet / floor) if bet else -inf


def typical(line: float) -> float:
    """How much an average growth adds up to by the time at which log e has reached `line` in half of all cases.

    The log of a good bet is a random walk whose variance is twice its drift, so that the time is inverse Gaussian
    (Wald 1947): half of the cases are quicker than line / growth by far.
    """
    if line <= 0:
        return 0.0
    least, most = 0.0, line
    for _ in range(HALVINGS):
        middle = (least + most) / 2
        width = sqrt(2 * middle)
        beyond = exp(line) * NORMAL.cdf(-(middle + line) / width)
        least, most = (middle, most) if NORMAL.cdf((middle - line) / width) + beyond < 0.5 else (least, middle)
    return most


def detection_units(*, share: float, rate: float, times: float, line: float) -> float:
    """After how many units of the new version the mixture against "not worse" typically reaches log e = `line`, when
    the old one is bad at `rate` and the new one's odds are `times` those: by its quickest bet, or infinitely many."""
    worse = times * rate / (1 - rate + times * rate)
    bad = share * worse + (1 - share) * rate
    if not 0 < share < 1 or not 0 < bad < 1:
        return inf
    new = share * worse / bad
    quickest = inf
    for ratio, weight in zip(HARM.ratios, HARM.weights, strict=True):
        speed = bad * (1 - bad) * (new * log(ratio) - log(1 - share + share * ratio)) / share
        if speed > RARE:
            quickest = min(quickest, typical(line - log(weight)) / speed)
    return quickest
