"""Two versions on the same inputs: evidence that the new one is not worse by δ or more, and evidence that it is.

Only where the answer does not change the outcome, so that the loss of both can be known.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from kring.errors import DataError
from kring.metrics.e_values import Floats, mixed, settled

STAKES: Final = (0.02, 0.05, 0.1, 0.2, 0.4)
"""The share of the stake that each bet of the mixture puts on a row; equal weights."""

WEIGHTS: Final = (1 / len(STAKES),) * len(STAKES)


def paired_logs(differences: ArrayLike, *, delta: float) -> Floats:
    """log e of rows for each stake, shape (stakes,), of `differences` (n,) from −1 to 1: new loss minus old loss, by
    the largest loss.

    `Π (1 + λ(δ − D))`, whose factors have a mean of at most 1 while `E[D | past] ≥ δ` (Waudby-Smith & Ramdas 2024),
    each settled, so that rows may come in any order and by any batch. `DataError` for differences outside −1 to 1.
    """
    values, repeated = np.unique(np.asarray(differences, dtype=np.float64), return_counts=True)
    if len(values) and not (values[0] >= -1 and values[-1] <= 1):
        raise DataError(
            "a difference between two losses that can't be",
            got=f"{values[0]:g} to {values[-1]:g}",
            allowed="-1 to 1: divided by the largest loss that there is",
            next="divide by the largest loss",
        )
    factors = settled(np.log1p(np.outer(delta - values, STAKES)))
    total: Floats = repeated @ factors
    return total


def worse_logs(differences: ArrayLike, *, delta: float) -> Floats:
    """The same bets the other way, shape (stakes,): `Π (1 + λ(D − δ))`, with a mean of at most 1 while
    `E[D | past] ≤ δ`. Large when the new version is worse by more than δ."""
    return paired_logs(-np.asarray(differences, dtype=np.float64), delta=-delta)


def paired_log(logs: ArrayLike) -> float:
    """log of the mixture over the stakes, of sums of `paired_logs` or of `worse_logs`."""
    return float(mixed(np.asarray(logs, dtype=np.float64), WEIGHTS))
