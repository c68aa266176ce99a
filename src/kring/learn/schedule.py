"""When a schedule's turn comes: every so long, or by a cron expression in UTC."""

from __future__ import annotations

from kring.metrics.cron import next_fire
from kring.record.running import Learn


def turn(learn: Learn, *, after: int) -> int:
    """The first moment of the schedule later than `after` (microseconds UTC). Turns that were missed while nothing ran
    are one turn: whoever asks later asks once."""
    return next_fire(learn.cron, after=after) if learn.cron else after + learn.every_us
