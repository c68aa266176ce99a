"""Rates by group of every protected column, and how far apart they lie."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kring.metrics.fairness import Gap, Rated, gaps, rates
from kring.metrics.intervals import percentile
from kring.metrics.ranking import Floats
from kring.metrics.sums import drawn_sums_apart
from kring.ports.task import Rates
from kring.record.contract import LogicalType
from kring.record.evidence import Measure
from kring.record.scrutiny import Group, GroupRate

PREFIX: Final = "fairness."
MISSING: Final = "(missing)"
OTHERS: Final = "(all others)"
LEAST_ROWS: Final = 50
"""A group of fewer rows is shown and not judged."""

LEAST_WEIGHT: Final = 10
"""A rate that rests on fewer rows of a group (its positives, say) is not judged for that group."""

MOST_GROUPS: Final = 12
FEW_VALUES: Final = 8
BANDS: Final = 5
STEPS: Final = (1.0, 2.0, 5.0, 10.0)
DAY_US: Final = 86_400_000_000
YEAR_DAYS: Final = 365.2425


class Grouped(NamedTuple):
    """The group of each row (n,), from 0, and what the groups are called."""

    codes: NDArray[np.intp]
    names: tuple[str, ...]


def fairness_of(
    protected: Mapping[str, Grouped], rated: Rates, *, groups: NDArray[np.int64], draws: int, seed: int
) -> tuple[list[Measure], list[Group]]:
    """`fairness.NAME.COLUMN` for every protected column with two groups that can be judged, and all groups.

    `rated` are the task's rates of the rows (n,), `groups` (n,) what intervals resample.
    """
    measures: list[Measure] = []
    shown: list[Group] = []
    for column, grouped in protected.items() if rated else ():
        drawn = _drawn(grouped, rated, groups=groups, draws=draws, seed=seed)
        rows = np.bincount(grouped.codes, minlength=len(grouped.names))
        count = len(np.unique(groups))
        shown += _groups(column, grouped, drawn, rows=rows, groups=count)
        measures += [
            _measure(gap, column, rows=int(rows[rows >= LEAST_ROWS].sum()), groups=count, draws=draws)
            for gap in gaps(_judged(drawn, rows), groups=count)
        ]
    return measures, shown


def grouped(values: pl.Series, *, type: LogicalType) -> Grouped:
    """The groups of a protected column: its values, or bands of a number or a date of birth.

    A number of more than eight values falls into up to five bands of like size with round edges; a date or
    time does by its year. Missing is a group of its own; beyond eleven values the rarest are one group.
    """
    if type in ("date", "timestamp"):
        days = values.to_physical().cast(pl.Float64) / (1 if type == "date" else DAY_US)
        return _bands((days / YEAR_DAYS + 1970).floor())
    if type in ("number", "integer") and values.drop_nulls().n_unique() > FEW_VALUES:
        return _bands(values.cast(pl.Float64))
    texts = values.cast(pl.String).fill_null(MISSING)
    counted = texts.value_counts(sort=False).sort(["count", texts.name], descending=[True, False])[texts.name].to_list()
    names = counted if len(counted) <= MOST_GROUPS else [*counted[: MOST_GROUPS - 1], OTHERS]
    return _named(texts, sorted(names, key=lambda name: (name in (MISSING, OTHERS), name)))


def band_edges(values: Floats) -> list[float]:
    """Round edges of up to five bands with about as many of `values` (n,) in each."""
    inner = np.quantile(values, np.arange(1, BANDS) / BANDS)
    width = float(inner[-1] - inner[0]) / (BANDS - 2) or float(np.ptp(values)) / BANDS
    if not width:
        return []
    power = 10.0 ** np.floor(np.log10(width))
    step = max(size * power for size in STEPS if size * power <= width * (1 + 1e-9))
    edges = sorted({round(float(np.rint(edge / step)) * step, 10) for edge in inner})
    return [edge for edge in edges if values.min() < edge <= values.max()]


def _bands(values: pl.Series) -> Grouped:
    numbers = values.fill_null(np.nan).to_numpy()
    known = np.isfinite(numbers)
    edges = band_edges(numbers[known]) if known.any() else []
    texts = [f"{edge:.10g}" for edge in edges]
    inner = [f"{low} to below {high}" for low, high in pairwise(texts)]
    names = [f"below {texts[0]}", *inner, f"{texts[-1]} or more"] if texts else ["all"]
    codes = np.where(known, np.searchsorted(edges, numbers, side="right"), len(names))
    return Grouped(codes, (*names, MISSING) if not known.all() else tuple(names))


def _named(texts: pl.Series, names: list[str]) -> Grouped:
    other = names.index(OTHERS) if OTHERS in names else 0
    codes = texts.replace_strict(names, range(len(names)), default=other, return_dtype=pl.Int64)
    return Grouped(codes.to_numpy().astype(np.intp), tuple(names))


def _drawn(grouped: Grouped, rated: Rates, *, groups: NDArray[np.int64], draws: int, seed: int) -> dict[str, Rated]:
    """Sums of values and weights of every rate by group, (1 + draws, K) each."""
    parts = [part for rate in rated.values() for part in rate]
    sums = drawn_sums_apart(parts, grouped.codes, count=len(grouped.names), groups=groups, draws=draws, seed=seed)
    return {name: Rated(*sums[2 * number : 2 * number + 2]) for number, name in enumerate(rated)}


def _judged(drawn: Mapping[str, Rated], rows: NDArray[np.intp]) -> dict[str, Rated]:
    """The rates of groups that are large enough, where two are."""
    found = {}
    for name, rate in drawn.items():
        enough = (rows >= LEAST_ROWS) & (rate.weights[0] >= LEAST_WEIGHT)
        if enough.sum() >= 2:
            found[name] = Rated(rate.values[:, enough], rate.weights[:, enough])
    return found


def _groups(
    column: str, grouped: Grouped, drawn: Mapping[str, Rated], *, rows: NDArray[np.intp], groups: int
) -> list[Group]:
    shown: dict[str, list[list[float]]] = {}
    for name, rate in drawn.items():
        values = rates(rate)
        low, high = percentile(values[1:], groups=groups)
        shown[name] = [values[0].tolist(), low.tolist(), high.tolist(), rate.weights[0].tolist()]
    total = int(rows.sum())
    return [
        Group(
            column=column,
            name=name,
            rows=int(rows[place]),
            share=float(rows[place]) / total,
            judged=bool(rows[place] >= LEAST_ROWS),
            rates=tuple(
                GroupRate(
                    name=rate, value=ends[0][place], low=ends[1][place], high=ends[2][place], weight=ends[3][place]
                )
                for rate, ends in shown.items()
                if np.isfinite([each[place] for each in ends]).all()
            ),
        )
        for place, name in enumerate(grouped.names)
        if rows[place]
    ]


def _measure(gap: Gap, column: str, *, rows: int, groups: int, draws: int) -> Measure:
    what = "smallest over largest" if gap.better > 0 else "largest minus smallest"
    return Measure(
        name=f"{PREFIX}{gap.name}.{column}",
        value=gap.value,
        low=gap.low,
        high=gap.high,
        rows=rows,
        groups=groups,
        better=gap.better,
        method=f"{what} over groups of {LEAST_ROWS} rows or more; 95 % interval by {draws} draws of {groups} groups",
    )
