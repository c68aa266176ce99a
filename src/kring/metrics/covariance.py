"""A covariance that can be inverted, from however few rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
ROUNDING = 1e-14
"""A sample that is as near to a multiple of the identity is one."""


def shrunk_covariance(rows: Floats, *, least: float = 0.0) -> tuple[Floats, float]:
    """The covariance of `rows`, (n, k), around 0, drawn towards a multiple of the identity, (k, k), and how far:
    a share from `least` to 1.

    The share is the one that is expected to miss the true covariance least (Ledoit and Wolf 2004, "A
    well-conditioned estimator for large-dimensional covariance matrices", lemmas 3.2 to 3.4).
    """
    n, k = rows.shape
    sample = rows.T @ rows / n
    mean = float(np.trace(sample)) / k
    squares = float(np.sum(sample**2))
    away = squares / k - mean**2
    noise = (float(np.sum(np.sum(rows**2, axis=1) ** 2)) / n - squares) / (n * k)
    share = min(1.0, max(least, min(noise, away) / away if away > ROUNDING * mean**2 else 0.0))
    return (1 - share) * sample + share * mean * np.eye(k), share
