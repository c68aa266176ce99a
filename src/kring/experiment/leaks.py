"""Columns that give the answer away: what looks like skill is then a copy of the outcome."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from kring.errors import CandidateError
from kring.metrics.association import LEAST_ROWS, is_yes_no, labels_told, strength
from kring.record.batch import Batch, Column

if TYPE_CHECKING:
    from numpy.typing import NDArray

AUC_LIMIT: Final = 0.995
AUC_NOTE: Final = 0.97
CORRELATION_LIMIT: Final = 0.999
CORRELATION_NOTE: Final = 0.98
TOLD_LIMIT: Final = 0.99
TOLD_NOTE: Final = 0.95
YES_AND_NO: Final = 2
COPIED_SHARE: Final = 0.05
COPIED_RATIO: Final = 5.0


def find_leaks(
    batch: Batch,
    truth: NDArray[np.float64],
    *,
    labels: int = 0,
    test: Batch | None = None,
    test_truth: NDArray[np.float64] | None = None,
) -> list[str]:
    """Notes on columns that alone come close to the outcome; `CandidateError` names those that determine it.

    `batch` and `truth` (shape (n,), NaN where missing) are the training part. A column determines a
    yes/no outcome when its AUC, either way round, is 0.995 or more, and a number when its
    correlation is 0.999 or more, each also with the column's categories (and its missingness)
    scored by the mean outcome of the other half of the rows, so that an identifier is no leak. With three
    `labels` or more, of which `truth` holds the places, a column determines the outcome when its values say
    the label in 99 % of the rows where the commonest label is wrong: to tell one label from all others is no
    leak. With `test` and `test_truth`, held-out rows that stand in the training part five times as often as
    training rows repeat each other are a leak too.
    """
    known = ~np.isnan(truth)
    several = labels > YES_AND_NO
    strengths = {
        name: told(column, truth, known) if several else strength(column, truth, known)
        for name, column in batch.columns.items()
    }
    limit, note, measure = (TOLD_LIMIT, TOLD_NOTE, "reduction of errors") if several else _scale(truth[known])
    leaking = [name for name, found in strengths.items() if found >= limit]
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
        f"{name} alone reaches {measure} {found:.3f}: make sure that it is known when the decision is made"
        for name, found in strengths.items()
        if found >= note
    ]


def told(column: Column, truth: NDArray[np.float64], known: NDArray[np.bool_]) -> float:
    """The share of the errors of always saying the commonest label that the column's values undo, read from the
    other half of the rows (Goodman & Kruskal 1954, lambda); 0 where there are too few `known` rows to tell."""
    places = truth[known].astype(np.int64)
    if len(places) < LEAST_ROWS:
        return 0.0
    commonest = float(np.bincount(places).max()) / len(places)
    if commonest == 1:
        return 0.0
    return max(0.0, (labels_told(np.asarray(column)[known], places) - commonest) / (1 - commonest))


def _scale(truth: NDArray[np.float64]) -> tuple[float, float, str]:
    if is_yes_no(truth):
        return AUC_LIMIT, AUC_NOTE, "AUC"
    return CORRELATION_LIMIT, CORRELATION_NOTE, "correlation"


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
