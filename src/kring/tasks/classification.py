"""Yes or no: a probability, a threshold and two kinds of mistake.

The threshold is the Bayes threshold of the prices `false_positive` and `false_negative`, and 0.5 where
no price is named; a probability at the threshold is a yes. Lifts are signed so that positive is better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kring.errors import ConfigError, DataError
from kring.metrics.answers import distance, numbers_of
from kring.metrics.calibration import EDGES, FINE, curve_of
from kring.metrics.cost import bayes_threshold
from kring.metrics.counts import (
    Sums,
    bin_cost_curve,
    bin_costs,
    bin_scores,
    calibration_noise,
    calibration_sums,
    count_rows,
    drawn_rows,
    window_auc,
    window_sums,
)
from kring.metrics.estimated import CONDITIONS, expected_sums, foreseen, meaning_changed
from kring.metrics.intervals import percentile
from kring.metrics.measured import Formula, agreed, directions, foretold, measured, on_rows, on_windows
from kring.metrics.ranking import Floats, passed, rank
from kring.metrics.targets import SPELLINGS, codes_of, label_of, rows_of_labels
from kring.metrics.threshold_gap import threshold_gap
from kring.ports.task import Counts, Rates
from kring.record.batch import Batch, Column
from kring.record.contract import Scalar
from kring.record.evidence import Curve, Measure
from kring.record.system import Frame
from kring.record.version import Output, Policy

NEAR: Final = 0.05
"""Thresholds that lie no further apart are told as one."""

PRICES: Final = ("false_positive", "false_negative")
SLACK: Final = 1e-6
CLOSE: Final = 1e-4
LEAST_GIVEN: Final = 2.0**-50
POINTS: Final = 200
BARS: Final = 50

FORMULAS: Final[Mapping[str, Formula]] = {
    "roc_auc": Formula(1, "share of pairs in the right order (Mann-Whitney)"),
    "average_precision": Formula(1, "area under the precision-recall curve, not interpolated"),
    "log_loss": Formula(-1, "mean of -log of the probability given to what happened, in nats"),
    "brier": Formula(-1, "mean squared difference of probability and truth"),
    "calibration_error": Formula(-1, "expected calibration error over 10 equal-width bins", skewed=True),
    "accuracy": Formula(1, "share of right decisions at the policy's threshold"),
    "precision": Formula(1, "share of yes that is right at the policy's threshold"),
    "recall": Formula(1, "share of positives found at the policy's threshold"),
    "f1": Formula(1, "harmonic mean of precision and recall at the policy's threshold"),
    "positive_rate": Formula(0, "share answered yes at the policy's threshold"),
    "expected_cost": Formula(-1, "mean cost of a decision at the policy's threshold", money=True),
    "best_threshold": Formula(0, "the cheapest threshold on these data, in steps of 1/200"),
    "best_threshold_cost": Formula(-1, "mean cost of a decision at the cheapest threshold on these data", money=True),
}


UNFORESEEN: Final = ("calibration_error", "best_threshold", "best_threshold_cost")
"""What is not estimated: it would only say what was put in."""


class ProbabilityEstimates:
    """Quality of probabilities before labels come."""

    conditions: str = CONDITIONS

    def foresee(self, outputs: NDArray[np.float64], policy: Policy) -> Counts:
        """Probabilities by fine bin, on either side of the threshold."""
        return foreseen(_probabilities(outputs, unanswered=True), threshold=_threshold(policy))

    def estimate(self, seen: Counts, learned: Counts, *, policy: Policy, draws: int, seed: int) -> list[Measure]:
        """All but `average_precision`, `calibration_error` and the cheapest threshold (CBPE)."""
        sums = expected_sums(seen, learned, draws=draws, seed=seed)
        if sums is None:
            return []
        scores = {"roc_auc": window_auc(sums)} | _scores(sums, policy)
        wanted = {name: formula for name, formula in FORMULAS.items() if name not in UNFORESEEN}
        return foretold(wanted, scores, rows=int(sums.rows[0]), draws=draws, currency=policy.currency)

    def doubt(self, learned: Counts, recent: Counts, *, policy: Policy) -> str:
        """Whether the gap between probability and share has moved."""
        return meaning_changed(learned, recent)

    def misjudged(self, windows: Sequence[Counts], *, policy: Policy, draws: int, seed: int) -> Measure | None:
        """Against the threshold that other windows choose (`kring.metrics.threshold_gap`); as `expected_cost` where
        mistakes have prices, else as `accuracy`."""
        prices = policy.cost or dict.fromkeys(PRICES, 1.0)
        lost = threshold_gap(windows, prices=prices, draws=draws, seed=seed)
        if lost is None:
            return None
        name = "expected_cost" if policy.cost else "accuracy"
        low, high = (lost.low, lost.high) if policy.cost else (-lost.high, -lost.low)
        least, most = lost.thresholds
        other = f"about {(least + most) / 2:.2g}" if most - least <= NEAR else f"{least:.3g} to {most:.3g}"
        return Measure(
            name=name,
            value=lost.value if policy.cost else -lost.value,
            low=low,
            high=high,
            rows=lost.rows,
            groups=len(windows),
            better=FORMULAS[name].better,
            method=f"with a threshold of {other} instead of today's {_threshold(policy):.3g}; tried on windows that "
            "did not choose it",
            unit=policy.currency if policy.cost else "",
        )


class Classification(ProbabilityEstimates):
    """The task of two labels. Labels are (no, yes); truth is 0 for no and 1 for yes."""

    output: Output = "probability"
    metrics: Mapping[str, int] = directions(FORMULAS)
    largest_mistake: float = 1.0

    def prices(self, frame: Frame) -> dict[str, float]:
        """`false_positive` and `false_negative`, or none; `ConfigError` for anything else."""
        return _prices(frame.cost)

    def policy(self, frame: Frame, target: Column, *, positive: Scalar = None) -> Policy:
        """Booleans and 0/1 know their yes; any other two values need `positive`. `DataError` for another
        number of values, `ConfigError` for prices that are not these two."""
        prices = self.prices(frame)
        return Policy(
            output=self.output,
            threshold=bayes_threshold(**prices) if prices else 0.5,
            labels=_labels(target, positive),
            cost=prices,
            currency=frame.currency,
        )

    def truth(self, target: Column, policy: Policy) -> NDArray[np.float64]:
        """1 for yes, 0 for no, NaN for what is missing or neither. Shape (n,)."""
        return codes_of(target, policy.labels)

    def known(self, truth: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Not NaN."""
        return ~np.isnan(truth)

    def outputs(self, batch: Batch, policy: Policy) -> NDArray[np.float64]:
        """The column `probability`, (n,)."""
        return numbers_of(batch, self.output)

    def answered(self, outputs: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Not NaN."""
        return ~np.isnan(outputs)

    def decide(self, outputs: Batch, policy: Policy) -> Batch:
        """Adds `decision`, a list of labels as str; None where the probability is missing."""
        probability = np.asarray(outputs.columns[self.output], dtype=np.float64)
        (no, yes), threshold = policy.labels, _threshold(policy)
        decision = [yes if value >= threshold else no if value < threshold else None for value in probability.tolist()]
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
        """All measures and the curves `roc`, `calibration`, `cost` and `scores_no`, `scores_yes`; a measure that
        the rows don't define (ROC AUC of one class, precision without a yes) is left out."""
        basis = on_rows(truth, groups, draws=draws)
        outputs, baseline = _probabilities(outputs), _probabilities(baseline)
        drawn = drawn_rows(
            truth, (outputs, baseline), groups=groups, threshold=_threshold(policy), draws=draws, seed=seed
        )
        mine, theirs = (
            {"roc_auc": each.roc_auc, "average_precision": each.average_precision} | _scores(each.sums, policy)
            for each in drawn
        )
        measures = measured(
            FORMULAS,
            mine,
            theirs,
            basis=basis,
            currency=policy.currency,
            noise={"calibration_error": calibration_noise(drawn[0].sums)},
        )
        return measures, [_roc(truth, outputs), *_curves(drawn[0].sums, policy, groups=basis.groups)]

    def losses(self, truth: NDArray[np.float64], outputs: NDArray[np.float64], policy: Policy) -> NDArray[np.float64]:
        """-log of the probability given to what happened, in nats; at most about 34."""
        given = np.where(truth > 0.5, outputs, 1 - outputs)
        return -np.log(np.maximum(given, LEAST_GIVEN))

    def mistakes(self, truth: NDArray[np.float64], outputs: NDArray[np.float64], policy: Policy) -> NDArray[np.float64]:
        """Of a decision on the wrong side of the threshold, its price as a share of the dearer one."""
        yes = outputs >= _threshold(policy)
        dearest = max(policy.cost.values(), default=0.0)
        wrongly, missed = (policy.cost[name] / dearest if dearest else 1.0 for name in PRICES)
        return np.where(yes, wrongly * (truth <= 0.5), missed * (truth > 0.5))

    def rates(self, truth: NDArray[np.float64], outputs: NDArray[np.float64], policy: Policy) -> Rates:
        """Selection rate, true and false positive rate at the policy's threshold."""
        yes = (outputs >= _threshold(policy)).astype(np.float64)
        return {
            "selection_rate": (yes, np.ones(len(yes))),
            "true_positive_rate": (yes * truth, truth),
            "false_positive_rate": (yes * (1 - truth), 1 - truth),
        }

    def apart(
        self, left: NDArray[np.float64], right: NDArray[np.float64], policy: Policy
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """|Δp|, and whether the two lie on different sides of the threshold."""
        threshold = _threshold(policy)
        away = ~(np.abs(left - threshold) <= CLOSE)
        return distance(left, right), ((left >= threshold) != (right >= threshold)) & away

    def count(self, truth: NDArray[np.float64], outputs: NDArray[np.float64], policy: Policy) -> Counts:
        """Histograms of positives and negatives over 200 bins, summed probabilities, the four cells at the policy's
        threshold, summed losses; see `kring.metrics.counts`. NaN outputs are counted as unanswered."""
        return count_rows(truth, _probabilities(outputs, unanswered=True), threshold=_threshold(policy))

    def measure_counts(
        self, windows: Sequence[Counts], baseline: Sequence[Counts], *, policy: Policy, draws: int, seed: int
    ) -> list[Measure]:
        """All but `average_precision`, from windows that hold outcomes; nothing from fewer than five of them."""
        paired = on_windows(windows, baseline, draws=draws, seed=seed)
        if paired is None:
            return []
        drawn = [window_sums(each, paired.weights) for each in (paired.mine, paired.baseline)]
        mine, theirs = ({"roc_auc": window_auc(sums)} | _scores(sums, policy) for sums in drawn)
        return measured(
            FORMULAS,
            mine,
            theirs,
            basis=paired.basis,
            currency=policy.currency,
            noise={"calibration_error": calibration_noise(drawn[0])},
        )

    def agreement(self, left: NDArray[np.float64], right: NDArray[np.float64], policy: Policy) -> list[Measure]:
        """`agreement`, `mean_difference`, `largest_difference`, `positive_rate.left` and `.right`."""
        yes_left, yes_right = left >= _threshold(policy), right >= _threshold(policy)
        return agreed(
            distance(left, right),
            shares={
                "agreement": yes_left == yes_right,
                "positive_rate.left": yes_left,
                "positive_rate.right": yes_right,
            },
        )


def _prices(cost: Mapping[str, float]) -> dict[str, float]:
    """The two prices, or none."""
    if not cost:
        return {}
    fine = set(cost) == set(PRICES) and all(0 <= cost[name] < np.inf for name in PRICES) and any(cost.values())
    if not fine:
        raise ConfigError(
            "the cost of mistakes needs both prices",
            got=", ".join(f"{name} = {price:g}" for name, price in cost.items()),
            allowed=f"{' and '.join(PRICES)}, each ≥ 0 and one > 0",
            key="frame.cost",
        )
    return {name: float(cost[name]) for name in PRICES}


def _labels(target: Column, positive: Scalar) -> tuple[str, str]:
    texts = list(rows_of_labels(target))
    if len(texts) != 2:
        many = ", ".join(texts[:5]) + (" …" if len(texts) > 5 else "")
        raise DataError(
            "the target needs two different values",
            got=f"{len(texts)} in {len(target)} rows: {many}" if texts else f"none in {len(target)} rows, all missing",
            allowed="one value for yes and one for no",
            next="check data.target, and that the rows in use hold both"
            + ('; for more than two, task = "multiclass"' if len(texts) > 2 else ""),
        )
    known = [SPELLINGS.get(text) for text in texts]
    yes = label_of(positive) if positive is not None else texts[1] if known == [False, True] else ""
    if yes not in texts:
        raise DataError(
            "which value of the target counts as yes is not known",
            got=f"positive = {yes!r}" if yes else "no positive value",
            allowed=" or ".join(repr(text) for text in texts),
            next="set data.positive to one of them",
        )
    return texts[1 - texts.index(yes)], yes


def _threshold(policy: Policy) -> float:
    if policy.threshold is None:
        raise ValueError("a policy over probabilities has a threshold")
    return policy.threshold


def _probabilities(outputs: NDArray[np.float64], *, unanswered: bool = False) -> Floats:
    """Outputs as float64 within [0, 1]; what rounding put beyond the ends is put back. NaN only if `unanswered`."""
    outputs = np.asarray(outputs, dtype=np.float64)
    wrong = ~((outputs >= -SLACK) & (outputs <= 1 + SLACK))
    if unanswered:
        wrong &= ~np.isnan(outputs)
    if wrong.any():
        place = int(np.argmax(wrong))
        raise DataError(
            "a probability lies between 0 and 1",
            got=f"{outputs[place]} in row {place}, {int(wrong.sum())} of {len(outputs)} rows are wrong",
            allowed="finite numbers from 0 to 1",
            next="look at what the candidate answers for that row",
        )
    return np.clip(outputs, 0.0, 1.0)


def _scores(sums: Sums, policy: Policy) -> dict[str, Floats]:
    return bin_scores(sums) | (bin_costs(sums, **policy.cost) if policy.cost else {})


def _roc(truth: Floats, probability: Floats) -> Curve:
    """Share of negatives against share of positives answered yes, at 200 thresholds at most."""
    true, every = (np.append(0.0, each) for each in passed(rank(truth, probability), np.ones(len(truth))))
    kept = np.unique(np.linspace(0, len(true) - 1, POINTS + 1).round().astype(np.intp))
    false = every - true
    x, y = false[kept] / max(false[-1], 1.0), true[kept] / max(true[-1], 1.0)
    return Curve(name="roc", x=_points(x), y=_points(y))


def _curves(sums: Sums, policy: Policy, *, groups: int) -> list[Curve]:
    """Calibration with its band and the rows of each bin, cost over threshold, and how scores are spread."""
    bins = curve_of(*calibration_sums(sums))
    low, high = percentile(bins.observed[1:], groups=groups)
    filled = bins.rows[0] > 0
    curves = [
        Curve(
            name="calibration",
            x=_points(bins.predicted[0][filled]),
            y=_points(bins.observed[0][filled]),
            low=_points(np.clip(low, 0, 1)[filled]),
            high=_points(np.clip(high, 0, 1)[filled]),
            weight=_points(bins.rows[0][filled]),
        )
    ]
    if policy.cost:
        cost = bin_cost_curve(sums, **policy.cost)
        low, high = percentile(cost[1:], groups=groups)
        curves.append(Curve(name="cost", x=_points(EDGES), y=_points(cost[0]), low=_points(low), high=_points(high)))
    middles = (np.arange(BARS) + 0.5) / BARS
    for name, bars in (("scores_no", sums.negative[0]), ("scores_yes", sums.positive[0])):
        rows = bars.reshape(BARS, FINE // BARS).sum(axis=1)
        curves.append(Curve(name=name, x=_points(middles), y=_points(rows / sums.rows[0]), weight=_points(rows)))
    return curves


def _points(values: Floats) -> tuple[float, ...]:
    return tuple(values.tolist())


TASK: Final = Classification()
