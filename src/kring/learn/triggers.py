"""When to train again."""

from __future__ import annotations

from collections.abc import Sequence

from kring.record.running import Learn


def retraining_due(learn: Learn, *, breached: Sequence[str], last: int, now: int) -> str:
    """Why to train now, or "" for no reason.

    `breached` are the metrics whose alarm was just raised, `last` the end of the last training
    (microseconds UTC). A realised-quality alarm waits for the cool-down, the schedule for its turn.
    """
    if breached and "quality" in learn.retrain_on and now - last >= learn.cooldown_us:
        return f"quality: {', '.join(breached)}"
    if "schedule" in learn.retrain_on and now - last >= learn.every_us:
        return "schedule"
    return ""
