"""Folds of the rows to learn from: each part is answered by a candidate that did not learn from it.

By time and by order, windows expand: what is learned from was known before the first row of the part
(Hyndman & Athanasopoulos 2021, 5.10). By group, whole groups are kept together. At random, every part has
its share of each outcome.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kring.errors import DataError
from kring.experiment.split import LEAST_ROWS


class Fold(NamedTuple):
    """Positions of the rows to learn from and of those to answer, in rising order."""

    learn: NDArray[np.intp]
    answer: NDArray[np.intp]


class Rows(NamedTuple):
    """What folds are made by, all (n,): moments of decision, moments at which the outcome was known (both in
    microseconds UTC; None where there is no time), and the number of the group a row belongs to."""

    times: NDArray[np.int64] | None
    known_at: NDArray[np.int64] | None
    groups: NDArray[np.int64]


NEXT: Final = "fewer folds (evidence.folds), or more rows to learn from"


def fold_rows(rows: Rows, truth: NDArray[np.float64], *, by: str, count: int, seed: int) -> tuple[Fold, ...]:
    """`count` folds of the rows with `truth` (its first axis is rows), the same for the same seed.

    `by` is the split's word: `time` and `order` expand, `group` keeps groups whole, anything else is stratified
    by `truth`. `DataError` when a part would learn from or answer fewer than ten rows.
    """
    n = len(truth)
    if by == "time" and rows.times is not None:
        folds = _expanding(rows.times, rows.known_at, count)
    elif by in ("time", "order"):
        folds = _expanding(np.arange(n), None, count)
    elif by == "group":
        folds = _held_out(_whole_groups(rows.groups, count, seed), count)
    else:
        folds = _held_out(_stratified(truth, count, seed), count)
    for number, fold in enumerate(folds, start=1):
        least = min(len(fold.learn), len(fold.answer))
        if least < LEAST_ROWS:
            raise DataError(
                f"the rows to learn from can't be cut into {count} folds",
                got=f"{len(fold.learn)} rows to learn from and {len(fold.answer)} to answer in fold {number}",
                allowed=f"at least {LEAST_ROWS} of each",
                next=NEXT,
                key="evidence.folds",
            )
    return folds


def _expanding(times: NDArray[np.int64], known_at: NDArray[np.int64] | None, count: int) -> tuple[Fold, ...]:
    """The rows in `count` + 1 spans of about as many rows, cut at whole moments; the first is only learned from."""
    n = len(times)
    ordered = np.sort(times)
    cuts = [int(ordered[n * part // (count + 1)]) for part in range(1, count + 1)]
    folds = []
    for start, end in zip(cuts, [*cuts[1:], None], strict=True):
        known = times < start if known_at is None else (times < start) & (known_at <= start)
        answer = times >= start if end is None else (times >= start) & (times < end)
        folds.append(Fold(learn=np.flatnonzero(known), answer=np.flatnonzero(answer)))
    return tuple(folds)


def _held_out(part: NDArray[np.intp], count: int) -> tuple[Fold, ...]:
    return tuple(
        Fold(learn=np.flatnonzero(part != number), answer=np.flatnonzero(part == number)) for number in range(count)
    )


def _whole_groups(groups: NDArray[np.int64], count: int, seed: int) -> NDArray[np.intp]:
    """The part of each row: groups in random order, the largest first, each into the smallest part so far."""
    _, numbers, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    shuffled = np.random.default_rng(seed).permutation(len(sizes))
    rows = np.zeros(count, dtype=np.int64)
    part = np.zeros(len(sizes), dtype=np.intp)
    for group in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
        part[group] = int(rows.argmin())
        rows[part[group]] += sizes[group]
    found: NDArray[np.intp] = part[numbers]
    return found


def _stratified(truth: NDArray[np.float64], count: int, seed: int) -> NDArray[np.intp]:
    """The part of each row: rows in the order of their outcome, ties at random, are dealt out in turn, so that
    labels and large and small numbers are spread evenly alike."""
    generator = np.random.default_rng(seed)
    chance = generator.random(len(truth))
    outcome = truth if truth.ndim == 1 else truth[:, 0]
    part = np.empty(len(truth), dtype=np.intp)
    hands = [generator.permutation(count) for _ in range(-(-len(truth) // count))]
    part[np.lexsort((chance, outcome))] = np.concatenate(hands)[: len(truth)]
    return part
