"""What forces a rollout to hold whatever its guardrails say: brakes that follow from counts.

The others (no data, a clock that jumped, a disk that takes no more, another configuration) are told from outside.
"""

from __future__ import annotations

from math import log
from typing import Final

import numpy as np

from kring.metrics.e_values import BALANCE, mixed
from kring.record.progress import Progress

LINE: Final = log(1000)
"""log e at which units are not split as planned, or labels do not come evenly: once in 1000 rollouts by chance."""

WORDS: Final = {
    "no_data": "no data reaches the tests",
    "split": "units are not split as planned",
    "coverage": "outcomes become known more often for one version than for the other",
    "clock": "the clock jumped",
    "read_only": "nothing can be recorded",
    "config_changed": "the configuration is not the one that was frozen at the start",
}


def split_log(progress: Progress) -> float:
    """log e against "units are split as planned"."""
    return float(mixed(np.array(progress.split), BALANCE.weights))


def coverage_log(progress: Progress) -> float:
    """log e against "outcomes become known evenly"."""
    return float(mixed(np.array(progress.coverage), BALANCE.weights))


def counted_brakes(progress: Progress) -> tuple[str, ...]:
    """The brakes that the counts pull: `split`, `coverage`."""
    found = (("split", split_log(progress)), ("coverage", coverage_log(progress)))
    return tuple(name for name, value in found if value >= LINE)


def braked(progress: Progress, brake: str) -> str:
    """What a brake says, with its numbers."""
    words = WORDS.get(brake, brake)
    if brake == "split":
        new, old = sum(arms.new for arms in progress.arms), sum(arms.old for arms in progress.arms)
        planned = sum(arms.share * (arms.new + arms.old) for arms in progress.arms)
        return f"{words}: {new:,} of {new + old:,} went to the new version, planned were {planned:,.0f}"
    if brake == "coverage":
        new, old, new_known, old_known = progress.labels
        return f"{words}: {_share(new_known, new)} for the new one, {_share(old_known, old)} for the old one"
    return words


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "none"
