"""Declared columns made from raw fields, and the tables they look things up in."""

from __future__ import annotations

from typing import Literal

import msgspec

ColumnKind = Literal["number", "category"]


class PreparedColumn(msgspec.Struct, frozen=True, kw_only=True):
    """One column a candidate sees: `expression` in the contract grammar over raw fields."""

    name: str
    expression: str
    kind: ColumnKind


class LookupSpec(msgspec.Struct, frozen=True, kw_only=True):
    """How a lookup table is built: the mean of `value` per `key`, shrunk towards the overall mean
    by `prior` pseudo-rows, from rows whose outcome was known at the cut-off."""

    name: str
    key: tuple[str, ...]
    value: str
    prior: float = 0.0


class LookupTable(msgspec.Struct, frozen=True, kw_only=True):
    """A lookup pinned as of `cutoff` (microseconds UTC): keys in sorted order, one value each.

    A key that is not in the table gives `default`.
    """

    name: str
    key: tuple[str, ...]
    keys: tuple[tuple[str | int | float | bool | None, ...], ...]
    values: tuple[float, ...]
    default: float | None
    cutoff: int
    rows: int


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the prepare link pins: columns in order and the tables they use."""

    columns: tuple[PreparedColumn, ...]
    tables: tuple[LookupTable, ...] = ()
