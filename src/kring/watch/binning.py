"""References, frozen when a version is made; and one pass that counts columns in their cells.

Nothing here grows with the rows: a column of a million new categories is a column of `other`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from kring.metrics.drift import DECILES, Floats, Ints, cells, cuts_of, design_effect, shares
from kring.record.batch import Column
from kring.record.contract import LogicalType
from kring.record.drift import Cells, FeatureCounts, FeatureKind, Reference

MOST_WORDS: Final = 10
LEAST_ROWS: Final = 5
"""A text that fewer rows of the reference hold is not written down."""

COVERED: Final = 0.2
"""Texts whose most frequent words cover less of the rows than this are counted by their length."""

KINDS: Final[Mapping[LogicalType, FeatureKind]] = {
    "number": "number",
    "integer": "number",
    "boolean": "category",
    "string": "category",
}
"""How a contract's types are counted; moments always move and are not."""

TRUTHS: Final = ("true", "false")

CountColumns = Callable[[Mapping[str, Column]], dict[str, Ints]]
"""(columns by name) → cells by feature, (cells,); a feature whose column is not there is not counted."""


class Share(NamedTuple):
    """A share that is watched: the rows in the cells `hits` among those in the cells `over`, both (cells,) of 0 and 1.
    `what` says of what kind, `place` which cut or word."""

    what: str
    place: int
    hits: Floats
    over: Floats


def bins_of(feature: str, values: Column, *, kind: FeatureKind) -> Reference:
    """The frozen bins of `values` (n,), which may be a sample: no cells yet."""
    if kind == "number":
        return Reference(feature=feature, kind=kind, cuts=tuple(cuts_of(numbers(values)).tolist()))
    if kind == "length":
        return Reference(feature=feature, kind=kind, cuts=tuple(cuts_of(lengths(values)).tolist()))
    counts = Counter(spelt(value) for value in _listed(values))
    counts.pop(None, None)
    known = sum(counts.values())
    order = sorted(((count, str(word)) for word, count in counts.items()), key=lambda each: (-each[0], each[1]))
    kept = [(count, word) for count, word in order[:MOST_WORDS] if count >= LEAST_ROWS]
    if known and sum(count for count, _ in kept) < COVERED * known:
        return bins_of(feature, values, kind="length")
    return Reference(feature=feature, kind=kind, words=tuple(word for _, word in kept))


def reference_of(
    feature: str,
    values: Column,
    *,
    kind: FeatureKind,
    classes: NDArray[np.str_] | None = None,
    groups: Sequence[Ints] = (),
) -> Reference:
    """The reference of a column (n,): bins, the rows in each cell by class of window (n,), and design effects.

    Each of `groups`, (n,), says which rows belong together, by subject or by day; the largest effect counts.
    """
    bins = bins_of(feature, values, kind=kind)
    place = placed(bins, values)
    names, of_class = (
        (np.array([""]), np.zeros(len(place), dtype=np.int64))
        if classes is None
        else np.unique(classes, return_inverse=True)
    )
    wide = width(bins)
    table = np.bincount(of_class * wide + place, minlength=len(names) * wide).reshape(len(names), wide)
    counted = {str(name): tuple(row.tolist()) for name, row in zip(names, table, strict=True)}
    bins = msgspec.structs.replace(bins, cells=counted)
    tests = shares_of(bins)
    effects = np.ones(len(tests))
    for group in groups:
        effects = np.maximum(effects, _effects(tests, table, place=place, of_class=of_class, group=group))
    return msgspec.structs.replace(bins, effects=tuple(effects.tolist()))


def shares_of(reference: Reference) -> list[Share]:
    """What is watched of a column: the shares below the cuts nearest to its deciles 10, 50 and 90 and outside all cuts,
    or that of each word and of any other; then the share that is missing."""
    wide = width(reference)
    known, missing = np.ones(wide), np.zeros(wide)
    known[-1], missing[-1] = 0.0, 1.0
    found: list[Share] = []
    if reference.kind == "category":
        for place in range(wide - 1):
            what = "word" if place < len(reference.words) else "other"
            found.append(Share(what, place, _mask(wide, [place]), known))
    elif reference.cuts:
        found = [Share("below", place, _mask(wide, range(place + 1)), known) for place in _nearest_cuts(reference)]
        found.append(Share("outside", 0, _mask(wide, [0, wide - 2]), known))
    return [*found, Share("missing", 0, missing, np.ones(wide))]


def counter_of(references: Iterable[Reference]) -> CountColumns:
    """A function that counts columns of rows, arrays or lists, in one pass each. Rows that come some hundred together
    cost a hundredth of what each costs alone."""
    counters = {one.feature: _counter(one) for one in references}

    def count(columns: Mapping[str, Column]) -> dict[str, Ints]:
        return {name: counter(columns[name]) for name, counter in counters.items() if name in columns}

    return count


def added(left: Mapping[str, Ints], right: Mapping[str, Ints]) -> dict[str, Ints]:
    """Both together. ValueError when a feature was counted in other bins."""
    both = dict(left)
    for name, more in right.items():
        if name in both and len(both[name]) != len(more):
            raise ValueError(f"{name!r} was counted in {len(both[name])} and in {len(more)} cells")
        both[name] = both[name] + more if name in both else more
    return both


