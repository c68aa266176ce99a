"""Runtimes of one number, as rungs of a ladder."""

from __future__ import annotations

from collections.abc import Collection
from math import nan

from kring.errors import KringError
from kring.record.batch import Batch
from kring.record.version import Policy
from kring.serve.fallback import Answerer

POLICY = Policy(output="value")


class Says:
    """A runtime that says its number, or fails; to rows whose `x` is among `without` it has no answer."""

    def __init__(self, number: float, error: KringError | None = None, *, without: Collection[float] = ()) -> None:
        self.number, self.error, self.without, self.asked = number, error, without, 0

    def answer(self, batch: Batch) -> Batch:
        self.asked += 1
        if self.error is not None:
            raise self.error
        answers = [nan if x in self.without else self.number for x in batch.columns.get("x", [0] * batch.n)]
        return Batch(batch.n, {"value": answers})

    def close(self) -> None: ...


def answerer(name: str, runtime: Says) -> Answerer[Batch]:
    def decide(outputs: Batch, policy: Policy) -> Batch:
        return Batch(outputs.n, {**outputs.columns, "decision": outputs.columns["value"]})

    return Answerer(version=name, prepare=lambda rows: rows, runtime=runtime, policy=POLICY, decide=decide)
