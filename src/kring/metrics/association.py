"""How much one column alone says of the outcome, whatever the column is: a number, a category, a gap."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from kring.metrics.scores import roc_auc
from kring.record.batch import Column

LEAST_ROWS: Final = 50
LEAST_OF_EACH: Final = 10
FEW_VALUES: Final = 64
RESIDUE: Final = 0.01
"""The standard deviation of what a linear copy leaves over, as a share of the target's."""

Floats = NDArray[np.float64]


def is_yes_no(truth: Floats) -> bool:
    return bool(np.isin(truth, (0.0, 1.0)).all())


def strength(column: Column, truth: Floats, known: NDArray[np.bool_]) -> float:
    """The largest strength of any reading of the column (n,): as a number, by its gaps, by its categories, each
    scored by the mean truth of the other half of the rows. AUC, whichever way round, for a truth (n,) of 0 and 1,
    else the absolute correlation; 0 where there are too few `known` rows to tell."""
    values, truth = np.asarray(column)[known], truth[known]
    if values.dtype.kind not in "fiub":
        return association(by_other_half(codes_of(values.astype(str)), truth), truth)
    numbers = values.astype(np.float64)
    present = np.isfinite(numbers)
    readings = [association((~present).astype(np.float64), truth)]
    if 2 * present.sum() >= len(numbers):
        readings.append(association(numbers[present], truth[present]))
    codes = codes_of(np.where(present, numbers, np.inf))
    if codes.size and codes.max() < FEW_VALUES:
        readings.append(association(by_other_half(codes, truth), truth))
    return max(readings)


def association(score: Floats, truth: Floats) -> float:
    """AUC for yes/no truth, whichever way round; else the absolute correlation (Pearson)."""
    if len(truth) < LEAST_ROWS or np.ptp(score) == 0 or np.ptp(truth) == 0:
        return 0.0
    if is_yes_no(truth):
        if min(truth.sum(), len(truth) - truth.sum()) < LEAST_OF_EACH:
            return 0.0
        auc = roc_auc(truth, score)
        return max(auc, 1 - auc)
    return abs(float(np.corrcoef(score, truth)[0, 1]))


def codes_of(values: NDArray[np.generic]) -> NDArray[np.int64]:
    """A whole number for each different value."""
    codes: NDArray[np.int64] = np.unique(values, return_inverse=True)[1].reshape(-1).astype(np.int64)
    return codes


def by_other_half(codes: NDArray[np.int64], truth: Floats) -> Floats:
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


def labels_told(column: Column, labels: NDArray[np.int64]) -> float:
    """The share of rows (n,) whose label is the one that is most common, in the other half of the rows, among rows
    with the same value; numbers with many values are put into 64 bins of equal size first."""
    values = np.asarray(column)
    if values.dtype.kind in "fiub":
        numbers = np.nan_to_num(values.astype(np.float64), nan=np.inf)
        codes = codes_of(numbers)
        if codes.max(initial=0) >= FEW_VALUES:
            codes = (codes_of(numbers.argsort(kind="stable").argsort()) * FEW_VALUES) // len(numbers)
    else:
        codes = codes_of(values.astype(str))
    right = 0
    odd = np.arange(len(codes)) % 2 == 1
    for half in (odd, ~odd):
        table = np.zeros((int(codes.max(initial=0)) + 1, int(labels.max(initial=0)) + 1))
        np.add.at(table, (codes[~half], labels[~half]), 1)
        seen = table.sum(axis=1)[codes[half]] > 0
        right += int((seen & (table.argmax(axis=1)[codes[half]] == labels[half])).sum())
    return right / max(1, len(codes))


def linear_copy(columns: dict[str, Floats], truth: Floats) -> list[str]:
    """The smallest set of columns (each (n,), finite) whose weighted sum and a constant give `truth` (n,), but for
    one percent of its spread; empty when there is none. Least squares, columns dropped as long as it holds."""
    names = [name for name, values in columns.items() if np.ptp(values) > 0]
    if len(truth) < LEAST_ROWS or np.ptp(truth) == 0 or not names:
        return []
    matrix = np.column_stack([_scaled(columns[name]) for name in names])
    goal = _scaled(truth)
    if len(goal) < 5 * len(names) or not _copied(matrix, goal):
        return []
    weights = np.abs(np.linalg.lstsq(matrix, goal, rcond=None)[0])
    kept = list(range(len(names)))
    for place in np.argsort(weights).tolist():
        fewer = [each for each in kept if each != place]
        if fewer and _copied(matrix[:, fewer], goal):
            kept = fewer
    return [names[place] for place in sorted(kept)]


def _scaled(values: Floats) -> Floats:
    scaled: Floats = (values - values.mean()) / values.std()
    return scaled


def _copied(matrix: NDArray[np.float64], goal: Floats) -> bool:
    weights = np.linalg.lstsq(matrix, goal, rcond=None)[0]
    return bool(np.std(goal - matrix @ weights) < RESIDUE)
