"""Where it is worse: slices that people declared, and slices found in the prepared columns.

Every number is cut at its fifths, every category at its values; pairs are made of the columns that tell most. A
slice is named when its mean loss is worse than that of all other rows by more than luck explains, with all the
slices that were looked at paid for, and when it is not another one's shadow.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kring.contracts.grammar import fields_of, parse
from kring.contracts.to_polars import compile
from kring.decide.prepare_rows import MISSING
from kring.metrics.ranking import Floats
from kring.metrics.slices import Excess, discovered, excess
from kring.record.batch import Batch, Column
from kring.record.contract import LogicalType
from kring.record.prepare import ColumnKind

LEVEL: Final = 0.05
LEAST_ROWS: Final = 50
LEAST_SHARE: Final = 0.01
"""A found slice has at least so many rows, and at least this share of them."""

BINS: Final = 5
FEW_VALUES: Final = 6
MOST_VALUES: Final = 30
STRONGEST: Final = 6
"""So many columns are paired."""

CELLS: Final = 1_000_000
MOST_SEARCHED: Final = 20_000
FEWEST_SEARCHED: Final = 2_000
"""So many rows are searched: of wide tables fewer, as many as make so many cells."""

TYPES: Final[Mapping[ColumnKind, LogicalType]] = {"number": "number", "category": "string"}


class Cut(NamedTuple):
    """One column, or two, cut into sets: which one each row is in (n,), −1 for none, and their names."""

    columns: tuple[str, ...]
    codes: NDArray[np.intp]
    names: tuple[str, ...]


class Found(NamedTuple):
    """One slice: its rows (n,) and how likely so bad a slice is by luck, corrected for looking."""

    name: str
    columns: tuple[str, ...]
    inside: NDArray[np.bool_]
    chance: float


def declared_slices(
    slices: Mapping[str, str],
    prepared: Batch,
    *,
    kinds: Mapping[str, ColumnKind],
    losses: Floats,
    groups: NDArray[np.int64],
) -> list[Found]:
    """Those of `slices` (true-or-false expressions over the columns of `prepared`) that have rows and leave some
    out, in their order. A row where the expression is missing is not in the slice."""
    found = []
    for name, text in slices.items():
        expression = parse(text, key=f"evidence.slices.{name}")
        columns = tuple(sorted(fields_of(expression)))
        frame = pl.DataFrame({column: _series(prepared.columns[column], kinds[column]) for column in columns})
        types = {column: TYPES[kinds[column]] for column in columns}
        compiled = compile(expression, types=types, tables={})
        inside = frame.select(compiled.fill_null(value=False).alias(name))[name].to_numpy() if columns else None
        if inside is not None and inside.any() and not inside.all():
            found.append(Found(name, columns, inside.astype(np.bool_), 1.0))
    chances = [float(_alone(each.inside, losses, groups).chance[0]) for each in found]
    return [
        each._replace(chance=float(chance)) for each, chance in zip(found, discovered(np.array(chances)), strict=True)
    ]


def found_slices(prepared: Batch, *, losses: Floats, groups: NDArray[np.int64], most: int, seed: int) -> list[Found]:
    """At most `most` slices of the columns of `prepared` that do worse, the worst first; none where nothing does.

    `losses` (n,) finite, `groups` (n,) what varies as one. The chance that a slice of harmless data is named is
    held at 5 % whatever the number of columns.
    """
    if not most or not prepared.n or not prepared.columns:
        return []
    seen = _searched(prepared.n, len(prepared.columns), seed)
    cuts = [cut_of(name, column, seen) for name, column in prepared.columns.items()]
    cuts = [cut for cut in cuts if len(cut.names) > 1]
    results = [excess(losses[seen], cut.codes[seen], count=len(cut.names), groups=groups[seen]) for cut in cuts]
    strongest = sorted(range(len(cuts)), key=lambda place: float(results[place].chance.min()))[:STRONGEST]
    pairs = [(cuts[a], cuts[b]) for a in sorted(strongest) for b in sorted(strongest) if a < b]
    for left, right in pairs:
        both = _paired(left, right)
        cuts.append(both)
        results.append(_beyond_parents(left, right, both, losses=losses, groups=groups, seen=seen))
    return _distinct(_named(cuts, results, len(seen)), losses=losses, groups=groups, most=most)


def cut_of(name: str, column: Column, seen: NDArray[np.intp]) -> Cut:
    """Numbers at their fifths over the rows `seen`, or at their values where those are few; categories at their
    most frequent values; missing on its own."""
    values = np.asarray(column)
    return _cut_numbers(name, values, seen) if values.dtype.kind in "fiub" else _cut_texts(name, values)


def _searched(rows: int, columns: int, seed: int) -> NDArray[np.intp]:
    most = min(MOST_SEARCHED, max(FEWEST_SEARCHED, CELLS // columns))
    if rows <= most:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


def _cut_numbers(name: str, values: NDArray[np.float32], seen: NDArray[np.intp]) -> Cut:
    numbers = values.astype(np.float64)
    known = ~np.isnan(numbers)
    sample = numbers[seen][known[seen]]
    distinct = np.unique(sample[: FEW_VALUES * 1000])
    if len(distinct) <= FEW_VALUES:
        distinct = np.unique(sample)
    if len(distinct) <= FEW_VALUES:
        codes = np.searchsorted(distinct, numbers)
        fits = known & (np.append(distinct, np.nan)[np.minimum(codes, len(distinct))] == numbers)
        names = [f"{name} = {value:g}" for value in distinct]
        codes = np.where(fits, codes, -1)
    else:
        edges = np.unique([float(f"{edge:.3g}") for edge in np.quantile(sample, np.arange(1, BINS) / BINS)])
        codes = np.where(known, np.searchsorted(edges, numbers, side="right"), -1)
        names = [f"{name} < {edges[0]:g}"]
        names += [f"{low:g} <= {name} < {high:g}" for low, high in pairwise(edges)]
        names.append(f"{name} >= {edges[-1]:g}")
    if not known.all():
        codes = np.where(known, codes, len(names))
        names.append(f"{name} is missing")
    return Cut((name,), codes, tuple(names))


def _cut_texts(name: str, values: NDArray[np.object_]) -> Cut:
    texts = pl.Series(name, values, dtype=pl.String)
    counted = texts.value_counts(sort=False).sort(["count", name], descending=[True, False]).head(MOST_VALUES)
    known = counted.filter(pl.col("count") > 1)[name].to_list()
    if not known:
        return Cut((name,), np.full(len(values), -1), ())
    codes = texts.replace_strict(known, range(len(known)), default=-1, return_dtype=pl.Int64)
    names = (f"{name} is missing" if value == MISSING else f"{name} = {value!r}" for value in known)
    return Cut((name,), codes.to_numpy().astype(np.intp), tuple(names))


def _paired(left: Cut, right: Cut) -> Cut:
    inside = (left.codes >= 0) & (right.codes >= 0)
    return Cut(
        (*left.columns, *right.columns),
        np.where(inside, left.codes * len(right.names) + right.codes, -1),
        tuple(f"{one} and {other}" for one in left.names for other in right.names),
    )


def _beyond_parents(
    left: Cut, right: Cut, both: Cut, *, losses: Floats, groups: NDArray[np.int64], seen: NDArray[np.intp]
) -> Excess:
    """The excess of every pair, with the largest of three chances: against all other rows, and against the
    other rows of either parent."""
    result = excess(losses[seen], both.codes[seen], count=len(both.names), groups=groups[seen])
    chance = result.chance.reshape(len(left.names), len(right.names)).copy()
    for one, other, table in ((left, right, chance), (right, left, chance.T)):
        for place in range(len(one.names)):
            rows = seen[one.codes[seen] == place]
            if len(rows) >= LEAST_ROWS:
                inner = excess(losses[rows], other.codes[rows], count=len(other.names), groups=groups[rows])
                np.maximum(table[place], inner.chance, out=table[place])
    return result._replace(chance=chance.ravel())


def _named(cuts: list[Cut], results: list[Excess], rows: int) -> list[Found]:
    """The slices that are large enough and worse than luck explains, the largest difference first."""
    least = max(LEAST_ROWS, LEAST_SHARE * rows)
    tried = [
        (cut, place, float(result.difference[place]), float(result.chance[place]))
        for cut, result in zip(cuts, results, strict=True)
        for place in range(len(cut.names))
        if least <= result.rows[place] <= rows - least
    ]
    chances = discovered(np.array([chance for *_, chance in tried]))
    order = sorted(range(len(tried)), key=lambda number: -tried[number][2])
    return [
        Found(tried[number][0].names[tried[number][1]], tried[number][0].columns, _mask(*tried[number][:2]), chance)
        for number in order
        if (chance := float(chances[number])) <= LEVEL
    ]


def _mask(cut: Cut, place: int) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = cut.codes == place
    return inside


def _distinct(slices: list[Found], *, losses: Floats, groups: NDArray[np.int64], most: int) -> list[Found]:
    """Leaves out each slice that is no worse once the rows of those before it are set aside."""
    kept: list[Found] = []
    aside = np.zeros(len(losses), dtype=np.bool_)
    for each in slices:
        if len(kept) == most:
            break
        left = ~aside
        if (each.inside & left).sum() < LEAST_ROWS:
            continue
        if _alone(each.inside[left], losses[left], groups[left]).chance[0] <= LEVEL:
            kept.append(each)
            aside |= each.inside
    return kept


def _alone(inside: NDArray[np.bool_], losses: Floats, groups: NDArray[np.int64]) -> Excess:
    return excess(losses, np.where(inside, 0, -1), count=1, groups=groups)


def _series(column: Column, kind: ColumnKind) -> pl.Series:
    """A prepared column as the grammar knows it: missing is null."""
    if kind == "number":
        return pl.Series(np.asarray(column, dtype=np.float64)).fill_nan(None)
    return pl.Series(list(column), dtype=pl.String).replace(MISSING, None)
