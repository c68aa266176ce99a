"""From a score and its draws to a measure with an interval, and the paired lift over the baseline.

What every task's measures have in common stands here; a task adds its formulas and its scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kring.metrics.intervals import FEWEST_GROUPS, Z, enough_groups, outer, percentile, resamples, wilson
from kring.metrics.ranking import Floats
from kring.record.evidence import Measure

LIFT: Final = "lift_over_baseline."


class Formula(NamedTuple):
    """What a metric is: +1 when larger is better, -1 when smaller is, 0 when neither; its formula in words.

    `money` metrics carry the currency. `skewed` ones are distances: noise adds to them, and their interval is
    the `outer` one. `alone` ones are not compared with the baseline.
    """

    better: int
    says: str
    money: bool = False
    skewed: bool = False
    alone: bool = False


class Basis(NamedTuple):
    """What measures rest on: so many rows in so many groups, and how their intervals were made."""

    rows: int
    groups: int
    how: str


class Windows(NamedTuple):
    """Windows with outcomes, `mine` paired with the `baseline`'s; `weights` (1 + draws, windows) resample them."""

    mine: list[Mapping[str, tuple[int, ...]]]
    baseline: list[Mapping[str, tuple[int, ...]]]
    weights: Floats
    basis: Basis


def on_rows(truth: Floats, groups: NDArray[np.int64], *, draws: int) -> Basis:
    """The basis of rows whose `truth` (n,) is known, in whole `groups` (n,). `DataError` for too few groups."""
    if np.isnan(truth).any():
        raise ValueError("rows without outcome must have been left out")
    count = enough_groups(groups)
    return Basis(len(truth), count, f"95 % interval by {draws} draws of {count} groups")


def on_windows(
    windows: Sequence[Mapping[str, tuple[int, ...]]],
    baseline: Sequence[Mapping[str, tuple[int, ...]]],
    *,
    draws: int,
    seed: int,
) -> Windows | None:
    """The windows whose count `n` is above 0, and their draws; None for fewer than five of them."""
    pairs = [pair for pair in zip(windows, baseline, strict=True) if pair[0].get("n", (0,))[0]]
    if len(pairs) < FEWEST_GROUPS:
        return None
    weights = np.stack(list(resamples(len(pairs), draws=draws, seed=seed)))
    how = f"from counts, 95 % interval by {draws} draws of {len(pairs)} windows"
    rows = sum(mine["n"][0] for mine, _ in pairs)
    return Windows([mine for mine, _ in pairs], [other for _, other in pairs], weights, Basis(rows, len(pairs), how))


def directions(formulas: Mapping[str, Formula]) -> dict[str, int]:
    """Every metric of `formulas` and the lifts of those with a direction, with that direction."""
    lifts = {LIFT + name: 1 for name, formula in formulas.items() if formula.better and not formula.alone}
    return {name: formula.better for name, formula in formulas.items()} | lifts


def measured(
    formulas: Mapping[str, Formula],
    mine: Mapping[str, Floats],
    baseline: Mapping[str, Floats],
    *,
    basis: Basis,
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
            if name not in mine or (lifted and (formula.alone or not formula.better)):
                continue
            drawn = formula.better * (mine[name] - baseline[name]) if lifted else mine[name]
            ends = interval(drawn, groups=basis.groups, skewed=formula.skewed)
            if ends is None:
                continue
            low, high = ends
            if noise and name in noise and not lifted:
                low = max(0.0, float(drawn[0]) - float(percentile(noise[name], groups=basis.groups)[1]))
            found.append(
                Measure(
                    name=LIFT + name if lifted else name,
                    value=float(drawn[0]),
                    low=low,
                    high=high,
                    rows=basis.rows,
                    groups=basis.groups,
                    better=1 if lifted else formula.better,
                    method=f"{formula.says}; {'paired difference to the baseline, ' if lifted else ''}{basis.how}",
                    unit=currency if formula.money else "",
                )
            )
    return found


def foretold(
    formulas: Mapping[str, Formula], scores: Mapping[str, Floats], *, rows: int, draws: int, currency: str = ""
) -> list[Measure]:
    """Measures that are expected of `rows` rows without labels, from `scores` (1 + draws,) as in `measured`."""
    found: list[Measure] = []
    for name, formula in formulas.items():
        ends = interval(scores[name], groups=rows) if name in scores and rows >= FEWEST_GROUPS else None
        if ends is not None:
            found.append(
                Measure(
                    name=name,
                    value=float(scores[name][0]),
                    low=ends[0],
                    high=ends[1],
                    rows=rows,
                    groups=rows,
                    better=formula.better,
                    method=f"{formula.says}; expected without labels, 95 % interval by {draws} draws",
                    unit=currency if formula.money else "",
                )
            )
    return found


def interval(drawn: Floats, *, groups: int, skewed: bool = False) -> tuple[float, float] | None:
    """The 95 % interval of a value and its draws, (1 + draws,); None where it has no finite ends."""
    low, high = outer(drawn[0], drawn[1:], groups=groups) if skewed else percentile(drawn[1:], groups=groups)
    ends = float(low), float(high)
    return ends if np.isfinite([drawn[0], *ends]).all() else None


def agreed(apart: Floats, *, shares: Mapping[str, NDArray[np.bool_]]) -> list[Measure]:
    """How far two outputs agree that lie `apart` (n,): each share with Wilson's interval, `mean_difference` (mean of
    the distance, normal interval) and `largest_difference`, which is exact. Nothing without rows."""
    rows = len(apart)
    if not rows:
        return []
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
