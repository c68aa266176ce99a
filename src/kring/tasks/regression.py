"""How much: a number, and a price per unit predicted too much (`over`) or too little (`under`).

There is no threshold: the decision is the value. Lifts are signed so that positive is better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kring.errors import ConfigError, DataError
from kring.metrics.answers import distance, numbers_of
from kring.metrics.estimated_values import (
    CONDITIONS,
    errors_changed,
    expected_moments,
    foreseen_values,
    learned_values,
)
from kring.metrics.measured import Formula, agreed, directions, foretold, measured, on_rows, on_windows
from kring.metrics.moments import Moments, count_values, drawn_values, value_costs, value_scores, window_moments
from kring.metrics.ranking import Floats
from kring.ports.task import Counts, Rates
from kring.record.batch import Batch, Column
from kring.record.contract import Scalar
from kring.record.evidence import Curve, Measure
from kring.record.system import Frame
from kring.record.version import Output, Policy

PRICES: Final = ("over", "under")
BINS: Final = 10
BARS: Final = 50

FORMULAS: Final[Mapping[str, Formula]] = {
    "mae": Formula(-1, "mean absolute error"),
    "rmse": Formula(-1, "root of the mean squared error"),
    "r2": Formula(1, "1 - squared error / squared deviation of the truth from its mean"),
    "bias": Formula(0, "mean of value - truth"),
    "expected_cost": Formula(-1, "mean cost of a value at the prices per unit over and under", money=True),
}


class ValueEstimates:
    """Quality of values before the truth is known."""

    conditions: str = CONDITIONS

    def foresee(self, outputs: NDArray[np.float64], policy: Policy) -> Counts:
        """Values by cell."""
        return foreseen_values(_values(outputs, unanswered=True))

    def estimate(self, seen: Counts, learned: Counts, *, policy: Policy, draws: int, seed: int) -> list[Measure]:
        """All but `r2` (DLE)."""
        sums = expected_moments(seen, learned, draws=draws, seed=seed)
        if sums is None:
            return []
        scores = _scores(sums, policy)
        return foretold(FORMULAS, scores, rows=int(sums.rows[0]), draws=draws, currency=policy.currency)

    def doubt(self, learned: Counts, recent: Counts, *, policy: Policy) -> str:
        """Whether errors are as large as they were for the same values."""
        return errors_changed(learned, recent)

    def misjudged(self, windows: Sequence[Counts], *, policy: Policy, draws: int, seed: int) -> Measure | None:
        """Nothing: no threshold decides."""
        return None


class Regression(ValueEstimates):
    """The task of one number. Truth is the target, missing where it is not a finite number."""

    output: Output = "value"
    metrics: Mapping[str, int] = directions(FORMULAS)
    largest_mistake: float = np.inf

    def prices(self, frame: Frame) -> dict[str, float]:
        """`over` and `under`, or none; `ConfigError` for anything else."""
        return _prices(frame.cost)

    def policy(self, frame: Frame, target: Column, *, positive: Scalar = None) -> Policy:
        """The prices and nothing else. `DataError` for a target that is no number or always the same,
        `ConfigError` for prices that are not these two and for a `positive` value."""
        if positive is not None:
            raise ConfigError(
                "a number has no yes", got=repr(positive), next="leave data.positive out", key="data.positive"
            )
        values = _numbers(target)
        known = values[~np.isnan(values)]
        if not len(known) or known.min() == known.max():
            raise DataError(
                "the target needs different numbers",
                got=f"always {known[0]:g}" if len(known) else f"no number in {len(target)} rows",
                allowed="finite numbers, not all the same",
                next="check data.target; a target of two labels is another task",
            )
        return Policy(output=self.output, cost=self.prices(frame), currency=frame.currency)

    def truth(self, target: Column, policy: Policy) -> NDArray[np.float64]:
        """The target as numbers, NaN for what is missing or no finite number. Shape (n,)."""
        return _numbers(target)

    def known(self, truth: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Not NaN."""
        return ~np.isnan(truth)

    def outputs(self, batch: Batch, policy: Policy) -> NDArray[np.float64]:
        """The column `value`, (n,)."""
        return numbers_of(batch, self.output)

    def answered(self, outputs: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Not NaN."""
        return ~np.isnan(outputs)

    def decide(self, outputs: Batch, policy: Policy) -> Batch:
        """Adds `decision`, the value itself as float64."""
        decision = np.asarray(outputs.columns[self.output], dtype=np.float64)
        return Batch(n=outputs.n, columns={**outputs.columns, "decision": decision})

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
        """All measures and the curves `calibration` (truth over value, in tenths of the rows) and `errors`."""
        basis = on_rows(truth, groups, draws=draws)
        outputs, baseline = _values(outputs), _values(baseline)
        drawn = drawn_values(truth, (outputs, baseline), groups=groups, draws=draws, seed=seed)
        mine, theirs = (_scores(each, policy) for each in drawn)
        measures = measured(FORMULAS, mine, theirs, basis=basis, currency=policy.currency)
        return measures, _curves(truth, outputs)

    def losses(self, truth: NDArray[np.float64], outputs: NDArray[np.float64], policy: Policy) -> NDArray[np.float64]:
        """The absolute error."""
        return np.abs(truth - outputs)

    def mistakes(self, truth: NDArray[np.float64], outputs: NDArray[np.float64], policy: Policy) -> NDArray[np.float64]:
        """The absolute error."""
        return self.losses(truth, outputs, policy)

    def rates(self, truth: NDArray[np.float64], outputs: NDArray[np.float64], policy: Policy) -> Rates:
        """The mean value that was predicted, and the mean absolute error."""
        every = np.ones(len(truth))
        return {"mean_prediction": (outputs, every), "mae": (np.abs(truth - outputs), every)}

    def apart(
        self, left: NDArray[np.float64], right: NDArray[np.float64], policy: Policy
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """|Δ| / max(|left|, s), with s the standard deviation of `left`: answers near zero are judged by their
        spread. There is no threshold at which a decision could differ."""
        scale = np.maximum(np.abs(left), np.std(left)) if len(left) else np.ones(0)
        return distance(left, right, scale=np.where(scale > 0, scale, 1.0)), np.zeros(len(left), dtype=np.bool_)

    def count(self, truth: NDArray[np.float64], outputs: NDArray[np.float64], policy: Policy) -> Counts:
        """Sums of errors, squared errors, units over and under, and truth; see `kring.metrics.moments`. The errors
        also by cell of the value, see `kring.metrics.estimated_values`.
        NaN outputs are counted as unanswered."""
        values = _values(outputs, unanswered=True)
        return count_values(truth, values) | learned_values(truth, values)

    def measure_counts(
        self, windows: Sequence[Counts], baseline: Sequence[Counts], *, policy: Policy, draws: int, seed: int
    ) -> list[Measure]:
        """All metrics, from windows that hold outcomes; nothing from fewer than five of them."""
        paired = on_windows(windows, baseline, draws=draws, seed=seed)
        if paired is None:
            return []
        mine, theirs = (
            _scores(window_moments(each, paired.weights), policy) for each in (paired.mine, paired.baseline)
        )
        return measured(FORMULAS, mine, theirs, basis=paired.basis, currency=policy.currency)

    def agreement(self, left: NDArray[np.float64], right: NDArray[np.float64], policy: Policy) -> list[Measure]:
        """`agreement` (exactly equal values), `mean_difference`, `largest_difference`."""
        return agreed(distance(left, right), shares={"agreement": left == right})


def _prices(cost: Mapping[str, float]) -> dict[str, float]:
    """The two prices, or none."""
    if not cost:
        return {}
    if set(cost) != set(PRICES) or not all(0 <= price < np.inf for price in cost.values()):
        raise ConfigError(
            "the cost of mistakes needs both prices",
            got=", ".join(f"{name} = {price:g}" for name, price in cost.items()),
            allowed=f"{' and '.join(PRICES)}, the price per unit, each ≥ 0",
            key="frame.cost",
        )
    return {name: float(cost[name]) for name in PRICES}


def _numbers(target: Column) -> Floats:
    if isinstance(target, np.ndarray) and target.dtype.kind in "fiu":
        values = target.astype(np.float64)
    else:
        values = np.array([_number(value) for value in target], dtype=np.float64)
    return np.where(np.isfinite(values), values, np.nan)


def _number(value: object) -> float:
    if isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool):
        return float(value)
    return np.nan


def _values(outputs: NDArray[np.float64], *, unanswered: bool = False) -> Floats:
    """Outputs as float64, finite; NaN only if `unanswered`."""
    outputs = np.asarray(outputs, dtype=np.float64)
    wrong = np.isinf(outputs) if unanswered else ~np.isfinite(outputs)
    if wrong.any():
        place = int(np.argmax(wrong))
        raise DataError(
            "a predicted value is a finite number",
            got=f"{outputs[place]} in row {place}, {int(wrong.sum())} of {len(outputs)} rows are wrong",
            allowed="finite numbers",
            next="look at what the candidate answers for that row",
        )
    return outputs


def _scores(sums: Moments, policy: Policy) -> dict[str, Floats]:
    return value_scores(sums) | (value_costs(sums, **policy.cost) if policy.cost else {})


def _curves(truth: Floats, value: Floats) -> list[Curve]:
    parts = [part for part in np.array_split(np.argsort(value, kind="stable"), BINS) if len(part)]
    rows, edges = np.histogram(value - truth, bins=BARS)
    return [
        Curve(
            name="calibration",
            x=tuple(float(value[part].mean()) for part in parts),
            y=tuple(float(truth[part].mean()) for part in parts),
            weight=tuple(float(len(part)) for part in parts),
        ),
        Curve(
            name="errors",
            x=tuple(((edges[1:] + edges[:-1]) / 2).tolist()),
            y=tuple((rows / len(truth)).tolist()),
            weight=tuple(rows.astype(np.float64).tolist()),
        ),
    ]


TASK: Final = Regression()
