"""What a shadow says beside whoever is live, on the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from kring.ports.task import Task
from kring.record.version import Policy
from kring.watch.growing import Growing

HELD: Final = 1 << 16
"""The newest rows are held one by one, so that what is asked later may leave out the older ones of them."""


class Agreed(NamedTuple):
    """Of `rows` that were put to a shadow it left `failures` without an answer; of those that `both` answered the share
    that was decided alike, and how far apart the answers lie on average."""

    rows: int = 0
    failures: int = 0
    both: int = 0
    agreement: float = 0.0
    mean_difference: float = 0.0


class Pairs:
    """Rows of two versions, by one `policy` that knows the labels of both."""

    def __init__(self, task: Task, policy: Policy, *, shape: tuple[int, ...]) -> None:
        self._task, self._policy = task, policy
        self._at = Growing(0, dtype=np.int64)
        self._said, self._live = (Growing(np.nan, dtype=np.float64, shape=shape) for _ in range(2))
        self._since, self._older = 0, Agreed()

    def add(self, at: int, said: NDArray[np.float64], live: NDArray[np.float64]) -> None:
        """What the shadow and the live version said to the same rows, (k, …) each."""
        start = len(self._at)
        self._at.put(start, np.full(len(said), at, dtype=np.int64))
        self._said.put(start, said)
        self._live.put(start, live)
        if len(self._at) > 2 * HELD:
            self._older = together([self._older, self._agreed(slice(None, -HELD))])
            for column in (self._at, self._said, self._live):
                column.keep(slice(-HELD, None))

    def since(self, since: int) -> Agreed:
        """All rows from `since` on. What is not held any more belongs to them when `since` was asked for before."""
        if since > self._since:
            self._since, self._older = since, Agreed()
        return together([self._older, self._agreed(slice(None), since=since)])

    def _agreed(self, which: slice, *, since: int | None = None) -> Agreed:
        later = self._at.values[which] >= (self._since if since is None else since)
        said, live = self._said.values[which][later], self._live.values[which][later]
        answers = self._task.answered(said)
        both = answers & self._task.answered(live)
        if not both.any():
            return Agreed(len(said), len(said) - int(answers.sum()))
        found = {one.name: one.value for one in self._task.agreement(said[both], live[both], self._policy)}
        failures = len(said) - int(answers.sum())
        return Agreed(len(said), failures, int(both.sum()), found["agreement"], found["mean_difference"])


class Beside:
    """One shadow, and each live version that it was put beside."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._pairs: dict[tuple[str, ...], Pairs] = {}

    def add(
        self, at: int, said: NDArray[np.float64], live: NDArray[np.float64], *, policy: Policy, theirs: Policy
    ) -> None:
        """What the shadow, by its `policy`, and the live version, by `theirs`, said to the same rows at `at`. A version
        gives no chance to a label that it does not know."""
        labels = tuple(dict.fromkeys(policy.labels + theirs.labels))
        said, live = (_onto(labels, each, own.labels) for each, own in ((said, policy), (live, theirs)))
        if labels not in self._pairs:
            joint = msgspec.structs.replace(policy, labels=labels, cost={**theirs.cost, **policy.cost})
            joint = policy if labels == policy.labels else joint
            self._pairs[labels] = Pairs(self._task, joint, shape=said.shape[1:])
        self._pairs[labels].add(at, said, live)

    def since(self, since: int) -> Agreed:
        """All rows from `since` (microseconds UTC) on."""
        return together([pairs.since(since) for pairs in self._pairs.values()])


def together(several: Sequence[Agreed]) -> Agreed:
    """All rows; the shares weighted by the rows that both answered."""
    several = [each for each in several if each.rows]
    if len(several) == 1:
        return several[0]
    both = sum(each.both for each in several)
    return Agreed(
        sum(each.rows for each in several),
        sum(each.failures for each in several),
        both,
        sum(each.agreement * each.both for each in several) / max(both, 1),
        sum(each.mean_difference * each.both for each in several) / max(both, 1),
    )


def _onto(labels: tuple[str, ...], outputs: NDArray[np.float64], own: tuple[str, ...]) -> NDArray[np.float64]:
    """Outputs with one column for each of their `own` labels, (n, own), with one for each of `labels`; others as they
    are."""
    if own == labels or outputs.shape[1:] != (len(own),):
        return outputs
    found = np.zeros((len(outputs), len(labels)))
    found[:, [labels.index(label) for label in own]] = outputs
    return found
