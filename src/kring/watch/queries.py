"""Who asks as if to copy the model, or to find where it changes its mind.

Of every caller four things are counted: how much it asks; how many of its inputs differ from each other in one field
only; how much of the space of inputs they cover; how many lie near the place where the decision changes. Each is held
against what all other callers do together. A caller who spreads over many names, or changes several fields at
once, is not noticed.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kring.metrics.intervals import wilson
from kring.metrics.sketches import WIDTH, Hashes, Registers, distinct, mixed, note
from kring.record.alarm import Breach
from kring.record.batch import Column
from kring.record.decision import Decisions

SLOTS: Final = 256
"""Callers are counted in so many slots, by the hash of their name; two that share one are told apart by who asked most
there."""

LEAST_ROWS: Final = 200
SINGLE: Final = 0.5
"""From this share of inputs on that differ from others in one field only, and three times as much as others do."""

NEAR: Final = 0.05
"""A probability so far from the threshold is near it."""

TIMES: Final = 3.0
EVERYBODY: Final = "(everybody)"


class Queries:
    """What was asked in one window, by slot of caller; fields in the order of `fields`."""

    def __init__(self, fields: Sequence[str]) -> None:
        self.fields = tuple(fields)
        self.rows = np.zeros(SLOTS, dtype=np.int64)
        self.near = np.zeros(SLOTS, dtype=np.int64)
        self.inputs = np.zeros((SLOTS, WIDTH), dtype=np.uint8)
        self.cells = np.zeros((SLOTS, WIDTH), dtype=np.uint8)
        self.without = np.zeros((len(self.fields), SLOTS, WIDTH), dtype=np.uint8)
        self.names: list[Counter[str]] = [Counter() for _ in range(SLOTS)]

    def add(self, callers: Sequence[str], columns: Mapping[str, Column], near: NDArray[np.bool_]) -> None:
        """Count rows: their `callers` (n,), inputs by field, and whether each lies near the threshold (n,)."""
        slots = np.array([slot_of(name) for name in callers], dtype=np.intp)
        self.rows += np.bincount(slots, minlength=SLOTS)
        self.near += np.bincount(slots[near], minlength=SLOTS)
        for name, count in Counter(callers).items():
            self.names[slot_of(name)][name] += count
        each = [hashed(columns[name], place) for place, name in enumerate(self.fields)]
        whole = _summed(each, len(slots))
        note(self.inputs, slots, mixed(whole))
        coarse = [hashed(coarsened(columns[name]), place) for place, name in enumerate(self.fields)]
        note(self.cells, slots, mixed(_summed(coarse, len(slots))))
        for place, mine in enumerate(each):
            note(self.without[place], slots, mixed(whole - mine))

    def merged(self, other: Queries) -> Queries:
        """Both together, in any order. ValueError when other fields were counted."""
        if self.fields != other.fields:
            raise ValueError(f"queries of {self.fields} and of {other.fields} do not add")
        both = Queries(self.fields)
        both.rows, both.near = self.rows + other.rows, self.near + other.near
        both.inputs, both.cells = np.maximum(self.inputs, other.inputs), np.maximum(self.cells, other.cells)
        both.without = np.maximum(self.without, other.without)
        both.names = [mine + theirs for mine, theirs in zip(self.names, other.names, strict=True)]
        return both


class Asked(NamedTuple):
    """What one slot, or all but one, asked: rows, those near the threshold, different inputs, different cells of the
    space of inputs, and the share of inputs that differ from others in one field only, with that field."""

    rows: int
    near: int
    inputs: float
    cells: float
    single: float
    field: str


def count_queries(queries: Queries, records: Sequence[Decisions], near: NDArray[np.bool_]) -> None:
    """Count the rows of records (in their order, `near` has one entry for each); without subjects everybody is one
    caller. A field whose values are encrypted is as good as a hash of itself."""
    callers = [name for each in records for name in (each.subjects or [EVERYBODY] * each.n)]
    columns: dict[str, Column] = {
        name: [value for each in records for value in each.inputs.get(name, [None] * each.n)] for name in queries.fields
    }
    queries.add(callers, columns, near)


def judge_queries(queries: Queries, *, since: int) -> tuple[list[Breach], list[str]]:
    """A breach for each caller that asks as if to copy or to probe, and the keys of all that were judged."""
    breaches, keys = [], []
    for slot in np.flatnonzero(queries.rows >= LEAST_ROWS).tolist():
        name = max(sorted(queries.names[slot].items()), key=lambda item: item[1])[0]
        mine = _asked(queries, np.arange(SLOTS) == slot)
        others = _asked(queries, np.arange(SLOTS) != slot)
        reasons = {
            "one_field": _one_field(mine, others),
            "coverage": _coverage(mine, others),
            "threshold": _threshold(mine, others),
        }
        keys += [f"queries/{metric}//caller = {name}" for metric in reasons]
        breaches += [
            Breach(
                kind="queries",
                metric=metric,
                value=reason.value,
                low=reason.low,
                high=reason.high,
                allowed=reason.allowed,
                rows=mine.rows,
                since=since,
                slice=f"caller = {name}",
                what=f"{name} {reason.what}",
                sure=reason.sure,
            )
            for metric, reason in reasons.items()
            if reason is not None
        ]
    return breaches, keys


class Reason(NamedTuple):
    """Why a caller stands out."""

    value: float
    low: float
    high: float
    allowed: str
    what: str
    sure: str


def slot_of(name: str) -> int:
    """The slot of a caller."""
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=1).digest()[0]


def hashed(values: Column, place: int) -> Hashes:
    """A hash of each value (n,) of the field at `place`; equal values of one field have equal ones, in any process."""
    numbers = _numbers(values)
    if numbers is None:
        table = {value: _text_hash(value) for value in {_spelt(value) for value in values}}
        bits = np.array([table[_spelt(value)] for value in values], dtype=np.uint64)
    else:
        bits = (numbers + 0.0).view(np.uint64)
    with np.errstate(over="ignore"):
        return mixed(bits + np.uint64((place + 1) * 0x9E3779B1))


def coarsened(values: Column) -> Column:
    """Numbers (n,) by sign and half doublings of their size; anything else as it is."""
    numbers = _numbers(values)
    if numbers is None:
        return values
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.floor(2 * np.log2(np.abs(numbers)))
        cells = np.sign(numbers) * (size + 1000)
    return np.where(np.isfinite(size), cells, np.nan_to_num(numbers, nan=-1.0))


def _asked(queries: Queries, slots: NDArray[np.bool_]) -> Asked:
    def seen(registers: Registers) -> float:
        return float(distinct(registers[slots].max(axis=0)))

    inputs = seen(queries.inputs)
    without = [seen(registers) for registers in queries.without]
    place = int(np.argmin(without)) if without else 0
    single = max(0.0, 1 - without[place] / inputs) if without and inputs else 0.0
    return Asked(
        int(queries.rows[slots].sum()),
        int(queries.near[slots].sum()),
        inputs,
        seen(queries.cells),
        single,
        queries.fields[place] if without else "",
    )


def _one_field(mine: Asked, others: Asked) -> Reason | None:
    """Inputs that are the same but for one field."""
    usual = others.single if others.rows >= LEAST_ROWS else 0.0
    if mine.inputs < LEAST_ROWS / 2 or mine.single < SINGLE or mine.single < TIMES * usual:
        return None
    error = 2 * 0.065 * (1 - mine.single)
    return Reason(
        mine.single,
        max(0.0, mine.single - error),
        min(1.0, mine.single + error),
        f"one_field < {SINGLE:g}",
        f"asked {mine.rows:,} times with about {mine.inputs:,.0f} different inputs, {mine.single:.0%} of which are the "
        f"same as another but for {mine.field} (all others: {usual:.0%})",
        "the number of different inputs is known to 6.5 %",
    )


def _coverage(mine: Asked, others: Asked) -> Reason | None:
    """More of the space of inputs with fewer rows than all others together."""
    if others.rows < max(mine.rows, LEAST_ROWS) or mine.cells < 1.3 * others.cells:
        return None
    times = mine.cells / max(others.cells, 1.0)
    return Reason(
        times,
        times / 1.2,
        times * 1.2,
        "coverage <= 1.3",
        f"covers {times:.3g} times as much of the space of inputs in {mine.rows:,} rows as all others do in "
        f"{others.rows:,}",
        "the numbers of different inputs are known to 6.5 % each",
    )


def _threshold(mine: Asked, others: Asked) -> Reason | None:
    """A share near the threshold that is wholly beyond three times that of others."""
    low, high = wilson(mine.near, mine.rows)
    usual = wilson(others.near, others.rows)[1] if others.rows >= LEAST_ROWS else 1 / TIMES / 2
    if low <= min(TIMES * usual, 0.95):
        return None
    share = mine.near / mine.rows
    return Reason(
        share,
        low,
        high,
        f"threshold <= {min(TIMES * usual, 0.95):.3g}",
        f"asked {mine.rows:,} times, {share:.0%} within {NEAR:g} of the place where the decision changes (all others: "
        f"at most {usual:.0%})",
        f"95 % interval {low:.1%} to {high:.1%}",
    )


def _numbers(values: Column) -> NDArray[np.float64] | None:
    """A column as floats where every value is a number, true or false, or missing."""
    if isinstance(values, np.ndarray):
        return values.astype(np.float64) if values.dtype.kind in "fiub" else None
    try:
        return np.array(values, dtype=np.float64) if not any(isinstance(value, str) for value in values) else None
    except (TypeError, ValueError, OverflowError):
        return None


def _spelt(value: object) -> str:
    return f"{type(value).__name__}:{value}"


def _text_hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def _summed(each: Sequence[Hashes], n: int) -> Hashes:
    with np.errstate(over="ignore"):
        return np.sum(each, axis=0, dtype=np.uint64) if each else np.zeros(n, dtype=np.uint64)
