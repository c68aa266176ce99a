"""Which of several: a probability for each of three labels or more, and a price for missing each of them.

The decision is the label that is expected to cost least: the most probable one where missing any costs the same,
or where no price is named; the first of equals. Lifts are signed so that positive is better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kring.errors import ConfigError, DataError
from kring.metrics.answers import distance, numbers_of
from kring.metrics.calibration import Curve as Bins
from kring.metrics.calibration import calibration_curve, curve_of, gap_noise
from kring.metrics.estimated_labels import CONDITIONS, expected_labels, foreseen_labels, sureness_changed
from kring.metrics.intervals import percentile
from kring.metrics.label_counts import (
    LabelsDrawn,
    count_labels,
    drawn_labels,
    label_costs,
    label_scores,
    sure_sums,
    window_labels,
)
from kring.metrics.labels import label_log_losses, least_cost, leeway, precisions, recalls
from kring.metrics.measured import Formula, agreed, directions, foretold, measured, on_rows, on_windows
from kring.metrics.ranking import Floats, ratio
from kring.metrics.targets import codes_of, number_of, rows_of_labels
from kring.ports.task import Counts, Rates
from kring.record.batch import Batch, Column
from kring.record.contract import Scalar
from kring.record.evidence import Curve, Measure
from kring.record.system import Frame
from kring.record.version import Output, Policy

LEAST_LABELS: Final = 3
MOST_LABELS: Final = 100
LEAST_ROWS: Final = 10
"""A label with fewer rows to learn from can neither be learned nor judged."""

FEW_NUMBERS: Final = 20
"""More different numbers than these, not all of them whole, are a measurement and no label."""

SLACK: Final = 1e-6
WHOLE: Final = 1e-3
CLOSE: Final = 1e-4
SHOWN: Final = 5
COLUMN: Final = "probability."

FORMULAS: Final[Mapping[str, Formula]] = {
    "accuracy": Formula(1, "share of right decisions"),
    "balanced_accuracy": Formula(1, "mean recall of the labels that were true"),
    "macro_f1": Formula(1, "mean over labels of the harmonic mean of precision and recall"),
    "macro_precision": Formula(1, "mean over labels of the share of its decisions that is right"),
    "macro_recall": Formula(1, "mean over labels of the share of its rows that was found"),
    "roc_auc": Formula(1, "mean over labels of the share of pairs, of it and of others, in the right order"),
    "log_loss": Formula(-1, "mean of -log of the probability given to the true label, in nats"),
    "brier": Formula(-1, "mean of the squared differences of probability and truth, summed over labels"),
    "top_2_accuracy": Formula(1, "share of rows whose label is one of the two most probable"),
    "calibration_error": Formula(
        -1, "expected calibration error of the most probable label over 10 equal-width bins", skewed=True
    ),
    "expected_cost": Formula(-1, "mean cost of a decision at the prices of missing a label", money=True),
}
BY_LABEL: Final[Mapping[str, Formula]] = {
    "recall.": Formula(1, "share of the label's rows that was found", alone=True),
    "precision.": Formula(1, "share of the label's decisions that is right", alone=True),
}


class LabelEstimates:
    """Quality of probabilities over labels before labels come."""

    conditions: str = CONDITIONS

    def foresee(self, outputs: NDArray[np.float64], policy: Policy) -> Counts:
        """Summed probabilities of each label by decision."""
        return foreseen_labels(_probabilities(outputs, policy, unanswered=True), prices=_prices(policy))

    def estimate(self, seen: Counts, learned: Counts, *, policy: Policy, draws: int, seed: int) -> list[Measure]:
        """What the table of truth by decision gives (CBPE)."""
        sums = expected_labels(seen, labels=len(policy.labels), draws=draws, seed=seed)
        if sums is None:
            return []
        scores = _scores(LabelsDrawn(sums, np.full(draws + 1, np.nan)), policy)
        return foretold(_formulas(policy), scores, rows=int(sums.rows[0]), draws=draws, currency=policy.currency)

    def doubt(self, learned: Counts, recent: Counts, *, policy: Policy) -> str:
        """Whether the most probable label is right as often as was said."""
        return sureness_changed(recent)

    def misjudged(self, windows: Sequence[Counts], *, policy: Policy, draws: int, seed: int) -> Measure | None:
        """Nothing: no threshold decides."""
        return None


class Multiclass(LabelEstimates):
    """The task of three to a hundred labels. Truth is the place of a row's label among the policy's labels."""

    output: Output = "probabilities"
    metrics: Mapping[str, int] = directions(FORMULAS) | {f"{name}*": each.better for name, each in BY_LABEL.items()}
    largest_mistake: float = 1.0

    def prices(self, frame: Frame) -> dict[str, float]:
        """What missing each label costs, or nothing; `ConfigError` when no price is above 0."""
        if frame.cost and not (all(0 <= price < np.inf for price in frame.cost.values()) and any(frame.cost.values())):
            raise _unpriced(frame.cost, ())
        return {label: float(price) for label, price in frame.cost.items()}

    def policy(self, frame: Frame, target: Column, *, positive: Scalar = None) -> Policy:
        """The labels, as numbers or texts are ordered. `DataError` for fewer than three labels, more than a hundred,
        one with fewer than ten rows, or numbers that are measured; `ConfigError` for prices that are not one for
        each label, and for a `positive` value."""
        if positive is not None:
            raise ConfigError(
                "several labels have no yes", got=repr(positive), next="leave data.positive out", key="data.positive"
            )
        labels = _labels(rows_of_labels(target))
        prices = self.prices(frame)
        if prices and set(prices) != set(labels):
            raise _unpriced(frame.cost, labels)
        cost = {label: prices[label] for label in labels} if prices else {}
        return Policy(output=self.output, labels=labels, cost=cost, currency=frame.currency)

    def truth(self, target: Column, policy: Policy) -> NDArray[np.float64]:
        """The places of labels, NaN for what is missing or none of them. Shape (n,)."""
        return codes_of(target, policy.labels)

    def known(self, truth: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Not NaN."""
        return ~np.isnan(truth)

    def outputs(self, batch: Batch, policy: Policy) -> NDArray[np.float64]:
        """The column `probabilities`, or those called `probability.LABEL`, (n, labels)."""
        if self.output in batch.columns:
            return np.asarray(batch.columns[self.output], dtype=np.float64)
        return np.stack([numbers_of(batch, COLUMN + label) for label in policy.labels], axis=1)

    def answered(self, outputs: NDArray[np.float64]) -> NDArray[np.bool_]:
        """No NaN."""
        return np.asarray(~np.isnan(outputs).any(axis=1), dtype=np.bool_)

    def decide(self, outputs: Batch, policy: Policy) -> Batch:
        """`decision`, an array of labels as str, None where a probability is missing; and `probability.LABEL` for
        each label."""
        given = self.outputs(outputs, policy)
        said = least_cost(given, _prices(policy))
        columns = {name: column for name, column in outputs.columns.items() if name != self.output}
        columns["decision"] = np.array([*policy.labels, None], dtype=object)[said]
        columns |= {COLUMN + label: given[:, place] for place, label in enumerate(policy.labels)}
        return Batch(n=outputs.n, columns=columns)

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
        """All measures, `recall.LABEL` and `precision.LABEL` among them, and the curves `confidence`,
        `confusion.LABEL` (rows of that label by decision) and `calibration.LABEL`; a measure that the rows don't
        define is left out."""
        basis = on_rows(truth, groups, draws=draws)
        given = _probabilities(outputs, policy)
        both = (given, _probabilities(baseline, policy))
        codes = truth.astype(np.intp)
        drawn = drawn_labels(codes, both, groups=groups, prices=_prices(policy), draws=draws, seed=seed)
        mine, theirs = (_scores(each, policy) for each in drawn)
        measures = measured(
            _formulas(policy),
            mine,
            theirs,
            basis=basis,
            currency=policy.currency,
            noise={"calibration_error": gap_noise(*sure_sums(drawn[0].sums))},
        )
        return measures, [_confidence(drawn[0], groups=basis.groups), *_by_label(drawn[0], truth, given, policy)]

    def losses(self, truth: NDArray[np.float64], outputs: NDArray[np.float64], policy: Policy) -> NDArray[np.float64]:
        """-log of the probability given to the true label, in nats; at most 36."""
        return label_log_losses(truth.astype(np.intp), outputs)

    def mistakes(self, truth: NDArray[np.float64], outputs: NDArray[np.float64], policy: Policy) -> NDArray[np.float64]:
        """Of another label than the true one, the price of missing that as a share of the dearest one."""
        prices, true = _prices(policy), truth.astype(np.intp)
        return np.where(least_cost(outputs, prices) == true, 0.0, prices[true] / (prices.max() or 1.0))

    def rates(self, truth: NDArray[np.float64], outputs: NDArray[np.float64], policy: Policy) -> Rates:
        """The accuracy, and where one label is dearest to miss its selection, true positive and false positive rate."""
        prices, every = _prices(policy), np.ones(len(truth))
        said = least_cost(outputs, prices)
        rates = {"accuracy": ((said == truth) * 1.0, every)}
        dearest = np.flatnonzero(prices == prices.max())
        if len(dearest) > 1:
            return rates
        yes, true = (said == dearest[0]) * 1.0, (truth == dearest[0]) * 1.0
        return rates | {
            "selection_rate": (yes, every),
            "true_positive_rate": (yes * true, true),
            "false_positive_rate": (yes * (1 - true), 1 - true),
        }

    def apart(
        self, left: NDArray[np.float64], right: NDArray[np.float64], policy: Policy
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """The largest |Δp| of a row, and whether another label is decided though no tie was near."""
        prices = _prices(policy)
        near = leeway(left, prices) <= CLOSE
        return distance(left, right), (least_cost(left, prices) != least_cost(right, prices)) & ~near

    def count(self, truth: NDArray[np.float64], outputs: NDArray[np.float64], policy: Policy) -> Counts:
        """The table of truth by decision, bins of confidence and of each label's probability, summed losses; see
        `kring.metrics.label_counts`. NaN outputs are counted as unanswered."""
        return count_labels(truth, _probabilities(outputs, policy, unanswered=True), prices=_prices(policy))

    def measure_counts(
        self, windows: Sequence[Counts], baseline: Sequence[Counts], *, policy: Policy, draws: int, seed: int
    ) -> list[Measure]:
        """All measures, from windows that hold outcomes; nothing from fewer than five of them."""
        paired = on_windows(windows, baseline, draws=draws, seed=seed)
        if paired is None:
            return []
        labels = len(policy.labels)
        drawn = [window_labels(each, paired.weights, labels=labels) for each in (paired.mine, paired.baseline)]
        mine, theirs = (_scores(each, policy) for each in drawn)
        return measured(
            _formulas(policy),
            mine,
            theirs,
            basis=paired.basis,
            currency=policy.currency,
            noise={"calibration_error": gap_noise(*sure_sums(drawn[0].sums))},
        )

    def agreement(self, left: NDArray[np.float64], right: NDArray[np.float64], policy: Policy) -> list[Measure]:
        """`agreement`, and `mean_difference`, `largest_difference` of a row's largest |Δp|."""
        prices = _prices(policy)
        return agreed(
            distance(left, right), shares={"agreement": least_cost(left, prices) == least_cost(right, prices)}
        )


def _labels(rows: Mapping[str, int]) -> tuple[str, ...]:
    """The labels, when they are labels and each can be learned."""
    if _is_measured(list(rows)):
        raise _unfit("the target is a measured number and no label", rows, next='to predict it, task = "regression"')
    if len(rows) < LEAST_LABELS:
        other = 'two labels are another question: task = "classification"'
        next = other if len(rows) > 1 else "check data.target, and that the rows in use hold all labels"
        raise _unfit("the target needs three different values or more", rows, next=next)
    if len(rows) > MOST_LABELS:
        raise _unfit(
            "the target has too many different values", rows, next="join rare labels in the data as one: other"
        )
    rare = [f"{label}: {count}" for label, count in rows.items() if count < LEAST_ROWS]
    if rare:
        raise DataError(
            "a label has too few rows to be learned from",
            got=_some(rare),
            allowed=f"{LEAST_ROWS} rows or more of each label",
            next="give more data, join rare labels in the data as one (other), or leave their rows out",
        )
    return tuple(rows)


def _is_measured(labels: Sequence[str]) -> bool:
    """Whether these are too many numbers to be names of something."""
    numbers = [number for label in labels if (number := number_of(label)) is not None]
    if len(numbers) < len(labels) or len(labels) <= FEW_NUMBERS:
        return False
    return len(labels) > MOST_LABELS or not all(number.is_integer() for number in numbers)


def _unfit(message: str, rows: Mapping[str, int], *, next: str) -> DataError:
    return DataError(
        message,
        got=f"{len(rows)} in {sum(rows.values())} rows: {_some(list(rows))}" if rows else "none, all are missing",
        allowed=f"{LEAST_LABELS} to {MOST_LABELS} labels",
        next=next,
    )


def _unpriced(cost: Mapping[str, float], labels: Sequence[str]) -> ConfigError:
    return ConfigError(
        "the cost of mistakes needs a price for missing each label",
        got=", ".join(f"{name} = {price:g}" for name, price in cost.items()),
        allowed=f"{_some(labels)}, each ≥ 0 and one > 0" if labels else "prices ≥ 0, one of them > 0",
        next="name each label once under frame.cost, or none",
        key="frame.cost",
    )


def _some(words: Sequence[str]) -> str:
    return ", ".join(words[:SHOWN]) + (" …" if len(words) > SHOWN else "")


def _prices(policy: Policy) -> Floats:
    """What missing each label costs, (labels,): 1 where no price is named."""
    return np.array([policy.cost.get(label, 1.0) for label in policy.labels])


def _probabilities(outputs: NDArray[np.float64], policy: Policy, *, unanswered: bool = False) -> Floats:
    """Outputs as float64 (n, labels) within [0, 1]; what rounding put beyond is put back. NaN only if `unanswered`."""
    outputs = np.asarray(outputs, dtype=np.float64).reshape(-1, len(policy.labels))
    within = ((outputs >= -SLACK) & (outputs <= 1 + SLACK)).all(axis=1)
    wrong = ~(within & (np.abs(outputs.sum(axis=1) - 1) <= WHOLE))
    if unanswered:
        wrong &= ~np.isnan(outputs).any(axis=1)
    if wrong.any():
        place = int(np.argmax(wrong))
        raise DataError(
            "the probabilities of labels lie between 0 and 1 and add up to 1",
            got=f"{_some([f'{p:g}' for p in outputs[place]])} in row {place},"
            f" {int(wrong.sum())} of {len(outputs)} rows are wrong",
            allowed="finite numbers from 0 to 1 that add up to 1",
            next="look at what the candidate answers for that row",
        )
    return np.clip(outputs, 0.0, 1.0)


def _formulas(policy: Policy) -> dict[str, Formula]:
    named = {name + label: formula for name, formula in BY_LABEL.items() for label in policy.labels}
    return {**FORMULAS, **named}


def _scores(drawn: LabelsDrawn, policy: Policy) -> dict[str, Floats]:
    table = drawn.sums.table
    scores = {**label_scores(drawn.sums), "roc_auc": drawn.roc_auc}
    for name, shares in (("recall.", recalls(table)), ("precision.", precisions(table))):
        scores |= {name + label: shares[:, place] for place, label in enumerate(policy.labels)}
    return scores | (label_costs(drawn.sums, _prices(policy)) if policy.cost else {})


def _confidence(drawn: LabelsDrawn, *, groups: int) -> Curve:
    """Calibration of the most probable label, with its band and the rows of each bin."""
    bins = curve_of(*sure_sums(drawn.sums))
    low, high = (np.clip(end, 0, 1) for end in percentile(bins.observed[1:], groups=groups))
    return _drawable("confidence", Bins(*(each[0] for each in bins)), low=low, high=high)


def _by_label(drawn: LabelsDrawn, truth: Floats, given: Floats, policy: Policy) -> list[Curve]:
    """How the rows of each label were decided, and the calibration of each label's probability."""
    places = tuple(float(place) for place in range(len(policy.labels)))
    table = drawn.sums.table[0]
    shares = ratio(table, table.sum(axis=1)[:, None], empty=0.0)
    decided = [
        Curve(name=f"confusion.{label}", x=places, y=_points(share), weight=_points(rows))
        for label, rows, share in zip(policy.labels, table, shares, strict=True)
    ]
    return decided + [
        _drawable(f"calibration.{label}", calibration_curve((truth == place) * 1.0, given[:, place]))
        for place, label in enumerate(policy.labels)
    ]


def _drawable(name: str, bins: Bins, **band: Floats) -> Curve:
    filled = bins.rows > 0
    ends = {end: _points(values[filled]) for end, values in band.items()}
    return Curve(
        name=name,
        x=_points(bins.predicted[filled]),
        y=_points(bins.observed[filled]),
        low=ends.get("low", ()),
        high=ends.get("high", ()),
        weight=_points(bins.rows[filled]),
    )


def _points(values: Floats) -> tuple[float, ...]:
    return tuple(values.tolist())


TASK: Final = Multiclass()
