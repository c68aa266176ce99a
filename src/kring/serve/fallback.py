"""The ladder: live, previous, baseline, declared default."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from kring.errors import KringError, Unavailable
from kring.ports.runtime import Runtime
from kring.record.batch import Batch
from kring.record.version import Policy

Rows = TypeVar("Rows")
"""Raw fields in the form that the prepare path wants: a frame for many rows, a batch for one."""


@dataclass(frozen=True)
class Answerer(Generic[Rows]):
    """One opened chain: raw fields in, outputs and decisions out. `version` names it in records."""

    version: str
    prepare: Callable[[Rows], Batch]
    runtime: Runtime
    policy: Policy
    decide: Callable[[Batch, Policy], Batch]

    def answer(self, rows: Rows) -> Batch:
        """Outputs with `decision`; whatever goes wrong on the way is a `KringError`."""
        return self.decide(self.runtime.answer(self.prepare(rows)), self.policy)


@dataclass(frozen=True)
class Answered:
    """What came down the ladder: outputs, who gave them, and why not the one who was asked."""

    outputs: Batch
    version: str
    reason: str


def answer_with_fallback(ladder: Sequence[Answerer[Rows]], rows: Rows, *, default: Callable[[], Batch]) -> Answered:
    """The first answer on the ladder; `default` gives the declared one when all of them fail.

    The reason names every rung that failed. `default` may raise `Unavailable` when none is declared.
    """
    failures: list[str] = []
    for answerer in ladder:
        try:
            outputs = answerer.answer(rows)
        except KringError as error:
            failures.append(f"{answerer.version}: {error.message}")
            continue
        return Answered(outputs=outputs, version=answerer.version, reason="; ".join(failures))
    try:
        outputs = default()
    except Unavailable as error:
        raise Unavailable(error.message, got="; ".join(failures), next=error.next) from error
    return Answered(outputs=outputs, version="default", reason="; ".join(failures))
