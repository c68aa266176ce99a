"""One accepted state of the data."""

from __future__ import annotations

import msgspec

from kring.record.contract import Scalar
from kring.record.finding import CheckReport


class ColumnProfile(msgspec.Struct, frozen=True, kw_only=True):
    """What a column looked like. `quantiles` are the deciles 0..10 of a numeric column,
    `top` the most frequent values of any other with their counts."""

    name: str
    type: str
    rows: int
    missing: int
    distinct: int
    zeros: int = 0
    mean: float | None = None
    minimum: Scalar = None
    maximum: Scalar = None
    quantiles: tuple[float, ...] = ()
    top: tuple[tuple[str, int], ...] = ()


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """An immutable table: version `delta_version` of the Delta table `table`, pinned.

    `digest` is SHA-256 over the sorted (path, file SHA-256) pairs and the schema. Rows count
    from `first` to `last`, the span of the time column in microseconds UTC (0 without one). `restored` is the
    snapshot whose data this one is again.
    """

    id: str
    system: str
    table: str
    delta_version: int
    digest: str
    rows: int
    columns: tuple[ColumnProfile, ...]
    report: CheckReport
    source: str
    commit: str
    first: int
    last: int
    at: int
    as_of: int
    tokenised: tuple[str, ...] = ()
    restored: str = ""


class ColumnChange(msgspec.Struct, frozen=True, kw_only=True):
    """A column in two snapshots, each pair (before, after): share of missing values (0 to 1), different values
    and mean. `changed` counts the rows, found by key, whose value changed; `came` and `went` are categories, of
    which `came_more` and `went_more` others are not listed."""

    name: str
    changed: int = 0
    missing: tuple[float, float] = (0.0, 0.0)
    distinct: tuple[int, int] = (0, 0)
    mean: tuple[float | None, float | None] = (None, None)
    came: tuple[str, ...] = ()
    went: tuple[str, ...] = ()
    came_more: int = 0
    went_more: int = 0

    @property
    def is_change(self) -> bool:
        """Whether anything differs."""
        pairs = (self.missing, self.distinct, self.mean)
        return bool(self.changed or self.came or self.went) or any(before != after for before, after in pairs)


class SnapshotDiff(msgspec.Struct, frozen=True, kw_only=True):
    """What changed from snapshot `before` to `after`.

    With `key` a row that has the same key in both is `changed` or `same`; without one rows are compared whole,
    as often as each stands, and none is `changed`. Rows are compared by the columns that both have in one type.
    """

    before: str
    after: str
    key: tuple[str, ...]
    rows: tuple[int, int]
    added: int
    removed: int
    changed: int
    same: int
    columns_added: tuple[str, ...] = ()
    columns_removed: tuple[str, ...] = ()
    columns_retyped: tuple[tuple[str, str, str], ...] = ()
    columns: tuple[ColumnChange, ...] = ()
    note: str = ""
