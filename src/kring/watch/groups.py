"""Fairness over time: rates of the groups of people that the evidence of a version tells apart.

The groups are frozen with the version, so that counts of any two windows add; a value that was not there then is one of
all others. Which rates there are, the task knows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import isnan
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kring.metrics.fairness import Rated, gaps
from kring.metrics.intervals import FEWEST_GROUPS, resamples
from kring.ports.task import Counts, Rates
from kring.record.batch import Column
from kring.record.evidence import Measure
from kring.record.scrutiny import Group

PREFIX: Final = "fairness."
MISSING: Final = "(missing)"
OTHERS: Final = "(all others)"
SCALE: Final = 1_000_000
LEAST_ROWS: Final = 50
"""A group of fewer rows, or a rate that rests on fewer than ten of them, is not judged."""

LEAST_WEIGHT: Final = 10
BELOW: Final = re.compile(r"below (\S+)|\S+ to below (\S+)")
"""How the evidence calls a band of numbers that ends somewhere."""


class Grouping:
    """The groups of one protected column, in the order of the evidence; one for all others at the end."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = (*(name for name in names if name != OTHERS), OTHERS)
        ends = [found[1] or found[2] for name in self.names if (found := BELOW.fullmatch(name))]
        self.edges = np.array([float(end) for end in ends]) if ends else None
        self._place = {name: place for place, name in enumerate(self.names)}

    def codes(self, values: Column) -> NDArray[np.int16]:
        """The group of each value, (n,)."""
        if self.edges is not None:
            return self._bands(values, self.edges)
        other = len(self.names) - 1
        place = {name: self._place.get(name, other) for name in {_text(value) for value in values}}
        return np.array([place[_text(value)] for value in values], dtype=np.int16)

    def _bands(self, values: Column, edges: NDArray[np.float64]) -> NDArray[np.int16]:
        numbers = np.array([value if isinstance(value, (int, float)) else np.nan for value in values], dtype=np.float64)
        known = np.isfinite(numbers)
        missing = self._place.get(MISSING, len(self.names) - 1)
        return np.where(known, np.searchsorted(edges, numbers, side="right"), missing).astype(np.int16)


def groupings_of(groups: Sequence[Group]) -> dict[str, Grouping]:
    """One for each protected column that the evidence (`Evidence.by_group`) knows."""
    columns: dict[str, list[str]] = {}
    for group in groups:
        columns.setdefault(group.column, []).append(group.name)
    return {column: Grouping(names) for column, names in columns.items()}


def count_groups(rated: Rates, codes: Mapping[str, NDArray[np.int16]], groupings: Mapping[str, Grouping]) -> Counts:
    """Integer counts by `COLUMN/RATE`: millionths of the values, then of the weights of each group, (2·groups,); and
    by `COLUMN` its rows, (groups,). `rated` are the task's rates of the rows, `codes` (n,) their groups."""
    counts: dict[str, tuple[int, ...]] = {}
    for column, of in codes.items():
        wide = len(groupings[column].names)
        counts[column] = tuple(np.bincount(of, minlength=wide).tolist())
        for name, pair in rated.items():
            sums = [np.bincount(of, weights=np.rint(part * SCALE), minlength=wide) for part in pair]
            counts[f"{column}/{name}"] = tuple(np.concatenate(sums).astype(np.int64).tolist())
    return counts


def fairness_of(
    windows: Sequence[Counts], groupings: Mapping[str, Grouping], *, draws: int, seed: int
) -> list[Measure]:
    """`fairness.NAME.COLUMN` as in the evidence, of groups that are large enough; intervals resample whole windows.
    Nothing from fewer than five windows, or of a column with fewer than two such groups."""
    if len(windows) < FEWEST_GROUPS:
        return []
    weights = np.stack(list(resamples(len(windows), draws=draws, seed=seed)))
    found: list[Measure] = []
    for column, grouping in groupings.items():
        rows = _table(windows, column, len(grouping.names)).sum(axis=0)
        rated = _rated(windows, column, len(grouping.names), rows=rows, weights=weights)
        judged = int(rows[rows >= LEAST_ROWS].sum())
        found += [
            Measure(
                name=f"{PREFIX}{gap.name}.{column}",
                value=gap.value,
                low=gap.low,
                high=gap.high,
                rows=judged,
                groups=len(windows),
                better=gap.better,
                method=f"from counts, 95 % interval by {draws} draws of {len(windows)} windows",
            )
            for gap in gaps(rated, groups=len(windows))
        ]
    return found


def furthest(windows: Sequence[Counts], grouping: Grouping, *, column: str, measure: str) -> str:
    """The two groups whose rates lie furthest apart, in words; empty when no rate belongs to the measure."""
    wide = len(grouping.names)
    rows = _table(windows, column, wide).sum(axis=0)
    apart: list[tuple[float, str]] = []
    for name in sorted({key.removeprefix(f"{column}/") for each in windows for key in each if key.startswith(column)}):
        table = _table(windows, f"{column}/{name}", 2 * wide).sum(axis=0)
        enough = (rows >= LEAST_ROWS) & (table[wide:] >= LEAST_WEIGHT * SCALE)
        if name == column or enough.sum() < 2:
            continue
        rate = np.where(enough, table[:wide] / np.maximum(table[wide:], 1), np.nan)
        high, low = int(np.nanargmax(rate)), int(np.nanargmin(rate))
        words = f"{name} is {rate[high]:.3g} for {grouping.names[high]} and {rate[low]:.3g} for {grouping.names[low]}"
        apart.append((float(rate[high] - rate[low]) + (1.0 if name in measure else 0.0), words))
    return max(apart)[1] if apart else ""


def _rated(
    windows: Sequence[Counts], column: str, wide: int, *, rows: NDArray[np.float64], weights: NDArray[np.float64]
) -> dict[str, Rated]:
    names = sorted({key for each in windows for key in each if key.startswith(f"{column}/")})
    found = {}
    for name in names:
        drawn = weights @ _table(windows, name, 2 * wide) / SCALE
        enough = (rows >= LEAST_ROWS) & (drawn[0, wide:] >= LEAST_WEIGHT)
        if enough.sum() >= 2:
            found[name.removeprefix(f"{column}/")] = Rated(drawn[:, :wide][:, enough], drawn[:, wide:][:, enough])
    return found


def _table(windows: Sequence[Counts], name: str, width: int) -> NDArray[np.float64]:
    return np.array([each.get(name, (0,) * width) for each in windows], dtype=np.float64).reshape(-1, width)


def _text(value: object) -> str:
    """As the evidence's groups are spelt."""
    if value is None or (isinstance(value, float) and isnan(value)):
        return MISSING
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
