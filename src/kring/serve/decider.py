"""The one way of a decision: guard, route, answer, record. Replay and serving both walk it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Generic

import msgspec
import numpy as np
from numpy.typing import NDArray

from kring.decide.impute import Imputer
from kring.errors import Refused, Unavailable
from kring.metrics.assignment import assigned, unit_names
from kring.metrics.numbers import every_row
from kring.metrics.prices import spent
from kring.record.batch import Batch, Column
from kring.record.contract import Scalar
from kring.record.decision import WAITED_FOR, Arm, Decisions, RecordClass, Value
from kring.record.rollout import Pointer
from kring.record.system import OutOfContract
from kring.serve.fallback import Answerer, Rows, answer_with_fallback, ask, guards_of, rows_of

REJECTED: Final = "rejected"
"""Who answered a row that was turned away for breaking its contract: nobody."""

UNANSWERED: Final = "nobody"
"""Who answered a row of a batch that neither a version nor the baseline could answer, without a declared default."""

SELDOM: Final = 16
"""In one of so many batches the first row is asked alone, while one version answers everything."""

Guard = Callable[[Rows], Mapping[int, list[str]]]


class Asked(msgspec.Struct, frozen=True):
    """As which arm, when (microseconds UTC), and in which class of record."""

    arm: Arm
    at: int
    kind: RecordClass
    alone: bool = False
    """Whether this is the first row of a batch, by itself."""


class Decided(msgspec.Struct, Generic[Rows], frozen=True, eq=False):
    """What one version was asked: row numbers in the batch, the rows as they were read, and what came of it.

    `about` is the record without its columns, which are `inputs` and `outputs`; `subject` names the input that
    holds the subjects.
    """

    rows: NDArray[np.int64]
    read: Rows
    about: Decisions
    inputs: Batch
    outputs: Batch
    subject: str

    @property
    def record(self) -> Decisions:
        """The whole record, with columns as lists: made anew each time."""
        return msgspec.structs.replace(
            self.about,
            inputs=as_lists(self.inputs),
            outputs=as_lists(self.outputs),
            subjects=subjects_of(self.inputs, self.subject),
        )

    @property
    def answered(self) -> bool:
        """Whether anybody answered: False for rows that were turned away, or that nobody could answer."""
        return self.about.answered_by not in (REJECTED, UNANSWERED)


@dataclass(frozen=True)
class Decider(Generic[Rows]):
    """Answers batches for one system.

    `versions` holds every opened version by id, `baseline` the live version's own baseline chain.
    `read` turns raw columns into what the prepare path wants, `guard` names the broken contract
    rules per row, `impute` takes the values that break one as missing, `subject` is the column that names the
    unit (empty: each row is its own unit). `timed` says that versions are compared by how long they take.
    Another pointer is another Decider: no answer ever sees half a change.
    """

    system: str
    pointer: Pointer
    versions: Mapping[str, Answerer[Rows]]
    baseline: Answerer[Rows]
    read: Callable[[Batch], Rows]
    guard: Guard[Rows]
    out_of_contract: OutOfContract
    default: Scalar
    subject: str
    monotonic: Callable[[], float]
    impute: Imputer[Rows] | None = None
    timed: bool = False

    def decide(self, batch: Batch, *, at: int, kind: RecordClass) -> list[Decided[Rows]]:
        """Answer all rows: a record for each who was asked and each who answered, complete but not yet durable.

        A row is answered as it would be alone: what its neighbours lack sends nobody else down the ladder.

        A system that rejects what breaks its contract answers an online batch with `Refused`, the
        whole of it; of any other batch the broken rows are turned away, with a record that says so and
        holds no output. So has the record of rows that neither a version nor the baseline nor a declared
        default can answer, which for an online batch is `Unavailable`.
        """
        return [
            one for rows, asked in self._asks(batch, at, kind) for one in self._answer(_some(batch, rows), rows, asked)
        ]

    def serve(
        self, batch: Batch, *, fired: Mapping[int, list[str]], at: int, kind: RecordClass = "online"
    ) -> list[Decided[Rows]]:
        """Answer rows that several callers asked for at once, and whose broken rules `fired` are known already.

        Never raises because of a row: of one that nobody could answer, the record says so.
        """
        decided: list[Decided[Rows]] = []
        for rows, asked in self._asks(batch, at, kind):
            mine = _some(batch, rows)
            theirs = fired if len(rows) == batch.n else guards_of(fired, rows)
            decided += self._laddered(
                mine, self.read(mine), rows=rows, fired=theirs, asked=asked, default=self._default_or_nothing
            )
        return decided

    def shadow(self, decided: Decided[Rows], answerer: Answerer[Rows], *, ids: list[bytes]) -> Decisions:
        """What `answerer` would have said to the rows of the decisions `ids`; a failure is recorded,
        never raised, and a row without an answer holds NaN."""
        began = self.monotonic()
        n, price = decided.about.n, answerer.price
        said = ask(answerer, decided.read, n=n)
        latency_us = int((self.monotonic() - began) * 1e6)
        return Decisions(
            system=self.system,
            version=answerer.version,
            answered_by=answerer.version if said.outputs.columns else "default",
            arm="shadow",
            kind="shadow",
            at=decided.about.at,
            n=n,
            inputs={},
            outputs=as_lists(said.outputs),
            latency_us=latency_us,
            cost=spent(answers=n - len(said.missing), answered=price, seconds=latency_us / 1e6, asked=price),
            fallback=said.reason,
            guards=dict(said.guards),
            refers=ids,
        )

    def _asks(self, batch: Batch, at: int, kind: RecordClass) -> list[tuple[NDArray[np.int64], Asked]]:
        """The rows that are asked together, and how. Of a system that is `timed` the first row is asked alone while two
        versions answer, and now and then before: how long many rows take together says more of how many there are, and
        so of a version's share, than of the version."""
        rows, pointer = every_row(batch.n), self.pointer
        is_compared = bool(pointer.canary and pointer.share)
        alone = int(self.timed and batch.n > 0 and (is_compared or batch.n == 1 or at % SELDOM == 0))
        if not (is_compared or alone):
            return [(rows, Asked("live", at, kind))]
        canary = self._canary_rows(batch, at) if is_compared else np.zeros(batch.n, np.bool_)
        rest = rows[alone:]
        arms: list[tuple[NDArray[np.int64], Asked]] = [
            (rows[:alone], Asked("canary" if canary[:1].any() else "live", at, kind, alone=True)),
            (rest[~canary[alone:]], Asked("live", at, kind)),
            (rest[canary[alone:]], Asked("canary", at, kind)),
        ]
        return [(mine, asked) for mine, asked in arms if len(mine)] or [(rows, Asked("live", at, kind))]

    def _canary_rows(self, batch: Batch, at: int) -> NDArray[np.bool_]:
        """Where nobody is named each request is drawn for itself, by its moment and its row: whoever asks again with
        the same idempotency key is told the first answer and not drawn again."""
        pointer = self.pointer
        named = unit_names(subjects_of(batch, self.subject), pointer.unit, at=at)
        rows = named or [f"{at}/{row}" for row in range(batch.n)]
        return assigned(rows, salt=pointer.salt, share=pointer.share, highest=pointer.highest)

    def _answer(self, batch: Batch, rows: NDArray[np.int64], asked: Asked) -> list[Decided[Rows]]:
        read = self.read(batch)
        fired = dict(self.guard(read))
        if fired and self.out_of_contract == "reject":
            return self._turned_away(batch, rows, fired, asked)
        default = self._default if asked.kind in WAITED_FOR else self._default_or_nothing
        return self._laddered(batch, read, rows=rows, fired=fired, asked=asked, default=default)

    def _laddered(
        self,
        batch: Batch,
        read: Rows,
        *,
        rows: NDArray[np.int64],
        fired: Mapping[int, list[str]],
        asked: Asked,
        default: Callable[[int], Batch],
    ) -> list[Decided[Rows]]:
        """Down the ladder until every row has an answer, with a record for each who gave any."""
        began = self.monotonic()
        read, fired = self._imputed(read, fired)
        ladder = self._ladders[asked.arm]
        parts = answer_with_fallback(
            ladder,
            read,
            n=batch.n,
            some=lambda left: self._part(batch, left, fired)[1],
            default=default,
        )
        latency_us = int((self.monotonic() - began) * 1e6)
        price = ladder[0].price
        decided: list[Decided[Rows]] = []
        for part in parts:
            mine, seen = (batch, read) if len(parts) == 1 else self._part(batch, part.rows, fired)
            about = self._about(
                part.version if part.outputs.columns else UNANSWERED,
                mine.n,
                asked,
                latency_us=latency_us,
                cost=0.0
                if price is None and part.price is None
                else spent(
                    answers=mine.n, answered=part.price, seconds=latency_us / 1e6 * mine.n / batch.n, asked=price
                ),
                fallback=part.reason,
                guards=joined(guards_of(fired, part.rows), part.guards) if fired or part.guards else {},
            )
            place = rows if len(parts) == 1 else rows[part.rows]
            decided.append(Decided(place, seen, about, mine, part.outputs, self.subject))
        return decided

    def _about(
        self,
        answered_by: str,
        n: int,
        asked: Asked,
        *,
        guards: dict[int, list[str]],
        latency_us: int = 0,
        cost: float = 0.0,
        fallback: str = "",
    ) -> Decisions:
        """The record of `n` rows, without columns."""
        return Decisions(
            system=self.system,
            version=self._asked(asked.arm),
            answered_by=answered_by,
            arm=asked.arm,
            kind=asked.kind,
            at=asked.at,
            n=n,
            inputs={},
            outputs={},
            latency_us=latency_us,
            cost=cost,
            fallback=fallback,
            guards=guards,
            alone=asked.alone or msgspec.UNSET,
        )

    def _part(self, batch: Batch, rows: NDArray[np.int64], fired: Mapping[int, list[str]]) -> tuple[Batch, Rows]:
        """Some of the rows, raw and as they are read."""
        mine = rows_of(batch, rows)
        return mine, self._imputed(self.read(mine), guards_of(fired, rows))[0]

    def _imputed(self, read: Rows, fired: Mapping[int, list[str]]) -> tuple[Rows, Mapping[int, list[str]]]:
        """What is decided on, and the guards that fired: as they are, unless the system imputes what breaks a rule."""
        if self.impute is None or self.out_of_contract != "impute":
            return read, fired
        return self.impute(read, fired)

    def _turned_away(
        self, batch: Batch, rows: NDArray[np.int64], fired: Mapping[int, list[str]], asked: Asked
    ) -> list[Decided[Rows]]:
        """The rows that keep the contract, answered; then those that break it, with a record but no answer."""
        if asked.kind in WAITED_FOR:
            raise broken_contract(fired, batch.n)
        broken = np.array(sorted(fired), dtype=np.int64)
        kept = np.setdiff1d(every_row(batch.n), broken)
        away = rows_of(batch, broken)
        mine = Asked(asked.arm, asked.at, asked.kind)
        about = self._about(REJECTED, away.n, mine, guards=guards_of(fired, broken))
        decided = self._answer(rows_of(batch, kept), rows[kept], asked) if len(kept) else []
        turned = Decided(rows[broken], self.read(away), about, away, Batch(away.n, {}), self.subject)
        return [*decided, turned]

    def _asked(self, arm: Arm) -> str:
        return self.pointer.canary if arm == "canary" else self.pointer.live

    @cached_property
    def _ladders(self) -> Mapping[Arm, list[Answerer[Rows]]]:
        """Who is asked one after the other, for each arm."""
        ladders: dict[Arm, list[Answerer[Rows]]] = {}
        arms: tuple[Arm, ...] = ("live", "canary")
        for arm in arms:
            names = dict.fromkeys([self._asked(arm), self.pointer.live, self.pointer.previous])
            ladders[arm] = [*(self.versions[name] for name in names if name in self.versions), self.baseline]
        return ladders

    def _default(self, n: int) -> Batch:
        if self.default is None:
            raise Unavailable(
                "nothing can answer: every version and the baseline failed, and no default is declared",
                next="declare frame.default in kring.toml, or roll back",
            )
        return Batch(n, {"decision": [self.default] * n})

    def _default_or_nothing(self, n: int) -> Batch:
        return Batch(n, {}) if self.default is None else self._default(n)


