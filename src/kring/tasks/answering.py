"""An answer in words with its sources, or none: questions put to documents.

The target names what ought to be cited: pages (`docs/a.md`) or headings of pages (`docs/a.md#b`), separated by
blanks, any of which would do; `none` when the documents don't say. A page stands for each of its headings. In arrays
a name is a number: the first 52 bits of its SHA-256, which float64 holds exactly.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kring.errors import ConfigError, DataError
from kring.metrics.answers import numbers_of
from kring.metrics.intervals import enough_groups
from kring.metrics.measured import Basis, Formula, agreed, directions, measured, on_windows
from kring.metrics.ranking import Floats, ratio
from kring.metrics.retrieval import DEEPEST, Judged, judged, losses, means, support_auroc
from kring.metrics.sums import drawn_sums
from kring.ports.task import Counts, Rates
from kring.record.batch import Batch, Column
from kring.record.contract import Scalar
from kring.record.evidence import Curve, Measure
from kring.record.system import Frame
from kring.record.version import Output, Policy

NO_ANSWER: Final = "no answer found"
NONE: Final = "none"
"""What the target says of a question that the documents don't answer."""

PRICES: Final = ("wrong_answer", "wrong_refusal")
EVEN: Final = 0.5
"""The threshold on support: candidates scale it so that this is where answering begins to pay."""

MOST_EXPECTED: Final = 16
UNANSWERABLE: Final = 0.0
SCALE: Final = 1_000_000
CLOSE: Final = 1e-4

FORMULAS: Final[Mapping[str, Formula]] = {
    "recall_at_1": Formula(1, "share of the expected citations that come first"),
    "recall_at_5": Formula(1, "share of the expected citations among the first 5"),
    "recall_at_10": Formula(1, "share of the expected citations among the first 10"),
    "ndcg_at_10": Formula(1, "discounted gain of the first 10 citations / the best possible"),
    "mrr": Formula(1, "mean of 1 / place of the first right citation"),
    "answer_accuracy": Formula(1, "answers whose first citation is right / answers"),
    "answered_share": Formula(0, "answers / questions"),
    "refusal_accuracy": Formula(1, "questions answered or refused as they ought to be / questions"),
    "refusal_precision": Formula(1, "unanswerable questions among those refused"),
    "refusal_recall": Formula(1, "refusals among unanswerable questions"),
    "support_auroc": Formula(1, "pairs of an answerable and an unanswerable question that support puts in order"),
    "expected_cost": Formula(-1, "mean cost at the prices of a wrong answer and a wrong refusal", money=True),
}


class NoEstimates:
    """Answers in words are not estimated."""

    conditions: str = ""

    def foresee(self, outputs: NDArray[np.float64], policy: Policy) -> Counts:
        """Nothing: support is no probability of being right."""
        return {}

    def estimate(self, seen: Counts, learned: Counts, *, policy: Policy, draws: int, seed: int) -> list[Measure]:
        """Nothing."""
        return []

    def doubt(self, learned: Counts, recent: Counts, *, policy: Policy) -> str:
        """Always: there is no estimate."""
        return "answers in words are not estimated without labels"

    def misjudged(self, windows: Sequence[Counts], *, policy: Policy, draws: int, seed: int) -> Measure | None:
        """Nothing: no probability decides."""
        return None


