"""Answers that were streamed: what reached whoever asked."""

from __future__ import annotations

from typing import Final

from kring.metrics.ids import decision_block, decision_id
from kring.ports.decision_log import DecisionHistory
from kring.record.decision import Closed, Decisions

GRACE_US: Final = 600_000_000
"""A stream that was opened less than ten minutes ago may still be running."""


def cut_streams(log: DecisionHistory, *, now: int) -> tuple[str, ...]:
    """Ids of the streamed decisions that were not delivered to the end: those whose record says so, and those opened
    more than ten minutes before `now` of which no record says how they ended."""
    opened: dict[bytes, int] = {}
    for logged in log.read():
        record = logged.record
        if isinstance(record, Decisions) and record.kind == "streamed":
            opened |= {row.tobytes(): record.at for row in decision_block(logged.place, record.n)}
        elif isinstance(record, Closed):
            for id, how in zip(record.ids, record.how, strict=True):
                if how == "stop":
                    opened.pop(id, None)
                else:
                    opened[id] = 0
    return tuple(decision_id(id) for id, at in opened.items() if at <= now - GRACE_US)


def delivered(found: tuple[Closed, int] | None) -> str:
    """How much of a stream was handed over, in words; `found` is how it ended, as far as that is on record."""
    if found is None:
        return "cut, or not yet to its end: nothing says that it ended"
    record, row = found
    end = "to its end" if record.how[row] == "stop" else "cut"
    return f"{end}, {record.delivered[row]:,} characters"
