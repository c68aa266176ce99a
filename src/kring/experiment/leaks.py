"""Columns that give the answer away: what looks like skill is then a copy of the outcome."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from kring.errors import CandidateError
from kring.metrics.scores import roc_auc
from kring.record.batch import Batch, Column

if TYPE_CHECKING:
    from numpy.typing import NDArray

AUC_LIMIT: Final = 0.995
AUC_NOTE: Final = 0.97
CORRELATION_LIMIT: Final = 0.999
CORRELATION_NOTE: Final = 0.98
LEAST_ROWS: Final = 50
LEAST_OF_EACH: Final = 10
FEW_VALUES: Final = 64
COPIED_SHARE: Final = 0.05
COPIED_RATIO: Final = 5.0


def find_leaks(
    batch: Batch,
    truth: NDArray[np.float64],
    *,
    test: Batch | None = None,
    test_truth: NDArray[np.float64] | None = None,
) -> list[str]:
    """Notes on columns that alone come close to the outcome; `CandidateError` names those that determine it.

    `batch` and `truth` (shape (n,), NaN where missing) are the training part. A column determines a
    yes/no outcome when its AUC, either way round, is 0.995 or more, and a number when its
    correlation is 0.999 or more, each also with the column's categories (and its missingness)
    scored by the mean outcome of the other half of the rows, so that an identifier is no leak. With
    `test` and `test_truth`, held-out rows that stand in the training part five times as often as
    training rows repeat each other are a leak too.
    """
    known = ~np.isnan(truth)
    strengths = {name: _strength(column, truth, known) for name, column in batch.columns.items()}
    limit, note, measure = _scale(truth[known])
    leaking = [name for name, strength in strengths.items() if strength >= limit]
    if leaking:
        raise CandidateError(
            f"the prepared column {leaking[0]} alone gives the outcome away",
            got="; ".join(f"{name}: {measure} {strengths[name]:.4f}" for name in leaking),
            allowed=f"below {limit:g}",
            next=f"is {leaking[0]} known when the decision is made? If not, take it out of [prepare]; "
            "if it is, no model is needed: decide by a rule",
            key=f"prepare.{leaking[0]}",
        )
    if test is not None and test_truth is not None:
        _refuse_copies(batch, truth, test, test_truth)
    return [
        f"{name} alone reaches {measure} {strength:.3f}: make sure that it is known when the decision is made"
        for name, strength in strengths.items()
        if strength >= note
    ]


def _scale(truth: NDArray[np.float64]) -> tuple[float, float, str]:
    if _is_yes_no(truth):
        return AUC_LIMIT, AUC_NOTE, "AUC"
    return CORRELATION_LIMIT, CORRELATION_NOTE, "correlation"


def _is_yes_no(truth: NDArray[np.float64]) -> bool:
    return bool(np.isin(truth, (0.0, 1.0)).all())


def _strength(column: Column, truth: NDArray[np.float64], known: NDArray[np.bool_]) -> float:
    """The largest strength of any reading of the column; 0 where there are too few rows to tell."""
    values, truth = np.asarray(column)[known], truth[known]
    if values.dtype.kind not in "fiub":
        return _association(_by_other_half(_codes(values.astype(str)), truth), truth)
    numbers = values.astype(np.float64)
    present = np.isfinite(numbers)
    readings = [_association((~present).astype(np.float64), truth)]
    if 2 * present.sum() >= len(numbers):
        readings.append(_association(numbers[present], truth[present]))
    codes = _codes(np.where(present, numbers, np.inf))
    if codes.size and codes.max() < FEW_VALUES:
        readings.append(_association(_by_other_half(codes, truth), truth))
    return max(readings)


def _association(score: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    """AUC for yes/no truth, whichever way round; else the absolute correlation (Pearson)."""
    if len(truth) < LEAST_ROWS or np.ptp(score) == 0 or np.ptp(truth) == 0:
        return 0.0
    if _is_yes_no(truth):
        if min(truth.sum(), len(truth) - truth.sum()) < LEAST_OF_EACH:
            return 0.0
        auc = roc_auc(truth, score)
        return max(auc, 1 - auc)
    return abs(float(np.corrcoef(score, truth)[0, 1]))


def _codes(values: NDArray[np.generic]) -> NDArray[np.int64]:
    codes: NDArray[np.int64] = np.unique(values, return_inverse=True)[1].reshape(-1).astype(np.int64)
    return codes


def _by_other_half(codes: NDArray[np.int64], truth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each row's category scored by the mean truth of that category in the other half (odd or even rows)."""
    score = np.full(len(codes), truth.mean() if len(truth) else 0.0)
    odd = np.arange(len(codes)) % 2 == 1
    for half in (odd, ~odd):
        counts = np.bincount(codes[~half], minlength=codes.max(initial=0) + 1)
        sums = np.bincount(codes[~half], weights=truth[~half], minlength=len(counts))
        seen = counts[codes[half]] > 0
        means = np.divide(sums, counts, out=np.zeros(len(counts)), where=counts > 0)
        score[half] = np.where(seen, means[codes[half]], score[half])
    return score


def _refuse_copies(
    train: Batch, train_truth: NDArray[np.float64], test: Batch, test_truth: NDArray[np.float64]
) -> None:
    """Where rows are nearly all different, held-out rows that were learned from are copies."""
    names = list(train.columns)
    learned = _rows(train, names, train_truth)
    held_out = _rows(test, names, test_truth)
    if len(learned) < LEAST_ROWS or len(held_out) < LEAST_ROWS:
        return
    repeated = 1 - len(set(learned)) / len(learned)
    seen = set(learned)
    copied = sum(row in seen for row in held_out) / len(held_out)
    if copied >= COPIED_SHARE and copied >= COPIED_RATIO * repeated:
        raise CandidateError(
            f"{copied:.1%} of the held-out rows stand in the training part too, with the same outcome",
            got=f"{copied:.1%}, where {repeated:.1%} of the training rows repeat another",
            allowed=f"below {COPIED_SHARE:.0%}",
            next="the feed holds copies: declare a primary key in the contract (unique: true) and remove them",
        )


def _rows(batch: Batch, names: list[str], truth: NDArray[np.float64]) -> list[tuple[object, ...]]:
    columns = [_comparable(batch.columns[name]) for name in names]
    return list(zip(*columns, _comparable(truth), strict=True))


def _comparable(column: Column) -> list[object]:
    """Python values in which missing equals missing."""
    values = np.asarray(column)
    if values.dtype.kind != "f":
        return list(values.tolist())
    return [None if math.isnan(value) else value for value in values.tolist()]
