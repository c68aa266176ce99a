"""How easily answers are upset: the same rows a little noisier, with gaps, with other categories.

Raw fields are upset, not prepared columns: that is where noise and gaps arise, and columns made from one field
then move together, as they would in life.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from kring.experiment.held_out import HeldOut
from kring.metrics.intervals import wilson
from kring.metrics.measured import LIFT
from kring.record.contract import LogicalType
from kring.record.evidence import Measure
from kring.record.scrutiny import Ends, Perturbation

PREFIX: Final = "robustness."
LOSS: Final = "loss"
FLIPPED: Final = "flipped"
KINDS: Final = ("noise", "missing", "shuffled", "unknown")
MOST_ROWS: Final = 10_000
"""So many held-out rows are upset at the most, drawn at random."""

SIGMA: Final = 0.1
SHARE: Final = 0.05
MOST_CATEGORIES: Final = 1_000
UNKNOWN: Final = "(never seen before)"
NUMBERS: Final[tuple[LogicalType, ...]] = ("number", "integer")
CATEGORIES: Final[tuple[LogicalType, ...]] = ("string", "boolean")

Answer = Callable[[pl.DataFrame], NDArray[np.float64]]


class Upset(NamedTuple):
    """Rows with `cells` changed in `fields`, and what was done to them, in words."""

    name: str
    says: str
    frame: pl.DataFrame
    fields: tuple[str, ...]
    cells: int


def upsets(frame: pl.DataFrame, *, fields: Sequence[str], types: Mapping[str, LogicalType], seed: int) -> list[Upset]:
    """`frame` (raw fields, times and dates as integers) upset in each way that its `fields` allow.

    Noise is normal, a tenth of the field's standard deviation, whole where the field is, and stays within the
    values seen. Of numbers and categories one cell in twenty goes missing; one in twenty of the categories becomes
    another known one, or one never seen. Free text and times are left alone; so are numbers that don't vary.
    """
    numbers = [name for name in fields if types[name] in NUMBERS and _varies(frame[name])]
    categories = [name for name in fields if types[name] in CATEGORIES and _category(frame[name])]
    texts = [name for name in categories if types[name] == "string"]
    chance = np.random.default_rng(seed)
    ways: tuple[tuple[str, list[str], Callable[[pl.Series], pl.Series], str], ...] = (
        ("noise", numbers, lambda one: _noisy(one, chance), f"numbers moved by {SIGMA:g} of their spread"),
        ("missing", numbers + categories, lambda one: _gappy(one, chance), f"{SHARE:.0%} of values missing"),
        ("shuffled", categories, lambda one: _swapped(one, chance), f"{SHARE:.0%} of categories swapped"),
        ("unknown", texts, lambda one: _strange(one, chance), f"{SHARE:.0%} of categories never seen before"),
    )
    return [
        _upset(frame, name, names, change=change, says=f"{says}, in {len(names)} field{'s' * (len(names) > 1)}")
        for name, names, change, says in ways
        if names
    ]


def robustness_of(
    held: HeldOut, changed: Sequence[Upset], *, answer: Answer
) -> tuple[list[Measure], list[Perturbation]]:
    """`robustness.WAY.METRIC`, the paired drop of the first metric (of the mean loss without one), and
    `robustness.WAY.flipped` where there are labels: the share of decisions that changed or were lost.

    `answer` gives the outputs to the rows of `held` once they are upset.
    """
    measures: list[Measure] = []
    shown: list[Perturbation] = []
    for upset in changed:
        outputs = answer(upset.frame)
        drop, flipped = _drop(held, outputs), _flipped(held, outputs)
        if drop is None:
            continue
        measures += [_renamed(each, upset) for each in (drop, flipped) if each is not None]
        lost = held.rows - int(held.task.answered(outputs).sum())
        shown.append(_record(upset, drop, flipped, rows=held.rows, unanswered=lost))
    return measures, shown


def _upset(
    frame: pl.DataFrame, name: str, names: list[str], *, change: Callable[[pl.Series], pl.Series], says: str
) -> Upset:
    after = frame.with_columns([change(frame[each]) for each in names])
    cells = sum(int(after[each].ne_missing(frame[each]).sum()) for each in names)
    return Upset(name, says, after, tuple(names), cells)


def _varies(values: pl.Series) -> bool:
    return values.drop_nulls().n_unique() > 1


def _category(values: pl.Series) -> bool:
    """Whether values come back: a text of which most rows have their own is no category."""
    distinct = values.drop_nulls().n_unique()
    return 1 < distinct <= min(MOST_CATEGORIES, max(2, len(values) // 2))


def _noisy(values: pl.Series, chance: np.random.Generator) -> pl.Series:
    numbers = values.cast(pl.Float64).fill_nan(None)
    known = numbers.drop_nulls().to_numpy()
    moved = numbers + pl.Series(chance.normal(0.0, SIGMA * float(known.std()), len(values)))
    moved = moved.clip(float(known.min()), float(known.max()))
    return (moved.round() if values.dtype.is_integer() else moved).cast(values.dtype).alias(values.name)


def _gappy(values: pl.Series, chance: np.random.Generator) -> pl.Series:
    return values.zip_with(pl.Series(chance.random(len(values)) >= SHARE), values.clear(len(values)))


def _swapped(values: pl.Series, chance: np.random.Generator) -> pl.Series:
    """Another of the known values, each alike, for one known value in twenty."""
    known = values.drop_nulls().unique().sort()
    codes = values.replace_strict(known, range(len(known)), default=None, return_dtype=pl.Int64)
    others = (codes + pl.Series(chance.integers(1, len(known), len(values)))) % len(known)
    hit = pl.Series(chance.random(len(values)) < SHARE) & values.is_not_null()
    return known.gather(others.fill_null(0)).zip_with(hit, values).alias(values.name)


def _strange(values: pl.Series, chance: np.random.Generator) -> pl.Series:
    hit = pl.Series(chance.random(len(values)) < SHARE)
    return pl.Series([UNKNOWN]).new_from_index(0, len(values)).zip_with(hit, values).alias(values.name)


def _drop(held: HeldOut, outputs: NDArray[np.float64]) -> Measure | None:
    """How much worse the first metric got on the rows that still have an answer, paired with the rows as they
    are; of the mean loss where it is not defined. None on too few groups."""
    kept = held.task.answered(outputs)
    upset, clean = replace(held, outputs=outputs).at(kept), held.at(kept)
    wanted = LIFT + held.first.name if held.first else ""
    lift = next((each for each in upset.measures(beside=clean.outputs) if each.name == wanted), None)
    if lift is None:
        return upset.mean(LOSS, upset.losses - clean.losses, says="how much the mean loss grew, paired")
    name = lift.name.removeprefix(LIFT)
    return msgspec.structs.replace(
        lift,
        name=name,
        value=-lift.value,
        low=-lift.high,
        high=-lift.low,
        better=-1,
        method=f"how much worse {name} got, paired; {upset.how}",
    )


def _flipped(held: HeldOut, outputs: NDArray[np.float64]) -> Measure | None:
    if not held.policy.labels:
        return None
    differs = held.task.apart(held.outputs, outputs, held.policy)[1] | ~held.task.answered(outputs)
    share = held.mean(FLIPPED, differs.astype(np.float64), says="share of decisions that changed or were lost")
    if share is None:
        return None
    low, high = wilson(int(differs.sum()), held.rows)  # draws of no flips at all say too little
    return msgspec.structs.replace(share, low=min(low, share.low), high=max(high, share.high))


def _renamed(measure: Measure, upset: Upset) -> Measure:
    return msgspec.structs.replace(
        measure, name=f"{PREFIX}{upset.name}.{measure.name}", method=f"{upset.says}: {measure.method}"
    )


def _record(upset: Upset, drop: Measure, flipped: Measure | None, *, rows: int, unanswered: int) -> Perturbation:
    return Perturbation(
        name=upset.name,
        says=upset.says,
        fields=upset.fields,
        rows=rows,
        cells=upset.cells,
        unanswered=unanswered,
        metric=drop.name,
        drop=_ends(drop),
        flipped=_ends(flipped) if flipped else None,
    )


def _ends(measure: Measure) -> Ends:
    return Ends(value=measure.value, low=measure.low, high=measure.high)
