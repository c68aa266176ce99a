"""Outcomes that look wrong, from answers of a model that never saw them.

Labels: confident learning (Northcutt, Jiang & Chuang 2021), with two cautions. A label is doubted only where the
model usually recognises it, and only beside another label of which it is sure. How many of the doubted labels are
wrong is read off the surest answers: what contradicts them beyond the model's own doubt is error.

Numbers: residuals over their usual size. What is usual is an exponential tail laid through the middle half of
the residuals' sizes, which errors in a few of the rows hardly touch.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kring.metrics.intervals import wilson
from kring.metrics.ranking import Floats

SURE: Final = 0.9
"""A label is doubted only where another one has at least this probability."""

RECOGNISED: Final = 0.5
"""A label is doubted only when rows that carry it get it with this probability, in the mean."""

FLOOR: Final = 0.005
"""Errors are believed in when more than this share of the surest answers contradict the label."""

SUREST: Final = 3
"""The surest third of the sure answers."""

FEWEST: Final = 30
MIDDLE: Final = (0.5, 0.9)
FALSE: Final = 0.1
"""So many of the doubted numbers may be expected to be right."""

PARTS: Final = 10


class Doubted(NamedTuple):
    """Rows (k,) that look wrong, the most suspicious first; the share of them expected to be right after all.
    `instead` (k,) is the label, or number, that the model says."""

    rows: NDArray[np.intp]
    instead: Floats
    false_share: float


NOTHING: Final = Doubted(np.zeros(0, dtype=np.intp), np.zeros(0), 0.0)


def doubted_labels(given: NDArray[np.intp], probability: Floats) -> Doubted:
    """Labels `given` (n,), from 0, that contradict `probability` (n, k) of every label, out of fold."""
    labels = probability.shape[1]
    usual = np.array([_mean(probability[given == label, label]) for label in range(labels)])
    own = probability[np.arange(len(given)), given]
    best = probability.argmax(axis=1)
    top = probability.max(axis=1)
    sure = (top >= np.maximum(usual[best], SURE)) & (usual[given] >= RECOGNISED)
    rows: list[NDArray[np.intp]] = []
    wrong = 0.0
    for label in range(labels):
        about = np.flatnonzero(sure & (best == label))
        against = given[about] != label
        errors = _errors(top[about], against)
        if errors:
            rows.append(about[against])
            wrong += min(errors, float(against.sum()))
    if not rows:
        return NOTHING
    found = np.concatenate(rows)
    found = found[np.argsort(own[found], kind="stable")]
    return Doubted(found, best[found].astype(np.float64), 1 - wrong / len(found))


def doubted_numbers(given: Floats, said: Floats) -> Doubted:
    """Numbers `given` (n,) that lie further from what was `said` (n,), out of fold, than residuals usually do.

    Residuals are measured in the median size of those with like answers, in tenths. No more are named than
    leave a tenth of them to luck.
    """
    if len(given) < PARTS * FEWEST:
        return NOTHING
    residual = given - said
    size = np.abs(residual - np.median(residual))
    scale = np.empty(len(given))
    for part in np.array_split(np.argsort(said, kind="stable"), PARTS):
        scale[part] = np.median(size[part])
    if not scale.all():
        return NOTHING
    sizes = size / scale
    order = np.argsort(-sizes, kind="stable")
    expected = len(given) * _usual(sizes, sizes[order])
    shares = expected / np.arange(1, len(given) + 1)
    fine = np.flatnonzero(shares <= FALSE)
    if not len(fine):
        return NOTHING
    found = order[: fine[-1] + 1]
    return Doubted(found, said[found], float(shares[fine[-1]]))


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else 0.0


def _errors(certainty: Floats, against: NDArray[np.bool_]) -> float:
    """How many of the sure answers meet a wrong label: the rate of contradiction among the surest beyond the doubt
    that the model itself has there, over all of them. 0 where it may be no more than that doubt, or rests on too
    few rows."""
    surest = np.argsort(-certainty, kind="stable")[: len(certainty) // SUREST]
    if len(surest) < FEWEST:
        return 0.0
    contradicted = int(against[surest].sum())
    low, _ = wilson(contradicted, len(surest))
    doubt = float((1 - certainty[surest]).mean())
    return (contradicted / len(surest) - doubt) * len(certainty) if low > max(FLOOR, doubt) else 0.0


def _usual(sizes: Floats, at: Floats) -> Floats:
    """The share of usual residuals at least as large as `at`."""
    inner, outer = np.quantile(sizes, MIDDLE)
    rest = 1 - MIDDLE[1]
    decay = (outer - inner) / np.log((1 - MIDDLE[0]) / rest)
    if decay <= 0:
        return np.ones(len(at))
    return np.where(at < outer, 1.0, rest * np.exp(-(np.maximum(at, outer) - outer) / decay))
