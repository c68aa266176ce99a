"""When to train again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from kring.learn.schedule import turn
from kring.record.running import Learn, Trigger

CAUSES: Final[tuple[Trigger, ...]] = ("contract", "quality", "drift")
"""What the data itself gives cause for, the most pressing first."""


def retraining_due(learn: Learn, *, causes: Mapping[Trigger, Sequence[str]], last: int, now: int) -> str:
    """Why to train now, or "" for no reason.

    `causes` are what was found since the last training, by the trigger that asks for it; `last` is the end of that
    training (microseconds UTC). What was found waits for the cool-down, the schedule for its turn.
    """
    if now - last >= learn.cooldown_us:
        for trigger in CAUSES:
            if trigger in learn.retrain_on and causes.get(trigger):
                return f"{trigger}: {', '.join(causes[trigger])}"
    if "schedule" in learn.retrain_on and turn(learn, after=last) <= now:
        return "schedule"
    return ""


def within_budget(learn: Learn, *, begun: Sequence[int], now: int) -> bool:
    """Whether another training may begin, after those that were `begun` (microseconds UTC)."""
    return not learn.trainings or len(counted(learn, begun=begun, now=now)) < learn.trainings


def counted(learn: Learn, *, begun: Sequence[int], now: int) -> tuple[int, ...]:
    """Those of the trainings that still count against the budget."""
    return tuple(at for at in begun if at > now - learn.budget_us) if learn.trainings else ()
