"""What is usual among the rows to learn from; `kring.decide.outliers` measures others by it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from kring.decide.outliers import scaler, surprise_of
from kring.metrics.covariance import shrunk_covariance
from kring.record.batch import Batch, Column
from kring.record.outliers import Usual, UsualNumbers, UsualWords
from kring.record.prepare import ColumnKind

Floats = NDArray[np.float64]
QUANTILE: Final = 0.999
MOST_ROWS: Final = 50_000
MOST_WORDS: Final = 2_000
MOST_NUMBERS: Final = 256
LEAST_SHRINKAGE: Final = 1e-3
"""Copies of a column would otherwise make noise in its last digits an outlier."""

NORMAL_IQR: Final = 1.3489795003921634
"""The distance of the quartiles of a standard normal."""

HEAVY: Final = 6.0
"""From this many scales on, the 0.999 quantile of a column is too far out for a normal one, whose is 3.3."""


def usual_rows(learned: Batch, held_out: Batch, *, kinds: Mapping[str, ColumnKind]) -> Usual:
    """The model of the columns `kinds`, from the rows that were learned from; at most 50,000 of them, evenly spread.

    A column of numbers without two different values says nothing and is left out, and so are those after the 256th.
    """
    some = _every(learned, MOST_ROWS)
    names = [name for name, kind in kinds.items() if kind == "number"][:MOST_NUMBERS]
    matrix = np.array([some.columns[name] for name in names], dtype=np.float64).reshape(len(names), some.n).T
    varied = [place for place in range(len(names)) if _varies(matrix[:, place])]
    numbers, shrinkage = _numbers([names[place] for place in varied], matrix[:, varied])
    words = tuple(_words(name, some.columns[name]) for name, kind in kinds.items() if kind == "category")
    usual = Usual(
        numbers=numbers,
        words=words,
        threshold=math.inf,
        quantile=QUANTILE,
        rows=some.n,
        shrinkage=shrinkage,
        held_out=0.0,
    )
    surprise = surprise_of(usual)
    threshold = float(np.quantile(surprise(some), QUANTILE, method="higher"))
    share = float(np.mean(surprise(held_out) > threshold)) if held_out.n else 0.0
    return msgspec.structs.replace(usual, threshold=threshold, held_out=share)


def _numbers(names: list[str], matrix: Floats) -> tuple[UsualNumbers, float]:
    """Median and quartiles (the standard deviation where these coincide), then the covariance of what they scale."""
    if not names:
        return UsualNumbers(), 0.0
    low, center, high = np.nanquantile(matrix, [0.25, 0.5, 0.75], axis=0)
    scale = (high - low) / NORMAL_IQR
    scale = np.where(scale > 0, scale, np.nanstd(matrix, axis=0))
    heavy = np.nanquantile(np.abs(matrix - center) / scale, QUANTILE, axis=0) > HEAVY
    missing = np.isnan(matrix).sum(axis=0)
    absent = (missing + 1) / (len(matrix) + 2)
    numbers = UsualNumbers(
        names=tuple(names),
        center=_plain(center),
        scale=_plain(scale),
        heavy=tuple(heavy.tolist()),
        mean=(0.0,) * len(names),
        present=_plain(-np.log1p(-absent)),
        absent=_plain(-np.log(absent)),
    )
    placed = scaler(numbers)(matrix)
    mean = np.nanmean(placed, axis=0)
    covariance, shrinkage = shrunk_covariance(np.nan_to_num(placed - mean), least=LEAST_SHRINKAGE)
    whiten = np.linalg.inv(np.linalg.cholesky(covariance)).T
    rows = tuple(_plain(row) for row in whiten)
    return msgspec.structs.replace(numbers, mean=_plain(mean), whiten=rows), shrinkage


def _words(name: str, column: Column) -> UsualWords:
    """Minus the log of each share, with one more row given to each word and to what was never seen (Laplace)."""
    counts = Counter(str(word) for word in column)
    kept = sorted(counts.items(), key=lambda each: (-each[1], each[0]))[:MOST_WORDS]
    total = math.log(len(column) + len(counts) + 1)
    return UsualWords(
        name=name,
        words=tuple(word for word, _ in kept),
        surprise=tuple(total - math.log(count + 1) for _, count in kept),
        other=total,
    )


def _varies(values: Floats) -> bool:
    there = values[~np.isnan(values)]
    return len(there) > 1 and bool(np.std(there) > 0)


def _every(batch: Batch, most: int) -> Batch:
    step = max(1, -(-batch.n // most))
    rows = np.arange(0, batch.n, step)
    return Batch(len(rows), {name: np.asarray(column)[rows] for name, column in batch.columns.items()})


def _plain(values: Floats) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
