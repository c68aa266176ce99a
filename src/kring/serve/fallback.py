"""The ladder: live, previous, baseline, declared default."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from kring.decide.policy import Judge, Judged, undecided, unjudged
from kring.errors import KringError, Unavailable
from kring.metrics.numbers import every_row, rows_of_numbers
from kring.ports.runtime import Runtime
from kring.record.batch import Batch, Column
from kring.record.version import Policy, Price

Rows = TypeVar("Rows")
"""Raw fields in the form that the prepare path wants: a frame for many rows, a batch for one."""


@dataclass(frozen=True)
class Answerer(Generic[Rows]):
    """One opened chain: raw fields in, outputs and decisions out. `version` names it in records.

    `decide` applies the threshold, `judge` what the policy says beyond it. `price` is that of its answers, if any.
    """

    version: str
    prepare: Callable[[Rows], Batch]
    runtime: Runtime
    policy: Policy
    decide: Callable[[Batch, Policy], Batch]
    judge: Judge[Rows] = unjudged
    price: Price | None = None

    def answer(self, rows: Rows) -> Batch:
        """Outputs with `decision`; whatever goes wrong on the way is a `KringError`."""
        return self.judged(rows).outputs

    def judged(self, rows: Rows) -> Judged:
        """As `answer`, and the guards that fired by row number."""
        prepared = self.prepare(rows)
        return self.judge(rows, prepared, self.decide(self.runtime.answer(prepared), self.policy))


class Said(msgspec.Struct, frozen=True, eq=False):
    """What one rung said, the numbers of the rows it left without an answer, and why (or nothing); the guards that
    fired, by row number."""

    outputs: Batch
    missing: Sequence[int]
    reason: str
    guards: Mapping[int, list[str]] = {}


class Answered(msgspec.Struct, frozen=True, eq=False):
    """What came down the ladder for `rows`: outputs, who gave them at which price, and why not those above; the guards
    that fired on the way, by place among `rows`."""

    rows: NDArray[np.int64]
    outputs: Batch
    version: str
    reason: str
    guards: Mapping[int, list[str]] = {}
    price: Price | None = None


def ask(answerer: Answerer[Rows], rows: Rows, *, n: int) -> Said:
    """One rung's answer to `n` rows: a failure leaves all of them without one, a NaN only its own row."""
    try:
        judged = answerer.judged(rows)
    except KringError as error:
        return Said(Batch(n, {}), range(n), f"{answerer.version}: {error.message}")
    missing = undecided(judged.outputs)
    return Said(judged.outputs, missing, f"{answerer.version}: no usable answer" if missing else "", judged.guards)


def answer_with_fallback(
    ladder: Sequence[Answerer[Rows]],
    rows: Rows,
    *,
    n: int,
    some: Callable[[NDArray[np.int64]], Rows],
    default: Callable[[int], Batch],
) -> list[Answered]:
    """The first answer on the ladder to each of `n` rows, one part for each who answered any.

    A rung is asked for the rows that those above it left without an answer, which `some` gives by their
    numbers; `default` gives the declared answer to as many as nobody answered. The reason names every rung
    that failed. `default` may raise `Unavailable` when none is declared.
    """
    answers: list[Answered] = []
    failures: list[str] = []
    left = every_row(n)
    for answerer in ladder:
        said = ask(answerer, rows, n=len(left))
        reason = "; ".join(failures)
        if not said.reason:
            return [*answers, Answered(left, said.outputs, answerer.version, reason, said.guards, answerer.price)]
        if len(said.missing) < len(left):
            have = np.setdiff1d(every_row(len(left)), said.missing)
            guards = guards_of(said.guards, have)
            some_of = rows_of(said.outputs, have)
            answers.append(Answered(left[have], some_of, answerer.version, reason, guards, answerer.price))
            left = left[list(said.missing)]
            rows = some(left)
        failures.append(said.reason)
    try:
        outputs = default(len(left))
    except Unavailable as error:
        raise Unavailable(error.message, got="; ".join(failures), next=error.next) from error
    return [*answers, Answered(left, outputs, "default", "; ".join(failures))]


def guards_of(fired: Mapping[int, list[str]], rows: NDArray[np.int64]) -> dict[int, list[str]]:
    """The guards that fired for `rows`, by their place among them."""
    return {place: fired[row] for place, row in enumerate(rows.tolist()) if row in fired} if fired else {}


def rows_of(batch: Batch, rows: NDArray[np.int64]) -> Batch:
    """The given rows of `batch`, in that order."""
    places = rows.tolist()
    columns = {name: _picked(column, rows, places) for name, column in batch.columns.items()}
    return Batch(len(rows), columns, rows_of_numbers(batch.numbers, rows))


def _picked(column: Column, rows: NDArray[np.int64], places: list[int]) -> Column:
    """Some values of a column, as an array, as a series, else as a list."""
    if isinstance(column, np.ndarray):
        return column[rows]
    gather: Callable[[NDArray[np.int64]], Column] | None = getattr(column, "gather", None)
    return gather(rows) if gather is not None else [column[row] for row in places]