class Answering(NoEstimates):
    """Truth is (n, 16): numbers of the expected citations, 0 first where none is right, NaN first where that is not
    known. Outputs are (n, 21): support, then heading and page of each of ten citations."""

    output: Output = "answer"
    metrics: Mapping[str, int] = directions(FORMULAS)
    largest_mistake: float = 1.0

    def prices(self, frame: Frame) -> dict[str, float]:
        """`wrong_answer` and `wrong_refusal`, or none; `ConfigError` for anything else."""
        cost = frame.cost
        if cost and (set(cost) != set(PRICES) or not all(0 <= price < np.inf for price in cost.values())):
            raise ConfigError(
                "the cost of mistakes needs both prices",
                got=", ".join(f"{name} = {price:g}" for name, price in cost.items()),
                allowed=f"{' and '.join(PRICES)}, each ≥ 0",
                key="frame.cost",
            )
        return {name: float(cost[name]) for name in PRICES} if cost else {}

    def policy(self, frame: Frame, target: Column, *, positive: Scalar = None) -> Policy:
        """An answer is given from support 0.5 on. `DataError` for a target without any citation, or with more
        than 16 in one row; `ConfigError` for a `positive` value."""
        if positive is not None:
            raise ConfigError(
                "an answer has no yes", got=repr(positive), next="leave data.positive out", key="data.positive"
            )
        expected = [_names(value) for value in target]
        if not any(expected):
            raise DataError(
                "the target names nothing that ought to be cited",
                got=f"{len(expected)} rows without a citation",
                allowed=f"pages or page#heading, separated by blanks, or {NONE!r}",
                next="check data.target",
            )
        return Policy(output=self.output, threshold=EVEN, cost=self.prices(frame), currency=frame.currency)

    def truth(self, target: Column, policy: Policy) -> NDArray[np.float64]:
        """Numbers of the expected citations, (n, 16); see the class."""
        rows = np.full((len(target), MOST_EXPECTED), np.nan)
        for row, value in enumerate(target):
            names = _names(value)
            if names is not None:
                numbers = [number_of(name) for name in names] or [UNANSWERABLE]
                rows[row, : len(numbers)] = numbers
        return rows

    def known(self, truth: NDArray[np.float64]) -> NDArray[np.bool_]:
        """The first column is not NaN."""
        return ~np.isnan(truth[:, 0])

    def outputs(self, batch: Batch, policy: Policy) -> NDArray[np.float64]:
        """The columns `support` and `citations` as numbers, (n, 21)."""
        rows = np.full((batch.n, 1 + 2 * DEEPEST), np.nan)
        rows[:, 0] = numbers_of(batch, "support")
        for row, text in enumerate(batch.columns.get("citations", ())):
            cited = str(text or "").split()[:DEEPEST]
            numbers = [number for name in cited for number in (number_of(name), number_of(page_of(name)))]
            rows[row, 1 : 1 + len(numbers)] = numbers
        return rows

    def answered(self, outputs: NDArray[np.float64]) -> NDArray[np.bool_]:
        """The rows that know how far they are supported: a refusal is an answer too."""
        return ~np.isnan(outputs[:, 0])

    def decide(self, outputs: Batch, policy: Policy) -> Batch:
        """Adds `decision`: the answer where support reaches the threshold, else "no answer found"; None where
        there is no usable support."""
        support = numbers_of(outputs, "support")
        usable = (support >= 0) & (support <= 1)
        texts = outputs.columns["answer"]
        said = [
            None if not fine else str(text) if share >= _threshold(policy) and text else NO_ANSWER
            for text, share, fine in zip(texts, support.tolist(), usable.tolist(), strict=True)
        ]
        return Batch(outputs.n, {**outputs.columns, "decision": np.array(said, dtype=object)})

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
        """All measures, and of each 21 thresholds on support the share of questions that are treated rightly."""
        count = enough_groups(groups)
        basis = Basis(len(truth), count, f"95 % interval by {draws} draws of {count} groups")
        mine, theirs = (
            _drawn(_judged(truth, each, policy), groups, policy, draws=draws, seed=seed) for each in (outputs, baseline)
        )
        measures = measured(FORMULAS, mine, theirs, basis=basis, currency=policy.currency)
        return measures, [_curve(_judged(truth, outputs, policy))]

    def losses(self, truth: NDArray[np.float64], outputs: NDArray[np.float64], policy: Policy) -> NDArray[np.float64]:
        """The price of each mistake; 1 for either without prices."""
        prices = policy.cost or dict.fromkeys(PRICES, 1.0)
        return losses(_judged(truth, outputs, policy), **prices)

    def mistakes(self, truth: NDArray[np.float64], outputs: NDArray[np.float64], policy: Policy) -> NDArray[np.float64]:
        """The price of each mistake as a share of the dearer one."""
        return self.losses(truth, outputs, policy) / (max(policy.cost.values(), default=1.0) or 1.0)

    def rates(self, truth: NDArray[np.float64], outputs: NDArray[np.float64], policy: Policy) -> Rates:
        """`answered_share`, `answer_accuracy`, `refusal_accuracy` and `recall_at_5`."""
        found = means(_judged(truth, outputs, policy), cost={})
        return {name: found[name] for name in ("answered_share", "answer_accuracy", "refusal_accuracy", "recall_at_5")}

    def apart(
        self, left: NDArray[np.float64], right: NDArray[np.float64], policy: Policy
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """The difference of support, and 1 more where something else is cited. The decision differs where one answers
        and the other refuses, or both answer and cite another page first."""
        cited = (left[:, 1:] != right[:, 1:]) & ~(np.isnan(left[:, 1:]) & np.isnan(right[:, 1:]))
        distance = np.abs(left[:, 0] - right[:, 0]) + cited.any(axis=1)
        limit = _threshold(policy)
        says, other = left[:, 0] >= limit, right[:, 0] >= limit
        differs = (says != other) & (np.abs(left[:, 0] - limit) > CLOSE) | says & other & cited[:, 0]
        return np.where(np.isnan(distance), np.inf, distance), differs

    def count(self, truth: NDArray[np.float64], outputs: NDArray[np.float64], policy: Policy) -> Counts:
        """`n`, `missing`, `unanswered`, and of each mean the two sums, in millionths."""
        known, answered = self.known(truth), self.answered(outputs)
        both = known & answered
        rows = _judged(truth[both], outputs[both], policy)
        sums = {name: tuple(map(_fixed, pair)) for name, pair in means(rows, cost=policy.cost).items()}
        missing = {"missing": (int((~known).sum()),), "unanswered": (int((known & ~answered).sum()),)}
        return {"n": (int(both.sum()),), **missing, **sums}

    def measure_counts(
        self, windows: Sequence[Counts], baseline: Sequence[Counts], *, policy: Policy, draws: int, seed: int
    ) -> list[Measure]:
        """All metrics but `support_auroc`, from windows that hold outcomes; nothing from fewer than five of them."""
        paired = on_windows(windows, baseline, draws=draws, seed=seed)
        if paired is None:
            return []
        mine, theirs = (_summed(each, paired.weights) for each in (paired.mine, paired.baseline))
        return measured(FORMULAS, mine, theirs, basis=paired.basis, currency=policy.currency)

    def agreement(self, left: NDArray[np.float64], right: NDArray[np.float64], policy: Policy) -> list[Measure]:
        """`agreement` (both refuse, or both cite the same first), `mean_difference` and `largest_difference` of
        support, and the share that each answers."""
        limit = _threshold(policy)
        says, other = left[:, 0] >= limit, right[:, 0] >= limit
        same = (says == other) & (~says | (left[:, 1] == right[:, 1]))
        shares = {"agreement": same, "answered_share.left": says, "answered_share.right": other}
        return agreed(np.abs(left[:, 0] - right[:, 0]), shares=shares)


@lru_cache(maxsize=1 << 16)
def number_of(name: str) -> float:
    """The number that stands for a name: from 1 to 2^52."""
    return float((int.from_bytes(hashlib.sha256(name.encode("utf-8", "replace")).digest()[:8], "big") >> 12) + 1)


def page_of(name: str) -> str:
    """`docs/a.md` of `docs/a.md#b`."""
    return name.partition("#")[0]


def _names(value: object) -> list[str] | None:
    """The expected citations in a value of the target, without headings of pages that are expected as a whole; none
    of a question that can't be answered, None of one of which nothing is known."""
    if not isinstance(value, str) or not value.strip():
        return None
    names = list(dict.fromkeys(name for name in value.split() if name != NONE))
    names = [name for name in names if page_of(name) == name or page_of(name) not in names]
    if len(names) > MOST_EXPECTED:
        raise DataError(
            "too many citations are expected of one answer", got=f"{len(names)}", allowed=f"{MOST_EXPECTED} at the most"
        )
    return names


def _threshold(policy: Policy) -> float:
    return EVEN if policy.threshold is None else policy.threshold


def _judged(truth: Floats, outputs: Floats, policy: Policy) -> Judged:
    expected = np.where(truth == UNANSWERABLE, np.nan, truth)
    cited = outputs[:, 1:].reshape(len(outputs), DEEPEST, 2)
    return judged(expected, cited, support=outputs[:, 0], threshold=_threshold(policy))


def _drawn(rows: Judged, groups: NDArray[np.int64], policy: Policy, *, draws: int, seed: int) -> dict[str, Floats]:
    """Every score for the rows as they are and for each draw, (1 + draws,)."""
    found = means(rows, cost=policy.cost)
    columns = np.stack([column for pair in found.values() for column in pair], axis=1)
    sums = drawn_sums(columns, groups, draws=draws, seed=seed)
    scores = {name: ratio(sums[:, 2 * at], sums[:, 2 * at + 1]) for at, name in enumerate(found)}
    return {**scores, "support_auroc": support_auroc(rows, groups, draws=draws, seed=seed)}


def _summed(windows: Iterable[Counts], weights: Floats) -> dict[str, Floats]:
    """Every score from the sums of windows, under each of `weights` (1 + draws, windows)."""
    windows = list(windows)
    names = [name for name in FORMULAS if all(name in window for window in windows)]
    tables = {name: np.array([window[name] for window in windows], dtype=np.float64) for name in names}
    return {name: ratio(weights @ table[:, 0], weights @ table[:, 1]) for name, table in tables.items()}


def _fixed(column: Floats) -> int:
    return int(np.rint(column * SCALE).astype(np.int64).sum())


def _curve(rows: Judged) -> Curve:
    """Refusal accuracy over the threshold on support."""
    limits = np.linspace(0, 1, 21)
    rightly = [float(((rows.support >= limit) == (rows.expected > 0)).mean()) for limit in limits]
    return Curve(name="refusals", x=tuple(limits.tolist()), y=tuple(rightly))


TASK: Final = Answering()
