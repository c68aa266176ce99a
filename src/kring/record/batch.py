"""Columns of n rows: what guard, prepare, route, runtime, policy and log hand to each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import msgspec


class Column(Protocol):
    """One value per row: a numpy array or a list. Missing is NaN in floats and None elsewhere."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> object: ...

    def __iter__(self) -> Iterator[object]: ...


class Numbers(msgspec.Struct, frozen=True, eq=False):
    """Columns of numbers once more, as a numpy array (k, n) of float32: a row for each of the `names`, NaN for what is
    missing."""

    names: tuple[str, ...]
    matrix: Column


class Batch(msgspec.Struct, frozen=True):
    """`n` rows as named columns in a fixed order; every column has length `n`. `numbers` are for what computes with
    many columns at once, see `kring.metrics.numbers`; whoever changes a column leaves them out."""

    n: int
    columns: dict[str, Column]
    numbers: Numbers | None = None

    def __post_init__(self) -> None:
        if set(map(len, self.columns.values())) <= {self.n}:
            return
        for name, column in self.columns.items():
            if len(column) != self.n:
                raise ValueError(f"column {name!r} has {len(column)} rows, the batch has {self.n}")
