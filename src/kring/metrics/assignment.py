"""Which arm a unit belongs to: a stable hash, equal on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kring.record.rollout import UnitKind

SPACE: Final = 1 << 32


DAY_US: Final = 86_400_000_000


def units(subjects: Sequence[str], *, at: int) -> list[str]:
    """What is assigned to an arm: each subject on the day of `at` (microseconds UTC), so that nobody is an exception
    for ever."""
    day = at // DAY_US
    return [f"{subject}/{day}" for subject in subjects]


def unit_names(subjects: Sequence[str], unit: UnitKind, *, at: int) -> list[str]:
    """What is assigned of `subjects` at `at` (microseconds UTC): each on that day, or each for good; nothing where
    requests are."""
    if unit == "subject_day":
        return units(subjects, at=at)
    return list(subjects) if unit == "subject" else []


def assigned(units: Sequence[str], *, salt: str, share: float, highest: bool = False) -> NDArray[np.bool_]:
    """True for the units whose SHA-256(salt ‖ unit) mod 2^32 lies below `share` · 2^32, shape (n,).

    `share` is between 0 and 1. A unit that is in at some share stays in at every larger one. `highest` takes the share
    from the other end: exactly those that are out at the share 1 − `share`.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"a share lies between 0 and 1, got {share}")
    if highest:
        return ~assigned(units, salt=salt, share=1 - share)
    if share in (0, 1):
        return np.full(len(units), share == 1)
    limit = int(share * SPACE)
    prefix = hashlib.sha256(salt.encode())
    inside = np.empty(len(units), dtype=np.bool_)
    for i, unit in enumerate(units):
        digest = prefix.copy()
        digest.update(unit.encode())
        inside[i] = int.from_bytes(digest.digest()[-4:], "big") < limit
    return inside


def chosen(unit: str, *, salt: str, shares: Sequence[float]) -> int:
    """Which of several shares the unit falls into: the number of the one that holds SHA-256(salt ‖ unit) mod 2^32.

    `shares` are positive and make up 1; what rounding leaves at the end belongs to the last.
    """
    digest = hashlib.sha256(salt.encode() + unit.encode()).digest()
    place, edge = int.from_bytes(digest[-4:], "big"), 0.0
    for number, share in enumerate(shares):
        edge += share
        if place < int(edge * SPACE):
            return number
    return len(shares) - 1
