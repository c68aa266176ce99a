"""Means of many columns at once under one bootstrap: everything that is a sum over rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kring.metrics.intervals import number_groups, resamples
from kring.metrics.ranking import Floats

TOGETHER: Final = 1 << 22
"""How many weights are held at once."""

MOST: Final = 5_000
"""More groups than this are dealt at random into so many: sums vary as much as before, within a hundredth."""


def drawn_sums(columns: Floats, groups: NDArray[np.int64], *, draws: int, seed: int) -> Floats:
    """Sums of `columns` (n, k) over the rows as they are, then for each draw of whole `groups` (n,): (1 + draws, k).

    Paired with every bootstrap of the same groups, draws and seed, up to 5,000 groups.
    """
    numbers, count = _dealt(groups, seed)
    table = np.stack([np.bincount(numbers, weights=column, minlength=count) for column in columns.T], axis=1)
    return _under_draws(table.astype(np.float64, copy=False), draws=draws, seed=seed)


def drawn_sums_apart(
    columns: Sequence[Floats],
    codes: NDArray[np.intp],
    *,
    count: int,
    groups: NDArray[np.int64],
    draws: int,
    seed: int,
) -> list[Floats]:
    """`drawn_sums` of each of `columns` (n,), within each of the `count` sets that `codes` (n,) part the rows into,
    from 0: (1 + draws, count) each. Memory does not grow with rows times sets."""
    numbers, dealt = _dealt(groups, seed)
    cells = numbers * count + codes
    tables = [np.bincount(cells, weights=column, minlength=dealt * count).reshape(dealt, count) for column in columns]
    return np.split(_under_draws(np.concatenate(tables, axis=1), draws=draws, seed=seed), len(tables), axis=1)


def _dealt(groups: NDArray[np.int64], seed: int) -> tuple[NDArray[np.intp], int]:
    """The group of each row, from 0, and how many there are; beyond `MOST` they are dealt at random into so many."""
    numbers, count = number_groups(groups)
    if count <= MOST:
        return numbers, count
    dealt: NDArray[np.intp] = (np.random.default_rng(seed).permutation(count) % MOST)[numbers]
    return dealt, MOST


def _under_draws(table: Floats, *, draws: int, seed: int) -> Floats:
    """Sums of `table` (groups, k) for the groups as they are, then for each draw, (1 + draws, k)."""
    count = len(table)
    weights = resamples(count, draws=draws, seed=seed)
    return np.concatenate([block @ table for block in _blocks(weights, max(1, TOGETHER // count))])


def _blocks(weights: Iterator[Floats], size: int) -> Iterator[Floats]:
    while block := list(islice(weights, size)):
        yield np.stack(block)
