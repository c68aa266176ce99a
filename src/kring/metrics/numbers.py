"""Columns of numbers side by side: made once, computed with as one array."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from kring.record.batch import Batch, Numbers
from kring.record.decision import Value


def numbers_of(columns: Mapping[str, Sequence[Value]], names: Sequence[str]) -> Numbers:
    """The columns of these names, which hold floats and None, as float64."""
    lists = [columns[name] for name in names]
    values = list(chain.from_iterable(lists))
    try:
        matrix = np.frombuffer(struct.pack(f"{len(values)}d", *values)).reshape(len(lists), -1)
    except struct.error:  # a value is missing
        matrix = np.array(lists, dtype=np.float64)
    return Numbers(tuple(names), matrix)


def side_by_side(batch: Batch, names: Sequence[str]) -> NDArray[np.floating] | None:
    """The columns of these names, (k, n), in their order; None unless all of them are among the batch's numbers."""
    if batch.numbers is None:
        return None
    known, matrix = batch.numbers.names, np.asarray(batch.numbers.matrix)
    if known == names:
        return matrix
    places = {name: place for place, name in enumerate(known)}
    return matrix[[places[name] for name in names]] if places.keys() >= set(names) else None


def rows_of_numbers(numbers: Numbers | None, rows: NDArray[np.int64]) -> Numbers | None:
    """The given rows of the numbers, in that order."""
    return None if numbers is None else Numbers(numbers.names, np.asarray(numbers.matrix)[:, rows])
