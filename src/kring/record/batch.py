"""Columns of n rows: what guard, prepare, route, runtime, policy and log hand to each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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


class ColumnsOf(Mapping[str, Column]):
    """`numbers` as columns by their names, made when somebody asks for one of them: most only want the matrix."""

    __slots__ = ("_made", "_numbers")

    def __init__(self, numbers: Numbers) -> None:
        self._numbers = numbers
        self._made: dict[str, Column] | None = None

    def __getitem__(self, name: str) -> Column:
        return self._columns()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers.names)

    def __len__(self) -> int:
        return len(self._numbers.names)

    def _columns(self) -> dict[str, Column]:
        if self._made is None:
            self._made = dict(zip(self._numbers.names, self._numbers.matrix, strict=True))  # type: ignore[arg-type]
        return self._made


class Batch(msgspec.Struct, frozen=True):
    """`n` rows as named columns in a fixed order; every column has length `n`. `numbers` are for what computes with
    many columns at once, see `kring.metrics.numbers`; whoever changes a column leaves them out."""

    n: int
    columns: Mapping[str, Column]
    numbers: Numbers | None = None

    def __post_init__(self) -> None:
        # Those of one matrix are as long as each other, and need not be made to be counted.
        if isinstance(self.columns, ColumnsOf) or set(map(len, self.columns.values())) <= {self.n}:
            return
        for name, column in self.columns.items():
            if len(column) != self.n:
                raise ValueError(f"column {name!r} has {len(column)} rows, the batch has {self.n}")
