"""What answers cost: a fixed price for each, and a price for the time in which they are worked on."""

from __future__ import annotations

from typing import Final

import numpy as np

from kring.metrics.ranking import Floats
from kring.record.version import Price

CLOSE: Final = 1e-9
"""A share by which amounts may differ and are still the same: a price times rows, divided by rows, is not quite the
price."""


def spent(*, answers: int, answered: Price | None, seconds: float, asked: Price | None) -> float:
    """What `answers` cost at the price of whoever `answered` them (None: nobody who has one), and the `seconds` that
    were spent on them from the moment on at which they were `asked`, at the price of who was asked."""
    given = answers * answered.decision if answered else 0.0
    return given + (seconds * asked.second if asked else 0.0)


def per_row(cost: float, rows: int) -> float:
    """What one of `rows` costs that cost so much together; 0 without rows."""
    return cost / rows if rows else 0.0


def is_dearer(cost: float, limit: float) -> bool:
    """Whether a cost is above a limit by more than arithmetic may be off."""
    return cost > limit * (1 + CLOSE)


def share_dearer(costs: Floats, limit: float) -> float:
    """The share of `costs`, (k,), that are; 0 of none."""
    return float(np.mean(costs > limit * (1 + CLOSE))) if len(costs) else 0.0
