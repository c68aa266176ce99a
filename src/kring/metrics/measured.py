"""From a score and its draws to a measure with an interval, and the paired lift over the baseline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kring.metrics.intervals import Z, outer, percentile, wilson
from kring.metrics.ranking import Floats
from kring.record.evidence import Measure

LIFT: Final = "lift_over_baseline."


class Formula(NamedTuple):
    """What a metric is: +1 when larger is better, -1 when smaller is, 0 when neither; its formula in words.

    `money` metrics carry the currency. `skewed` ones are distances: noise adds to them, and their interval is
    the `outer` one.
    """

    better: int
    says: str
    money: bool = False
    skewed: bool = False


def directions(formulas: Mapping[str, Formula]) -> dict[str, int]:
    """Every metric of `formulas` and the lifts of those with a direction, with that direction."""
    lifts = {LIFT + name: 1 for name, formula in formulas.items() if formula.better}
    return {name: formula.better for name, formula in formulas.items()} | lifts


def measured(
    formulas: Mapping[str, Formula],
    mine: Mapping[str, Floats],
    baseline: Mapping[str, Floats],
    *,
    rows: int,
    groups: int,
    how: str,
    currency: str = "",
    noise: Mapping[str, Floats] | None = None,
) -> list[Measure]:
    """Measures of `mine`, then their lifts over `baseline`.

    Scores are (1 + draws,): the value, then the draws, paired between the two. The lift is the difference
    times the metric's direction, so that positive is better than the baseline for every metric. A score
    that is undefined, or too often undefined to be bounded, is left out. `noise` (draws,) is, for a distance,
    how far noise alone may have carried it: its interval reaches down by the upper end of that, at most to 0.
    """
    found: list[Measure] = []
    for lifted in (False, True):
        for name, formula in formulas.items():
            if name not in mine or (lifted and not formula.better):
                continue
            drawn = formula.better * (mine[name] - baseline[name]) if lifted else mine[name]
            ends = interval(drawn, groups=groups, skewed=formula.skewed)
            if ends is None:
                continue
            low, high = ends
            if noise and name in noise and not lifted:
                low = max(0.0, float(drawn[0]) - float(percentile(noise[name], groups=groups)[1]))
            found.append(
                Measure(
                    name=LIFT + name if lifted else name,
                    value=float(drawn[0]),
                    low=low,
                    high=high,
                    rows=rows,
                    groups=groups,
                    better=1 if lifted else formula.better,
                    method=f"{formula.says}; {'paired difference to the baseline, ' if lifted else ''}{how}",
                    unit=currency if formula.money else "",
                )
            )
    return found


def interval(drawn: Floats, *, groups: int, skewed: bool = False) -> tuple[float, float] | None:
    """The 95 % interval of a value and its draws, (1 + draws,); None where it has no finite ends."""
    low, high = outer(drawn[0], drawn[1:], groups=groups) if skewed else percentile(drawn[1:], groups=groups)
    ends = float(low), float(high)
    return ends if np.isfinite([drawn[0], *ends]).all() else None


def agreed(left: Floats, right: Floats, *, shares: Mapping[str, NDArray[np.bool_]]) -> list[Measure]:
    """How far outputs `left` and `right` (n,) agree: each share with Wilson's interval, `mean_difference` (mean of
    |left − right|, normal interval) and `largest_difference`, which is exact. Nothing without rows."""
    rows = len(left)
    if not rows:
        return []
    apart = np.abs(left - right)
    mean, largest = float(apart.mean()), float(apart.max())
    half = Z * float(apart.std()) / rows**0.5
    found = [
        (name, float(rule.mean()), *wilson(int(rule.sum()), rows), "share of rows; Wilson interval")
        for name, rule in shares.items()
    ]
    found += [
        ("mean_difference", mean, max(0.0, mean - half), mean + half, "mean of |left - right|; normal interval"),
        ("largest_difference", largest, largest, largest, "largest |left - right|; exact"),
    ]
    return [
        Measure(name=name, value=value, low=low, high=high, rows=rows, groups=rows, better=0, method=method)
        for name, value, low, high, method in found
    ]
