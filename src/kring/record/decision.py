"""The record of answers: a batch that one version gave at one moment, and what came of it."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

Arm = Literal["live", "canary", "shadow"]
RecordClass = Literal["online", "batch", "shadow"]
Value = bool | int | float | str | None

REVIEW: Final = "review"
"""The decision that a person decides."""

ABSTAINED: Final = "abstained"
OUTLIER: Final = "outlier"
IMPUTED: Final = "imputed"
OURS: Final = frozenset({ABSTAINED, OUTLIER, IMPUTED})
"""Guards that no rule of a contract is named after: the policy abstained, the row is unlike those that were learned
from, and values that broke their rule were taken as missing."""


class Decisions(msgspec.Struct, frozen=True, kw_only=True):
    """`n` answers of `version` at `at` (microseconds UTC), as columns.

    `answered_by` differs from `version` when a fallback answered; `fallback` says why. `guards` names,
    per row number, the guards that fired. Ids follow from the place in the log, see `kring.metrics.ids`.
    `refers` holds, for shadow answers only, the ids of the decisions they shadow. `batch` is the id of the
    file that was scored, if any, and `rows` the places of these rows in it, from 0.
    """

    system: str
    version: str
    answered_by: str
    arm: Arm
    kind: RecordClass
    at: int
    n: int
    inputs: dict[str, list[Value]]
    outputs: dict[str, list[Value]]
    latency_us: int
    cost: float = 0.0
    fallback: str = ""
    guards: dict[int, list[str]] = {}
    subjects: list[str] = []
    refers: list[bytes] = []
    batch: str = ""
    rows: list[int] = []


class Packed(msgspec.Struct, frozen=True):
    """One column as bytes: `data` are little-endian numbers of the numpy type `dtype`.

    With `words` the numbers are places in it. `known` has one bit per row, the highest first, that says whether
    there is a value; it is empty when there is one in every row.
    """

    dtype: str
    data: bytes
    known: bytes = b""
    words: list[str] | None = None


class PackedDecisions(msgspec.Struct, frozen=True, kw_only=True):
    """`Decisions` for many rows at little cost: the columns are packed.

    `subject` names the input that holds the subjects. The rows lie in the scored file from `first` on, one after
    the other, unless `rows` holds their places.
    """

    system: str
    version: str
    answered_by: str
    arm: Arm
    kind: RecordClass
    at: int
    n: int
    inputs: dict[str, Packed]
    outputs: dict[str, Packed]
    latency_us: int
    cost: float = 0.0
    fallback: str = ""
    guards: dict[int, list[str]] = {}
    subject: str = ""
    batch: str = ""
    first: int = 0
    rows: Packed | None = None


class Outcomes(msgspec.Struct, frozen=True, kw_only=True):
    """What turned out to be true of `ids` (16 bytes each), known at `at`."""

    system: str
    at: int
    ids: list[bytes]
    values: list[Value]
    source: str = "feed"


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a decision lies: writer, segment and sequence within the segment."""

    at_ms: int
    writer: int
    segment: int
    sequence: int
