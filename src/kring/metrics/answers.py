"""Answers as arrays: read from columns, and how far two of them lie apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kring.record.batch import Batch

if TYPE_CHECKING:
    from numpy.typing import NDArray


def numbers_of(batch: Batch, name: str) -> NDArray[np.float64]:
    """The column `name` as float64 with NaN for None; all NaN where the batch does not have it."""
    column = batch.columns.get(name)
    return np.full(batch.n, np.nan) if column is None else np.asarray(column, dtype=np.float64)


def distance(
    left: NDArray[np.float64], right: NDArray[np.float64], *, scale: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """|left − right|, over `scale` where one is given, for each row (n,): the largest over the columns of
    arrays (n, k). Infinite where either is not finite."""
    with np.errstate(invalid="ignore"):
        apart = np.abs(left - right)
        if scale is not None:
            apart = apart / scale
    apart = np.where(np.isfinite(apart), apart, np.inf)
    return apart if apart.ndim == 1 else apart.max(axis=1, initial=0.0)
