"""Means of many columns at once under one bootstrap: everything that is a sum over rows."""

from __future__ import annotations

from collections.abc import Iterator
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
    numbers, count = number_groups(groups)
    if count > MOST:
        numbers = (np.random.default_rng(seed).permutation(count) % MOST)[numbers]
        count = MOST
    table = np.stack([np.bincount(numbers, weights=column, minlength=count) for column in columns.T], axis=1)
    weights = resamples(count, draws=draws, seed=seed)
    return np.concatenate([block @ table for block in _blocks(weights, max(1, TOGETHER // count))])


def _blocks(weights: Iterator[Floats], size: int) -> Iterator[Floats]:
    while block := list(islice(weights, size)):
        yield np.stack(block)
