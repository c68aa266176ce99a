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
Rates = Mapping[str, "tuple[NDArray[np.float64], NDArray[np.float64]]"]


class Reads(Protocol):
    """From columns to arrays and back.

    Arrays are float64 and their first axis is rows. Truth is NaN where the outcome is missing; outputs, of
    shape (n,) or (n, k), are what a chain answered, as the task reads it from the columns of a batch or a
    record.
    """

    output: Output
    metrics: Mapping[str, int]
    """Every metric a gate may name, with +1 when larger is better, -1 when smaller is, 0 for neither; a name
    that ends with `.*` stands for all that begin with it."""

    def prices(self, frame: Frame) -> dict[str, float]:
        """What each kind of mistake costs; empty without prices. `ConfigError` for kinds that the task doesn't know."""
        ...

    def policy(self, frame: Frame, target: Column, *, positive: Scalar = None) -> Policy:
        """Labels and threshold: fixed before any evidence is looked at. `DataError` for a target
        that this task can't have (one class, more classes than it knows, not a number)."""
        ...

    def truth(self, target: Column, policy: Policy) -> NDArray[np.float64]:
        """The target column as numbers; missing and unknown values are NaN."""
        ...

    def known(self, truth: NDArray[np.float64]) -> NDArray[np.bool_]:
        """The rows whose outcome is known, (n,)."""
        ...

    def outputs(self, batch: Batch, policy: Policy) -> NDArray[np.float64]:
        """What was answered, from a chain's own columns or from those of a decided batch. A row without
        an answer is NaN, and so is every row where the columns are not there."""
        ...

    def answered(self, outputs: NDArray[np.float64]) -> NDArray[np.bool_]:
        """The rows that have an answer, (n,)."""
        ...

    def decide(self, outputs: Batch, policy: Policy) -> Batch:
        """`outputs` as one-dimensional columns, with the column `decision` added: a label, a text, or the value
        itself; None or NaN where there is no answer."""
        ...


class Measures(Protocol):
    """What arrays say. Rows without outcome or answer must have been left out."""

    largest_mistake: float
    """What `mistakes` is at the most: 1, or infinite."""

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
        intervals resample whole groups."""
        ...

    def losses(self, truth: NDArray[np.float64], outputs: NDArray[np.float64], policy: Policy) -> NDArray[np.float64]:
        """How wrong each answer is, (n,): at least 0, larger is worse."""
        ...

    def mistakes(self, truth: NDArray[np.float64], outputs: NDArray[np.float64], policy: Policy) -> NDArray[np.float64]:
        """How bad what was decided turned out, (n,): 0 for a right decision, for a wrong one its price as a share of
        the dearest one (1 where nothing is priced); where no decision is plainly right or wrong, its loss."""
        ...

    def rates(self, truth: NDArray[np.float64], outputs: NDArray[np.float64], policy: Policy) -> Rates:
        """(values, weights), each (n,), by name. Over a group of rows, sum(values) / sum(weights) is the
        group's rate; empty when a task has none."""
        ...

    def apart(
        self, left: NDArray[np.float64], right: NDArray[np.float64], policy: Policy
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Row by row how far two answers lie apart, (n,), infinite where one of the two is missing; and whether
        the decision differs though `left` was not within 1e-4 of deciding otherwise, (n,)."""
        ...

    def agreement(self, left: NDArray[np.float64], right: NDArray[np.float64], policy: Policy) -> list[Measure]:
        """How far two versions agree on the same inputs: share of equal decisions, mean and largest
        difference of outputs, share decided yes by each where there is a yes."""
        ...


class CountsRows(Protocol):
    """Mergeable counts of a window, and what they say."""

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


class Estimates(Protocol):
    """What answers alone say about quality, before anybody knows what turned out to be true."""

    conditions: str
    """Under which conditions an estimate holds, in words; empty for a task that has none."""

    def foresee(self, outputs: NDArray[np.float64], policy: Policy) -> Counts:
        """Integer counts of answers alone, which add as those of `count` do; NaN is left out. Empty for a task that
        can't estimate."""
        ...

    def estimate(self, seen: Counts, learned: Counts, *, policy: Policy, draws: int, seed: int) -> list[Measure]:
        """The metrics that labels are expected to give for what was `seen`, by the same names, when rows with labels
        were counted as `learned`; nothing without rows, or for a task that can't estimate."""
        ...

    def doubt(self, learned: Counts, recent: Counts, *, policy: Policy) -> str:
        """Why estimates are not to be trusted, going by the newest labels (`recent`, beside the older `learned`);
        empty when they are."""
        ...

    def misjudged(self, windows: Sequence[Counts], *, policy: Policy, draws: int, seed: int) -> Measure | None:
        """What decisions lose in windows that hold outcomes because answers do not mean what they say: by how much
        `expected_cost` is higher than it had to be, or `accuracy` lower (below 0); the method says against what. None
        from too few windows, and for a task that decides by no threshold."""
        ...


class Task(Reads, Measures, CountsRows, Estimates, Protocol):
    """One kind of question: reads it, measures it, counts it, estimates it."""
