"""Held-out rows as every piece of evidence sees them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kring.errors import DataError
from kring.metrics.intervals import number_groups, percentile
from kring.metrics.ranking import Floats, ratio
from kring.metrics.sums import drawn_sums
from kring.ports.task import Task
from kring.record.evidence import Measure
from kring.record.version import Policy


@dataclass(frozen=True)
class HeldOut:
    """Rows (n,) with a known outcome and an answer. `first` is the task's first metric over all of them,
    None without one; intervals draw whole `groups` (n,)."""

    task: Task
    truth: NDArray[np.float64]
    outputs: NDArray[np.float64]
    groups: NDArray[np.int64]
    policy: Policy
    first: Measure | None
    draws: int
    seed: int

    @property
    def rows(self) -> int:
        """How many there are."""
        return len(self.groups)

    @property
    def group_count(self) -> int:
        """How many groups they fall into."""
        return number_groups(self.groups)[1]

    @property
    def losses(self) -> Floats:
        """How wrong each answer is, (n,)."""
        return self.task.losses(self.truth, self.outputs, self.policy)

    def at(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> HeldOut:
        """Some of the rows."""
        return replace(self, truth=self.truth[rows], outputs=self.outputs[rows], groups=self.groups[rows])

    def measures(self, *, beside: NDArray[np.float64] | None = None) -> list[Measure]:
        """The task's measures, paired with the answers `beside`; none on too few groups."""
        other = self.outputs if beside is None else beside
        try:
            found, _ = self.task.measure(
                self.truth,
                self.outputs,
                other,
                groups=self.groups,
                policy=self.policy,
                draws=self.draws,
                seed=self.seed,
            )
        except DataError:
            return []
        return found

    def drawn(self, columns: Floats) -> Floats:
        """Sums of `columns` (n, k) over the rows, then over each draw, (1 + draws, k)."""
        return drawn_sums(columns, self.groups, draws=self.draws, seed=self.seed)

    def mean(self, name: str, values: Floats, *, says: str) -> Measure | None:
        """The mean of `values` (n,), of which less is better; None where the draws do not bound it."""
        sums = self.drawn(np.stack([np.ones(len(values)), values], axis=1))
        means, groups = ratio(sums[:, 1], sums[:, 0]), self.group_count
        if groups < 2:
            return None
        low, high = (float(end) for end in percentile(means[1:], groups=groups))
        if not np.isfinite([means[0], low, high]).all():
            return None
        return Measure(
            name=name,
            value=float(means[0]),
            low=low,
            high=high,
            rows=len(values),
            groups=groups,
            better=-1,
            method=f"{says}; {self.how}",
        )

    @property
    def how(self) -> str:
        """How intervals were made."""
        return f"95 % interval by {self.draws} draws of {self.group_count} groups"


def sampled(rows: NDArray[np.intp], *, most: int, seed: int) -> NDArray[np.intp]:
    """All of `rows` (k,), or `most` of them drawn at random, in their order."""
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
