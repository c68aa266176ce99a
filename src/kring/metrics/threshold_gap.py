"""What decisions lose because a probability does not mean what it says: the threshold lies in the wrong place.

As long as a larger probability means more, putting it right and deciding by the prices is the same as deciding by
another threshold. Which one is read off half of the windows and tried on the other half, and the other way round: so
what looks better by chance alone does not count. A gap that changes no decision loses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from kring.metrics.calibration import FINE
from kring.metrics.cost import best_threshold, expected_cost
from kring.metrics.counts import Sums, bin_cost_curve, window_sums
from kring.metrics.intervals import percentile, resamples
from kring.metrics.ranking import Floats, ratio

LEAST_WINDOWS: Final = 10
"""Fewer windows with outcomes have no halves that say anything."""


class Lost(NamedTuple):
    """What a decision costs more than it had to, with the 95 % interval; below 0 where the threshold that looked better
    was not. `thresholds` are those that each half would have chosen; of `rows`."""

    value: float
    low: float
    high: float
    thresholds: tuple[float, float]
    rows: int


def threshold_gap(
    windows: Sequence[Mapping[str, tuple[int, ...]]], *, prices: Mapping[str, float], draws: int, seed: int
) -> Lost | None:
    """The loss per decision at the policy's threshold, from the counts of windows that hold outcomes
    (`kring.metrics.counts.count_rows`); `prices` are those of `false_positive` and `false_negative`. Intervals resample
    windows within each half. None for fewer than ten windows."""
    counted = [each for each in windows if each.get("n", (0,))[0]]
    if len(counted) < LEAST_WINDOWS:
        return None
    halves = [_drawn(counted[first::2], draws=draws, seed=seed + first) for first in (0, 1)]
    one, other = (float(best_threshold(bin_cost_curve(half, **prices)).threshold[0]) for half in halves)
    saved = _saved(halves[0], other, prices) + _saved(halves[1], one, prices)
    rows = halves[0].rows + halves[1].rows
    lost = ratio(saved, rows)
    low, high = percentile(lost[1:], groups=len(counted))
    return Lost(float(lost[0]), float(low), float(high), (min(one, other), max(one, other)), int(rows[0]))


def _drawn(windows: Sequence[Mapping[str, tuple[int, ...]]], *, draws: int, seed: int) -> Sums:
    """Sums with a leading axis 1 + draws: the windows as they are, then drawn anew."""
    return window_sums(windows, np.stack(list(resamples(len(windows), draws=draws, seed=seed))))


def _saved(sums: Sums, threshold: float, prices: Mapping[str, float]) -> Floats:
    """What all decisions cost more than at another threshold, a multiple of 1/200, (1 + draws,)."""
    there = bin_cost_curve(sums, **prices)[..., round(threshold * FINE)]
    saved: Floats = (expected_cost(sums.cells, **prices) - there) * sums.rows
    return saved
