"""Data quality: how many of a window's rows broke the contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from kring.metrics.intervals import wilson
from kring.record.alarm import Breach
from kring.record.decision import OURS, REPAIRED

METRIC: Final = "violations"


def breaches(guards: Mapping[int, Sequence[str]]) -> int:
    """How many rows broke a rule of their contract, of those in which any guard fired."""
    return sum(any(map(is_broken, names)) for names in guards.values())


def is_broken(guard: str) -> bool:
    """Whether a guard is a rule of the contract."""
    return guard not in OURS and not guard.startswith(REPAIRED)


def judge_inputs(*, rows: int, violations: int, allowed: float, since: int) -> Breach | None:
    """A breach when the whole Wilson interval of the share of rows that broke the contract's row rules lies
    above `allowed`, in the window that began at `since` (microseconds UTC). Without rows there is nothing to judge.
    """
    low, high = wilson(violations, rows)
    if not rows or low <= allowed:
        return None
    share = violations / rows
    return Breach(
        kind="data_quality",
        metric=METRIC,
        value=share,
        low=low,
        high=high,
        allowed=f"{METRIC} <= {allowed:g}",
        rows=rows,
        since=since,
        what=f"{violations:,} of {rows:,} rows ({share:.1%}) broke the contract, {allowed:.1%} are allowed",
    )
