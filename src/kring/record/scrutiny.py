"""What a careful colleague asks for beyond the metrics: where it is worse, for whom, how easily it is upset."""

from __future__ import annotations

import msgspec


class Ends(msgspec.Struct, frozen=True, kw_only=True):
    """A number and its 95 % interval."""

    value: float
    low: float
    high: float


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    """Rows that have something in common. `worse` is their mean loss minus that of all other rows; `chance` the
    probability of such a difference by luck, corrected for how many slices were looked at.

    `score` is the task's `metric` on the slice, None where its rows are too few to give one.
    """

    name: str
    columns: tuple[str, ...]
    declared: bool
    rows: int
    share: float
    loss: float
    worse: Ends
    chance: float
    metric: str = ""
    score: Ends | None = None


class GroupRate(msgspec.Struct, frozen=True, kw_only=True):
    """One rate of one group; it rests on `weight` rows."""

    name: str
    value: float
    low: float
    high: float
    weight: float


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """One group of a protected column. A group that is not `judged` is too small to be compared."""

    column: str
    name: str
    rows: int
    share: float
    judged: bool
    rates: tuple[GroupRate, ...] = ()


class Perturbation(msgspec.Struct, frozen=True, kw_only=True):
    """The same rows upset in one way, answered again by the same chain. `drop` is how much worse `metric` got.

    `cells` were changed; `flipped` is the share of rows whose decision changed or was lost, None where there are
    no labels to change between; `unanswered` rows lost their answer.
    """

    name: str
    says: str
    fields: tuple[str, ...]
    rows: int
    cells: int
    unanswered: int
    metric: str
    drop: Ends
    flipped: Ends | None = None


class Suspect(msgspec.Struct, frozen=True, kw_only=True):
    """A row whose outcome looks wrong: what was written, what the model says that never saw it, its loss."""

    row: str
    given: str
    said: str
    loss: float


class Suspects(msgspec.Struct, frozen=True, kw_only=True):
    """`count` of `rows` outcomes look wrong; `false_share` of them are expected to be right after all.
    `listed` are the most suspicious, the first first."""

    rows: int
    count: int
    false_share: float
    method: str
    listed: tuple[Suspect, ...] = ()
