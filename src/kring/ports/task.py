"""What kind of question a system answers; the only place that knows is `kring.tasks`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from kring.record.batch import Batch, Column
from kring.record.contract import Scalar
from kring.record.evidence import Curve, Measure
from kring.record.system import Frame
from kring.record.version import Output, Policy

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Counts = Mapping[str, tuple[int, ...]]


class Task(Protocol):
    """Truth is a float64 array with NaN where the outcome is missing; outputs are batches with the
    column `output` names, and `decision` once `decide` has run."""

    output: Output
    metrics: Mapping[str, int]
    """Every metric a gate may name, with +1 when larger is better, -1 when smaller is, 0 for neither."""

    def policy(self, frame: Frame, target: Column, *, positive: Scalar = None) -> Policy:
        """Labels and threshold: fixed before any evidence is looked at. `DataError` for a target
        that this task can't have (one class, more classes than it knows, not a number)."""
        ...

    def truth(self, target: Column, policy: Policy) -> NDArray[np.float64]:
        """The target column as numbers; missing and unknown values are NaN."""
        ...

    def decide(self, outputs: Batch, policy: Policy) -> Batch:
        """`outputs` with the column `decision` added: a label, or the value itself."""
        ...

    def measure(
        self,
        truth: NDArray[np.float64],
        outputs: NDArray[np.float64],
        baseline: NDArray[np.float64],
        *,
        groups: NDArray[np.int64],
        policy: Policy,
        draws: int,
        seed: int,
    ) -> tuple[list[Measure], list[Curve]]:
        """All measures on rows with known truth, `lift_over_baseline.*` paired on the same rows;
        intervals resample whole groups. Rows with NaN truth must have been left out."""
        ...

    def count(self, truth: NDArray[np.float64], outputs: NDArray[np.float64], policy: Policy) -> Counts:
        """Integer counts of one window, NaN truth counted as missing; adding counts of two windows
        element by element is counting both together."""
        ...

    def measure_counts(
        self, windows: Sequence[Counts], baseline: Sequence[Counts], *, policy: Policy, draws: int, seed: int
    ) -> list[Measure]:
        """The same metrics by the same names, from windows (paired by position with the baseline's);
        intervals resample windows. Metrics that counts can't give are left out."""
        ...

    def agreement(self, left: NDArray[np.float64], right: NDArray[np.float64], policy: Policy) -> list[Measure]:
        """How far two versions agree on the same inputs: share of equal decisions, mean and largest
        difference of outputs, share decided yes by each where there is a yes."""
        ...
