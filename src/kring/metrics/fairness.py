"""How far rates differ between groups of people, by the names that fairlearn gave these measures.

`demographic_parity_*` compares selection rates, `equal_opportunity_*` true positive rates, `equalized_odds_*`
the worse of true and false positive rates (Hardt, Price & Srebro 2016); any other rate is compared under its own
name. A difference is the largest rate minus the smallest, a ratio the smallest over the largest.

Noise alone makes the largest and the smallest of several rates differ. So the friendly end of an interval allows
for how far the draws of the rates lie from the rates themselves: fair data are not accused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from kring.metrics.intervals import percentile
from kring.metrics.measured import interval
from kring.metrics.ranking import Floats, ratio

PARITIES: Final[Mapping[str, tuple[str, ...]]] = {
    "demographic_parity": ("selection_rate",),
    "equalized_odds": ("true_positive_rate", "false_positive_rate"),
    "equal_opportunity": ("true_positive_rate",),
}
KINDS: Final[Mapping[str, int]] = {"difference": -1, "ratio": 1}


class Rated(NamedTuple):
    """One rate of K groups, at least two: its summed values and weights, each (1 + draws, K), the data first."""

    values: Floats
    weights: Floats


class Gap(NamedTuple):
    """One measure over groups. `better` is +1 for ratios and −1 for differences."""

    name: str
    value: float
    low: float
    high: float
    better: int


def gaps(rated: Mapping[str, Rated], *, groups: int) -> list[Gap]:
    """Differences and ratios of every rate in `rated`, by parity; `groups` is what the draws resample.

    A rate by label (`selection_rate.LABEL`) counts with its others: the worst is taken. A measure that is not
    defined, such as a ratio of rates that are all zero or of negative ones, is left out.
    """
    found = []
    for name, members in _parities(rated).items():
        difference = _difference([rated[member] for member in members], groups=groups)
        part = _ratio([rated[member] for member in members], groups=groups)
        found += [
            Gap(f"{name}_{kind}", *ends, better)
            for (kind, better), ends in zip(KINDS.items(), (difference, part), strict=True)
            if ends is not None
        ]
    return found


def rates(rated: Rated) -> Floats:
    """The rate of each group, (1 + draws, K); NaN where nothing weighs."""
    return ratio(rated.values, rated.weights)


def _parities(rated: Mapping[str, Rated]) -> dict[str, list[str]]:
    """The members of each measure: fairlearn's, then the rates that none of them uses."""
    bases: dict[str, list[str]] = {}
    for name in rated:
        bases.setdefault(name.partition(".")[0], []).append(name)
    found = {
        parity: [name for base in wanted for name in bases[base]]
        for parity, wanted in PARITIES.items()
        if all(base in bases for base in wanted)
    }
    used = {base for wanted in PARITIES.values() for base in wanted}
    return found | {base: names for base, names in bases.items() if base not in used}


def _difference(members: list[Rated], *, groups: int) -> tuple[float, float, float] | None:
    every = [rates(member) for member in members]
    drawn = np.max([each.max(axis=1) - each.min(axis=1) for each in every], axis=0)
    ends = interval(drawn, groups=groups, skewed=True)
    if ends is None:
        return None
    noise = np.max([np.ptp(each[1:] - each[0], axis=1) for each in every], axis=0)
    low = max(0.0, float(drawn[0]) - float(percentile(noise, groups=groups)[1]))
    return float(drawn[0]), low, ends[1]


def _ratio(members: list[Rated], *, groups: int) -> tuple[float, float, float] | None:
    """As `_difference` on logarithms; a rate of zero counts as half a row there, so that it has one."""
    every = [rates(member) for member in members]
    if any((each[0] < 0).any() for each in every):
        return None
    drawn = np.min([ratio(each.min(axis=1), each.max(axis=1)) for each in every], axis=0)
    ends = interval(drawn, groups=groups, skewed=True)
    if ends is None:
        return None
    logs = [np.log(np.maximum(each, _half(member))) for each, member in zip(every, members, strict=True)]
    noise = np.max([np.ptp(each[1:] - each[0], axis=1) for each in logs], axis=0)
    apart = max(float(np.ptp(each[0])) for each in logs)
    high = min(1.0, float(np.exp(percentile(noise, groups=groups)[1] - apart)))
    return float(drawn[0]), max(0.0, ends[0]), max(high, float(drawn[0]))


def _half(rated: Rated) -> Floats:
    """Half a row in each group, as a rate; never zero."""
    return np.broadcast_to(0.5 / np.maximum(rated.weights[0], 1.0), rated.weights.shape)
