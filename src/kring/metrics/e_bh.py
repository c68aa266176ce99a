"""Which of many hypotheses are false, from their e-values, under any dependence between them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def rejected(logs: ArrayLike, *, alpha: float) -> NDArray[np.bool_]:
    """True for the hypotheses that are named false, shape (K,), of log e (K,).

    The k largest are, for the largest k at which the k-th of them is at least K/(α k): of those named, a share of at
    most `alpha` is named wrongly on average (e-BH; Wang & Ramdas 2022).
    """
    values = np.asarray(logs, dtype=np.float64)
    if not values.size:
        return np.zeros(0, dtype=np.bool_)
    falling = np.sort(values)[::-1]
    ranks = np.arange(1, len(values) + 1)
    reaching = np.flatnonzero(falling + np.log(ranks) >= np.log(len(values) / alpha))
    if not reaching.size:
        return np.zeros(len(values), dtype=np.bool_)
    named: NDArray[np.bool_] = values >= falling[reaching[-1]]
    return named
