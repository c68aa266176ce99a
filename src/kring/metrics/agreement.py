"""How far people who judge the same things agree, beyond what chance alone would bring.

Every measure is 1 when all agree and 0 when they agree as often as by chance. Intervals are those of the delete-one
jackknife over the things that are judged (Efron & Tibshirani 1993, chapter 11), with Student's t.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kring.metrics.intervals import student
from kring.metrics.ranking import Floats

FEWEST: Final = 5
"""Fewer things than this say too little about how things differ: there is no interval."""


class Agreement(NamedTuple):
    """A measure with its 95 % interval, and on how many things that several people judged it rests."""

    value: float
    low: float
    high: float
    things: int


def cohen(one: NDArray[np.intp], other: NDArray[np.intp]) -> Agreement | None:
    """Cohen's kappa (1960) of two people's labels (n,), from 0: (p_o − p_e) / (1 − p_e).

    None for fewer than `FEWEST` things, and where both say always the same label.
    """
    n = len(one)
    if n < FEWEST:
        return None
    labels = int(max(one.max(), other.max())) + 1
    table = np.bincount(one * labels + other, minlength=labels * labels).reshape(labels, labels).astype(np.float64)
    value = _kappa(table[None], np.array([n]))[0]
    without = np.repeat(table[None], n, axis=0)
    without[np.arange(n), one, other] -= 1
    return _jackknifed(float(value), _kappa(without, np.full(n, n - 1)))


def fleiss(counts: NDArray[np.int64]) -> Agreement | None:
    """Fleiss' kappa (1971) of `counts` (things, labels): how many people gave each thing each label. Not as many
    people need have judged each thing: what only one judged is left out, and chance follows from all labels together.

    None for fewer than `FEWEST` things, and where everybody says always the same label.
    """
    counts = counts[counts.sum(axis=1) >= 2].astype(np.float64)
    n = len(counts)
    if n < FEWEST:
        return None
    people = counts.sum(axis=1)
    alike = ((counts**2).sum(axis=1) - people) / (people * (people - 1))
    total = counts.sum(axis=0)
    return _jackknifed(
        float(_fleiss(alike.sum(keepdims=True), np.array([n]), total[None])[0]),
        _fleiss(alike.sum() - alike, np.full(n, n - 1), total[None] - counts),
    )


def krippendorff(numbers: Floats) -> Agreement | None:
    """Krippendorff's alpha (2004, 11.3) of `numbers` (things, people), NaN where somebody did not judge, by squared
    differences: 1 − D_o / D_e, observed over expected disagreement.

    None for fewer than `FEWEST` things that several people judged, and where all numbers are the same.
    """
    given = ~np.isnan(numbers)
    kept = numbers[given.sum(axis=1) >= 2]
    n = len(kept)
    if n < FEWEST:
        return None
    kept = kept - np.nanmean(kept)
    people = (~np.isnan(kept)).sum(axis=1).astype(np.float64)
    sums, squares = np.nansum(kept, axis=1), np.nansum(kept**2, axis=1)
    within = 2 * (people * squares - sums**2) / (people - 1)
    whole = (within, people, sums, squares)
    value = _alpha(*(part.sum(keepdims=True) for part in whole))
    return _jackknifed(float(value[0]), _alpha(*(part.sum() - part for part in whole)))


def _kappa(tables: Floats, n: NDArray[np.int64]) -> Floats:
    """Of each table (k, labels, labels) of `n` things; NaN where chance explains all."""
    alike = np.trace(tables, axis1=1, axis2=2) / n
    chance = (tables.sum(axis=1) * tables.sum(axis=2)).sum(axis=1) / n**2
    return _beyond(alike, chance)


def _fleiss(alike: Floats, n: NDArray[np.int64], total: Floats) -> Floats:
    shares = total / total.sum(axis=1, keepdims=True)
    return _beyond(alike / n, (shares**2).sum(axis=1))


def _beyond(alike: Floats, chance: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(chance < 1 - 1e-12, (alike - chance) / (1 - chance), np.nan)


def _alpha(within: Floats, people: Floats, sums: Floats, squares: Floats) -> Floats:
    expected = 2 * (people * squares - sums**2) / (people - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(expected > 0, 1 - within / expected, np.nan)


def _jackknifed(value: float, without: Floats) -> Agreement | None:
    """`value` with the interval that its values without each thing (n,) give."""
    if np.isnan(value) or np.isnan(without).any():
        return None
    n = len(without)
    half = student(n - 1) * float(np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum()))
    return Agreement(value, max(-1.0, value - half), min(1.0, value + half), n)
