"""Answers whose outcomes are awaited, until they have reached the age at which outcomes count."""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kring.metrics.ids import SEGMENT_BITS, SEQUENCE_BITS, WRITER_BITS
from kring.ports.task import Task
from kring.record.batch import Batch
from kring.record.decision import Decisions, Outcomes, Place, Value
from kring.record.version import Policy

LOW: Final = (1 << SEGMENT_BITS + SEQUENCE_BITS) - 1
WRITERS: Final = (1 << WRITER_BITS) - 1
MANY: Final = 4096
"""So many frames whose time is over are let go together."""


@dataclass(eq=False)
class Answers:
    """One frame of decisions: who was asked, what was answered, their `units` if they are counted, what a shadow said
    beside them. `known` holds for some rows when their outcome became known, and what it is."""

    key: int
    at: int
    n: int
    version: str
    outputs: dict[str, list[Value]]
    units: NDArray[np.int64] | None = None
    shadow: dict[str, list[Value]] | None = None
    known: dict[int, tuple[int, Value]] = field(default_factory=dict)
    is_over: bool = False

    def values(self) -> list[Value]:
        """What turned out to be true of each row; None where nothing is known."""
        return [self.known[row][1] if row in self.known else None for row in range(self.n)]


class Awaited:
    """Found by the ids of their decisions. An outcome counts when it became known within `age_us` of its decision;
    the one that became known last of these is the one that counts, in whatever order they are heard."""

    def __init__(self, age_us: int) -> None:
        self._age_us = age_us
        self._lines: dict[int, tuple[list[int], list[Answers]]] = {}
        self._due: list[tuple[int, int, Answers]] = []
        self._over = self._made = 0

    def wait(self, place: Place, record: Decisions, *, end: int, units: NDArray[np.int64] | None = None) -> Answers:
        """Wait for the outcomes of these decisions until those of the last moment `end` have their age."""
        key = place.segment << SEQUENCE_BITS | place.sequence
        answers = Answers(key, record.at, record.n, record.version, record.outputs, units)
        keys, frames = self._lines.setdefault(place.writer, ([], []))
        at = bisect_right(keys, key)
        keys.insert(at, key)
        frames.insert(at, answers)
        self._made += 1
        heapq.heappush(self._due, (end + self._age_us, self._made, answers))
        return answers

    def found(self, id: bytes) -> Answers | None:
        """The frame that holds the decision, if it is awaited."""
        return self._frame(*where(id))

    def settle(self, record: Outcomes) -> None:
        """What became known at one moment; of decisions that nobody waits for nothing is kept."""
        for id, value in zip(record.ids, record.values, strict=True):
            writer, key = where(id)
            answers = self._frame(writer, key)
            if answers is None or record.at > answers.at + self._age_us:
                continue
            row = key - answers.key
            before = answers.known.get(row)
            if before is None or (record.at, repr(value)) >= (before[0], repr(before[1])):
                answers.known[row] = record.at, value

    def matured(self, now: int) -> list[Answers]:
        """The frames that have reached their age, each once."""
        found: list[Answers] = []
        while self._due and self._due[0][0] <= now:
            answers = heapq.heappop(self._due)[2]
            answers.is_over = True
            found.append(answers)
        self._over += len(found)
        if self._over > MANY:
            self._let_go()
        return found

    def _frame(self, writer: int, key: int) -> Answers | None:
        keys, frames = self._lines.get(writer, ([], []))
        at = bisect_right(keys, key) - 1
        inside = at >= 0 and key - keys[at] < frames[at].n and not frames[at].is_over
        return frames[at] if inside else None

    def _let_go(self) -> None:
        for writer, (_, frames) in self._lines.items():
            left = [answers for answers in frames if not answers.is_over]
            self._lines[writer] = ([answers.key for answers in left], left)
        self._over = 0


def where(id: bytes) -> tuple[int, int]:
    """The writer of a decision, and the key of its place in that writer's log."""
    number = int.from_bytes(id, "big")
    return number >> 64 & WRITERS, number & LOW


def mistakes_of(
    several: Sequence[Answers], outputs: Sequence[dict[str, list[Value]]], *, task: Task, policy: Policy
) -> NDArray[np.float64]:
    """How bad each row of the frames turned out with those outputs, (rows,): NaN without an outcome, the largest
    mistake where there was no answer."""
    n = sum(answers.n for answers in several)
    names = list(dict.fromkeys(name for columns in outputs for name in columns))
    columns: dict[str, list[Value]] = {name: [] for name in names}
    for answers, said in zip(several, outputs, strict=True):
        for name in names:
            columns[name] += said.get(name) or [None] * answers.n
    truth = task.truth([value for answers in several for value in answers.values()], policy)
    answered = task.outputs(Batch(n, {**columns}), policy)
    found = np.full(n, np.nan)
    known, there = task.known(truth), task.answered(answered)
    found[known & ~there] = task.largest_mistake
    both = known & there
    if both.any():
        found[both] = task.mistakes(truth[both], answered[both], policy)
    return found
