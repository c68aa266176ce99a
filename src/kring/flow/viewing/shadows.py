"""What a shadow says beside whoever is live, on the same rows, as both are read off the log."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np

from kring.errors import KringError
from kring.metrics.ids import decision_block
from kring.ports.task import Task
from kring.record.batch import Batch
from kring.record.decision import Decisions, Place
from kring.record.version import Policy

REMEMBERED: Final = 1 << 16
"""Rows of answers whose shadows may still come."""


class ShadowView(msgspec.Struct, frozen=True, kw_only=True):
    """Of `rows` rows that were put to a shadow it left `failures` without an answer; of those that both it and whoever
    is live answered (`compared`), the share that were decided alike, and how far apart the answers are on average."""

    version: str
    rows: int
    failures: int
    compared: int
    agreement: float
    mean_difference: float


@dataclass
class Sums:
    """What a view is made of; `agreeing` and `apart` are sums over the rows that `both` answered."""

    rows: int = 0
    failures: int = 0
    both: int = 0
    agreeing: float = 0.0
    apart: float = 0.0


class Shadows:
    """Compares as it is told. `policy_of` says by which policy a version decides, or raises a `KringError`.

    Of a version that answers by chance alone, half of two labels agree: the measures are the task's own.
    """

    def __init__(self, task: Task, policy_of: Callable[[str], Policy]) -> None:
        self._task = task
        self._policy_of = policy_of
        self._policies: dict[str, Policy | None] = {}
        self._said: OrderedDict[bytes, tuple[str, Batch]] = OrderedDict()
        self._rows = 0
        self._sums: dict[str, Sums] = {}

    def answered(self, place: Place, record: Decisions) -> None:
        """Remember what was answered; its shadows come later."""
        self._said[decision_block(place, 1)[0].tobytes()] = (record.version, Batch(record.n, {**record.outputs}))
        self._rows += record.n
        while self._rows > REMEMBERED:
            self._rows -= self._said.popitem(last=False)[1][1].n

    def shadowed(self, record: Decisions) -> None:
        """Hold a shadow's answers against those that it shadows. What is no longer remembered is passed over."""
        version, said = self._said.get(record.refers[0] if record.refers else b"", ("", None))
        mine, theirs = self._policy(record.version), self._policy(version)
        if said is None or mine is None or theirs is None or said.n != record.n:
            return
        shadow = self._task.outputs(Batch(record.n, {**record.outputs}), mine)
        live = self._task.outputs(said, theirs)
        answers = self._task.answered(shadow)
        both = answers & self._task.answered(live)
        sums = self._sums.setdefault(record.version, Sums())
        sums.rows += record.n
        sums.failures += record.n - int(answers.sum())
        if n := int(np.count_nonzero(both)):
            found = {one.name: one.value for one in self._task.agreement(shadow[both], live[both], mine)}
            sums.both += n
            sums.agreeing += n * found["agreement"]
            sums.apart += n * found["mean_difference"]

    def compared(self, version: str) -> ShadowView | None:
        """All that was compared so far; None before the first row."""
        sums = self._sums.get(version)
        if sums is None:
            return None
        n = max(sums.both, 1)
        return ShadowView(
            version=version,
            rows=sums.rows,
            failures=sums.failures,
            compared=sums.both,
            agreement=sums.agreeing / n,
            mean_difference=sums.apart / n,
        )

    def _policy(self, version: str) -> Policy | None:
        if version and version not in self._policies:
            try:
                self._policies[version] = self._policy_of(version)
            except KringError:
                self._policies[version] = None
        return self._policies.get(version)
