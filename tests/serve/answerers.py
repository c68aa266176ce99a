"""Runtimes of one number, as rungs of a ladder."""

from __future__ import annotations

from kring.errors import KringError
from kring.record.batch import Batch
from kring.record.version import Policy
from kring.serve.fallback import Answerer

POLICY = Policy(output="value")


class Says:
    """A runtime that says its number, or fails."""

    def __init__(self, number: float, error: KringError | None = None) -> None:
        self.number, self.error, self.asked = number, error, 0

    def answer(self, batch: Batch) -> Batch:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return Batch(batch.n, {"value": [self.number] * batch.n})

    def close(self) -> None: ...


def answerer(name: str, runtime: Says) -> Answerer[Batch]:
    def decide(outputs: Batch, policy: Policy) -> Batch:
        return Batch(outputs.n, {**outputs.columns, "decision": outputs.columns["value"]})

    return Answerer(version=name, prepare=lambda rows: rows, runtime=runtime, policy=POLICY, decide=decide)