def subjects_of(batch: Batch, subject: str) -> list[str]:
    """The subjects of a batch, from its column `subject`; none without one."""
    return [str(value) for value in batch.columns[subject]] if subject else []


def joined(one: dict[int, list[str]], other: Mapping[int, list[str]]) -> dict[int, list[str]]:
    """The guards of both, row by row."""
    if not other:
        return one
    return {row: [*one.get(row, ()), *other.get(row, ())] for row in sorted({*one, *other})}


def _some(batch: Batch, rows: NDArray[np.int64]) -> Batch:
    return batch if len(rows) == batch.n else rows_of(batch, rows)


def as_lists(batch: Batch) -> dict[str, list[Value]]:
    """Plain columns for the record: arrays and series become lists of Python values. Where all are lists already, they
    are the batch's own, to be read only."""
    if type(batch.columns) is dict and {*map(type, batch.columns.values())} <= {list}:
        return batch.columns
    return {name: column if type(column) is list else _as_list(column) for name, column in batch.columns.items()}


def _as_list(column: Column) -> list[Value]:
    convert: Callable[[], list[Value]] | None = getattr(column, "tolist", None) or getattr(column, "to_list", None)
    return convert() if convert is not None else list(column)  # type: ignore[arg-type]


def broken_contract(fired: Mapping[int, list[str]], n: int) -> Refused:
    """The refusal of a batch in which at least one row breaks the contract."""
    row, rules = min(fired.items())
    return Refused(
        f"{len(fired)} of {n} rows break the contract",
        got=f"row {row}: {', '.join(rules)}",
        allowed="what the contract promises",
        next="mend the rows, or declare guard.out_of_contract = 'flag'",
    )
