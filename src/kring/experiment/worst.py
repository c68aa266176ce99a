"""How bad each slice is, with intervals, and the worst of them as measures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np

from kring.experiment.held_out import HeldOut, sampled
from kring.experiment.slices import Found
from kring.metrics.intervals import percentile
from kring.metrics.ranking import Floats, ratio
from kring.record.evidence import Measure
from kring.record.scrutiny import Ends, Slice

PREFIX: Final = "slices.worst."
LOSS: Final = "loss"
MOST_SCORED: Final = 5_000
"""The first metric of a slice rests on so many of its rows at the most, drawn at random."""

NOBODY: Final = "no slice is worse than all rows together; "


class Drawn(NamedTuple):
    """Mean loss of all rows (1 + draws,), inside and outside of each slice (1 + draws, k)."""

    whole: Floats
    inside: Floats
    outside: Floats


def worst_slices(
    held: HeldOut, *, declared: Sequence[Found], found: Sequence[Found]
) -> tuple[list[Measure], list[Slice]]:
    """`slices.worst.loss` and `slices.worst.METRIC`, and every slice as a record, the declared ones first.

    METRIC is the task's first. Where no slice is worse than all rows together, those are the worst slice.
    """
    slices = [*declared, *found]
    drawn = _drawn(held, slices)
    scores = [_score(held, each) for each in slices]
    records = [
        _record(each, drawn, place, held=held, score=scores[place], declared=place < len(declared))
        for place, each in enumerate(slices)
    ]
    worst = [_worst_loss(records, drawn, held=held)]
    if held.first is not None:
        worst.append(_worst_score(held.first, records, scores))
    return worst, records


def _drawn(held: HeldOut, slices: Sequence[Found]) -> Drawn:
    losses = held.losses
    masks = [np.ones(held.rows), *(each.inside.astype(np.float64) for each in slices)]
    sums = held.drawn(np.stack([part for mask in masks for part in (mask, mask * losses)], axis=1))
    rows, lost = sums[:, 0::2], sums[:, 1::2]
    return Drawn(
        whole=ratio(lost[:, 0], rows[:, 0]),
        inside=ratio(lost[:, 1:], rows[:, 1:]),
        outside=ratio(lost[:, :1] - lost[:, 1:], rows[:, :1] - rows[:, 1:]),
    )


def _record(each: Found, drawn: Drawn, place: int, *, held: HeldOut, score: Measure | None, declared: bool) -> Slice:
    apart = drawn.inside[:, place] - drawn.outside[:, place]
    low, high = (float(end) for end in percentile(apart[1:], groups=held.group_count))
    rows = int(each.inside.sum())
    return Slice(
        name=each.name,
        columns=each.columns,
        declared=declared,
        rows=rows,
        share=rows / held.rows,
        loss=float(drawn.inside[0, place]),
        worse=_closed(float(apart[0]), low, high),
        chance=each.chance,
        metric=score.name if score else "",
        score=Ends(value=score.value, low=score.low, high=score.high) if score else None,
    )


def _score(held: HeldOut, each: Found) -> Measure | None:
    """The first metric on the slice's rows; None where they don't define it."""
    if held.first is None:
        return None
    rows = sampled(np.flatnonzero(each.inside), most=MOST_SCORED, seed=held.seed)
    return next((measure for measure in held.at(rows).measures() if measure.name == held.first.name), None)


def _worst_loss(records: Sequence[Slice], drawn: Drawn, *, held: HeldOut) -> Measure:
    means = drawn.inside[0].tolist()
    place = max(range(len(means)), key=means.__getitem__) if means else 0
    worse = bool(means) and means[place] > drawn.whole[0]
    values = drawn.inside[:, place] if worse else drawn.whole
    low, high = (float(end) for end in percentile(values[1:], groups=held.group_count))
    says = f"mean loss where {records[place].name}; " if worse else f"{NOBODY}mean loss; "
    ends = _closed(float(values[0]), low, high)
    return Measure(
        name=PREFIX + LOSS,
        value=ends.value,
        low=ends.low,
        high=ends.high,
        rows=records[place].rows if worse else held.rows,
        groups=held.group_count,
        better=-1,
        method=says + held.how,
    )


def _worst_score(first: Measure, records: Sequence[Slice], scores: Sequence[Measure | None]) -> Measure:
    """The slice with the worst value of the metric, or all rows where none is worse than those."""
    tried = [(score, record.name) for score, record in zip(scores, records, strict=True) if score is not None]
    worst, name = min(tried, key=lambda one: first.better * one[0].value, default=(first, ""))
    worse = first.better * worst.value < first.better * first.value
    return msgspec.structs.replace(
        worst if worse else first,
        name=PREFIX + first.name,
        method=f"where {name}; {worst.method}" if worse else NOBODY + first.method,
    )


def _closed(value: float, low: float, high: float) -> Ends:
    """An end that the draws left open (a slice within very few groups) lies as far away as the record can say."""
    largest = float(np.finfo(np.float64).max)
    return Ends(value=value, low=max(low, -largest), high=min(high, largest))
