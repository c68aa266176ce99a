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
    from `first` to `last`, the span of the time column in microseconds UTC (0 without one).
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
