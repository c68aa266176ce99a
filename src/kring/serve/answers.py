"""What callers are told of what was decided for them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import Final

from kring.errors import KringError, NoRoom, Overloaded, Unavailable, way_of
from kring.metrics.ids import decision_ids
from kring.record.answer import Answer
from kring.record.decision import Decisions, Value
from kring.serve.decider import UNANSWERED
from kring.serve.group import Part

NOBODY: Final = "nothing can answer: every version and the baseline failed, and no default is declared"
OWN: Final = ("decision", "reason")
"""Columns of the outputs that an answer has a name of its own for."""

_log: Final = logging.getLogger("kring.serve")


def answers_of(parts: Sequence[Part], *, rows: int) -> list[Answer | KringError]:
    """What each of `rows` rows is told, in their order; an error where nobody could answer."""
    said = [told_of(part.record, decision_ids(part.place, part.record.n)) for part in parts]
    if len(said) == 1:  # it holds all rows, in their order
        return said[0]
    told: list[Answer | KringError] = [nobody("")] * rows
    for part, answers in zip(parts, said, strict=True):
        for row, answer in zip(part.decided.rows.tolist(), answers, strict=True):
            told[row] = answer
    return told


def told_of(record: Decisions, ids: Iterable[str]) -> list[Answer | KringError]:
    """The answers of one record, row by row."""
    if record.answered_by == UNANSWERED:
        return [nobody(record.fallback)] * record.n
    outputs, guards = record.outputs, record.guards
    reasons = outputs.get("reason") or repeat(None)
    version, arm, answered_by, fallback = record.version, record.arm, record.answered_by, record.fallback
    return [
        Answer(
            id,
            decision,
            others,
            version,
            arm,
            answered_by,
            fallback,
            guards.get(at, []),
            [] if reason is None else [str(reason)],
        )
        for at, id, decision, others, reason in zip(
            range(record.n), ids, outputs["decision"], others_of(outputs), reasons, strict=False
        )
    ]


def others_of(outputs: Mapping[str, Sequence[Value]]) -> Iterable[dict[str, Value]]:
    """What each row was given besides the decision, row by row."""
    names = [name for name in outputs if name not in OWN]
    if len(names) == 1:  # most have one, and nothing is to be put together
        (name,) = names
        return [{name: value} for value in outputs[name]]
    rows = zip(*(outputs[name] for name in names), strict=True)
    return [dict(zip(names, values)) for values in rows] if names else repeat({})  # noqa: B905  strict takes as long again


def nobody(why: str) -> Unavailable:
    """What is told of a row that could not be answered."""
    return Unavailable(NOBODY, got=why, next="declare frame.default in kring.toml, or roll back")


def late(name: str, waited_s: float) -> Overloaded:
    """What is told to who waited longer than the system may take."""
    return Overloaded(
        f"{name} could not begin in time", got=f"{waited_s * 1000:.0f} ms in the line", next="come back in a moment"
    )


def closed(name: str, why: str) -> Unavailable:
    """What is told while nothing is acknowledged."""
    return Unavailable(
        f"{name} acknowledges nothing at the moment",
        got=why,
        next="look at the disk of the server, then start it again",
    )


def without_room(name: str, error: NoRoom) -> NoRoom:
    """What is told when the disk is full: callers can free nothing, and what lies where is not their business."""
    return NoRoom(
        f"{name} can put nothing on record at the moment, so it answers nothing",
        got=error.got,
        next="ask again in a while: it goes on by itself when the server has room",
    )


def broken(error: Exception) -> KringError:
    """What is told of whatever went wrong: of a fault of Kring's own no more than that it was one, which is logged."""
    if isinstance(error, KringError):
        return error
    _log.error("a fault of Kring's own while a request was decided\n%s", way_of(error))
    return Unavailable("a fault of Kring's own", next="look at the server's log")
