"""The record of answers: a batch that one version gave at one moment, and what came of it."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

Arm = Literal["live", "canary", "shadow"]
RecordClass = Literal["online", "streamed", "batch", "shadow"]
Ending = Literal["stop", "cut"]
WAITED_FOR: Final[frozenset[RecordClass]] = frozenset({"online", "streamed"})
"""The classes whose answers somebody waits for: they are durable before the first byte is sent."""

Value = bool | int | float | str | None

REVIEW: Final = "review"
"""The decision that a person decides."""

ABSTAINED: Final = "abstained"
OUTLIER: Final = "outlier"
IMPUTED: Final = "imputed"
OURS: Final = frozenset({ABSTAINED, OUTLIER, IMPUTED})
"""Guards that no rule of a contract is named after: the policy abstained, the row is unlike those that were learned
from, and values that broke their rule were taken as missing."""

REPAIRED: Final = "repaired: "
"""Begins the guard that says of a value what was got, and what the recipe made of it."""


class Decisions(msgspec.Struct, frozen=True, kw_only=True):
    """`n` answers of `version` at `at` (microseconds UTC), as columns.

    `answered_by` differs from `version` when a fallback answered; `fallback` says why. `guards` names,
    per row number, the guards that fired. Ids follow from the place in the log, see `kring.metrics.ids`.
    `refers` holds, for shadow answers only, the ids of the decisions they shadow. `batch` is the id of the
    file that was scored, if any, and `rows` the places of these rows in it, from 0. `keys` are the tags of the rows'
    idempotency keys (`kring.metrics.claims`), empty where a request had none. `sealed` names the columns whose values
    are encrypted. Of the kind `streamed` this is only the opening: a `Closed` says what was delivered. `alone` says of
    one row that it was asked by itself, as the first of its group, so that its latency is fit to compare versions by.
    `cost` is what all the rows cost together, in the currency of the system (`kring.metrics.prices`).
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
    keys: list[str] = []
    sealed: list[str] = []
    alone: bool | msgspec.UnsetType = msgspec.UNSET


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
    sealed: list[str] = []


class Closed(msgspec.Struct, frozen=True, kw_only=True):
    """How the streams of the decisions `ids` (16 bytes each) ended at `at`: delivered to the end, or cut.

    `delivered` is how many characters were handed over. `outputs` are columns that are known only at the end, such as
    the text and what it took; `sealed` names those whose values are encrypted for `subjects`.
    """

    system: str
    at: int
    ids: list[bytes]
    how: list[Ending]
    delivered: list[int]
    outputs: dict[str, list[Value]] = {}
    subjects: list[str] = []
    sealed: list[str] = []


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
