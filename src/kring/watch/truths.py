"""Outcomes as numbers that keep their meaning when a version comes that knows other labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kring.ports.task import Task
from kring.record.decision import Value
from kring.record.version import Policy


class Truths:
    """What turned out to be true, as the place of the value among all that any version has a label for; where versions
    have no labels, as the task writes it, which is the same for all of them."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._policies: dict[tuple[str, ...], Policy] = {}
        self._places: dict[Value, int] = {}
        self._tables: dict[tuple[str, ...], NDArray[np.float64]] = {}

    def knows(self, policy: Policy) -> None:
        """Tell of a version's labels."""
        self._policies.setdefault(policy.labels, policy)

    def read(self, values: Sequence[Value]) -> NDArray[np.float64]:
        """One number for each value, (n, …); NaN where it is missing, or no version has a label for it."""
        policy = next(iter(self._policies.values()))
        if not policy.labels:
            return self._task.truth(list(values), policy)
        self._learn(list({value: None for value in values if value not in self._places}))
        return np.array([self._places.get(value, np.nan) for value in values], dtype=np.float64)

    def told(self, truth: NDArray[np.float64], policy: Policy) -> NDArray[np.float64]:
        """The same (n, …) as the task writes it for `policy`; NaN also for what that has no label for."""
        if not policy.labels:
            return truth
        table = self._tables.get(policy.labels)
        if table is None or len(table) <= len(self._places):
            table = self._tables[policy.labels] = self._task.truth([*self._places, None], policy)
        return table[np.where(np.isnan(truth), -1, truth).astype(np.intp)]

    def _learn(self, values: list[Value]) -> None:
        for policy in self._policies.values() if values else ():
            known = self._task.known(self._task.truth(values, policy))
            for value, is_known in zip(values, known.tolist(), strict=True):
                if is_known:
                    self._places.setdefault(value, len(self._places))