def merge(parts: Iterable[FeatureCounts]) -> dict[tuple[str, int], FeatureCounts]:
    """All parts, added up by (version, start of the window), whatever their order; a part that comes twice counts
    once. The sums are parts of no replica."""
    once = {(one.version, one.start, one.replica, one.seq): one for one in parts}
    sums: dict[tuple[str, int], dict[str, Ints]] = {}
    for one in once.values():
        key = (one.version, one.start)
        sums[key] = added(sums.get(key, {}), {name: np.array(each) for name, each in one.features.items()})
    return {key: part_of(*key, features) for key, features in sorted(sums.items())}


def part_of(version: str, start: int, features: Mapping[str, Ints], *, replica: int = 0, seq: int = 0) -> FeatureCounts:
    """Counted cells as a record."""
    plain: dict[str, Cells] = {name: tuple(features[name].tolist()) for name in sorted(features)}
    return FeatureCounts(version=version, start=start, features=plain, replica=replica, seq=seq)


def width(reference: Reference) -> int:
    """How many cells the column has."""
    return len(reference.words if reference.kind == "category" else reference.cuts) + 2


def placed(reference: Reference, values: Column) -> Ints:
    """The cell of each value, (n,)."""
    if reference.kind == "category":
        place = _places(reference)
        other = len(reference.words)
        found = (place.get(value, other) for value in _listed(values))
        return np.fromiter(found, dtype=np.int64, count=len(values))
    numeric = numbers(values) if reference.kind == "number" else lengths(values)
    cells_of = np.searchsorted(np.array(reference.cuts), numeric, side="right")
    return np.where(np.isnan(numeric), len(reference.cuts) + 1, cells_of).astype(np.int64)


def numbers(values: Column) -> Floats:
    """A column as floats, (n,): what is missing or no number is NaN."""
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        return np.array([_number(value) for value in values], dtype=np.float64)


def lengths(values: Column) -> Floats:
    """How many characters each text of a column has, (n,); NaN for what is no text."""
    return np.array([len(value) if isinstance(value, str) else np.nan for value in values], dtype=np.float64)


def spelt(value: object) -> str | None:
    """A category as text; None where it is missing."""
    if isinstance(value, (bool, np.bool_)):
        return TRUTHS[0] if value else TRUTHS[1]
    return None if value is None or (isinstance(value, float) and math.isnan(value)) else str(value)


def _number(value: object) -> float:
    try:
        return float(value) if isinstance(value, (int, float)) else np.nan
    except OverflowError:
        return np.inf


def _listed(values: Column) -> Iterable[object]:
    """Plain values, whichever form the column has."""
    return values.tolist() if isinstance(values, np.ndarray) else values


def _counter(reference: Reference) -> Callable[[Column], Ints]:
    wide = width(reference)
    if reference.kind == "category":
        place, other = _places(reference), len(reference.words)

        def by_word(values: Column) -> Ints:
            found = Counter(map(place.get, _listed(values)))
            return np.array([found[each] for each in range(other)] + [found[None], found[other + 1]])

        return by_word
    cuts = np.array(reference.cuts)
    read = lengths if reference.kind == "length" else _counted_where_they_lie
    assert wide == len(cuts) + 2
    return lambda values: cells(read(values), cuts)


def _counted_where_they_lie(values: Column) -> NDArray[np.generic]:
    return values if isinstance(values, np.ndarray) and values.dtype.kind in "fiub" else numbers(values)


def _places(reference: Reference) -> dict[object, int]:
    """Cells by value, as it stands in rows; what is not in it is another word."""
    place: dict[object, int] = {word: number for number, word in enumerate(reference.words)}
    missing = len(reference.words) + 1
    truths: dict[object, int] = {True: place[TRUTHS[0]]} if TRUTHS[0] in place else {}
    truths |= {False: place[TRUTHS[1]]} if TRUTHS[1] in place else {}
    return {**place, **truths, None: missing}


def _nearest_cuts(reference: Reference) -> list[int]:
    """The cuts below which the shares lie nearest to the deciles, none of them with nothing on one side."""
    counts = np.array(list(reference.cells.values()), dtype=np.float64).reshape(-1, width(reference)).sum(axis=0)[:-1]
    below = np.cumsum(counts)[:-1] / max(counts.sum(), 1.0)
    inner = np.flatnonzero((below > 0) & (below < 1))
    nearest = {int(inner[np.argmin(np.abs(below[inner] - decile))]) for decile in DECILES} if len(inner) else set()
    return sorted(nearest)


def _mask(wide: int, places: Iterable[int]) -> Floats:
    mask = np.zeros(wide)
    mask[list(places)] = 1.0
    return mask


def _effects(tests: Sequence[Share], table: Ints, *, place: Ints, of_class: Ints, group: Ints) -> Floats:
    """Design effects of each test, from what rows of one group have beyond the share of their class."""
    hit, over = np.array([one.hits for one in tests]), np.array([one.over for one in tests])
    rows = table @ over.T
    expected = shares(table @ hit.T, rows)
    variances = (rows * expected * (1 - expected)).sum(axis=0)
    _, codes = np.unique(group, return_inverse=True)
    found = []
    for number, variance in enumerate(variances.tolist()):
        beyond = hit[number][place] - expected[of_class, number] * over[number][place]
        found.append(design_effect(np.bincount(codes, weights=beyond).astype(np.float64), variance))
    return np.array(found)
