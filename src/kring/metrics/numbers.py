"""Columns of numbers side by side: made once, computed with as one array."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from itertools import chain
from math import isfinite
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kring.record.batch import Batch, Numbers
from kring.record.decision import Value

EVERY: Final = np.arange(256)
EVERY.flags.writeable = False
FIRST: Final = [EVERY[:n] for n in range(len(EVERY) + 1)]
"""The numbers of so many rows, by how many they are."""


def numbers_of(columns: Mapping[str, Sequence[Value]], names: Sequence[str]) -> Numbers:
    """The columns of these names, which hold floats and None, as float32; see `narrow`."""
    lists = [*map(columns.__getitem__, names)]
    values = list(chain.from_iterable(lists))
    try:
        if isfinite(sum(values)):  # type: ignore[arg-type]
            matrix = np.frombuffer(
                struct.pack(f"<{len(values)}f", *values), "<f4"
            )  # in native form nothing is too large
            return Numbers(tuple(names), matrix.reshape(len(lists), -1))
    except (TypeError, OverflowError):  # a value is missing, or too large
        pass
    return Numbers(tuple(names), narrow(np.array(lists, dtype=np.float64)))


def narrow(values: NDArray[np.floating]) -> NDArray[np.float32]:
    """float64 as float32; what float32 can't hold is NaN."""
    with np.errstate(over="ignore"):
        narrowed = values.astype(np.float32)
    finite = np.isfinite(narrowed)
    if not finite.all():
        narrowed[~finite] = np.nan
    return narrowed


def side_by_side(batch: Batch, names: Sequence[str]) -> NDArray[np.float32] | None:
    """The columns of these names, (k, n), in their order; None unless all of them are among the batch's numbers."""
    if batch.numbers is None:
        return None
    known = batch.numbers.names
    matrix: NDArray[np.float32] = batch.numbers.matrix  # type: ignore[assignment]  # an array, whoever made it
    if known == names:
        return matrix
    places = {name: place for place, name in enumerate(known)}
    return matrix[[places[name] for name in names]] if places.keys() >= set(names) else None


def rows_of_numbers(numbers: Numbers | None, rows: NDArray[np.int64]) -> Numbers | None:
    """The given rows of the numbers, in that order."""
    return None if numbers is None else Numbers(numbers.names, np.asarray(numbers.matrix)[:, rows])


def every_row(n: int) -> NDArray[np.int64]:
    """The numbers of `n` rows, 0 to n - 1, to be read only."""
    return FIRST[n] if n < len(FIRST) else np.arange(n)
