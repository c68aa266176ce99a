"""What one rollout has heard of the log, as counts: units in their cohorts, and pairs of answers to the same rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kring.errors import KringError
from kring.flow.operating.awaiting import Answers, Awaited, mistakes_of
from kring.metrics.prices import is_dearer, per_row
from kring.ports.decision_log import Logged
from kring.ports.task import Task
from kring.record.decision import ABSTAINED, Decisions, Outcomes, Place
from kring.record.operator import Looked
from kring.record.progress import PairedLook
from kring.record.rollout import Guardrail, Rollout, Terms
from kring.record.version import Policy
from kring.release.heard import Bits
from kring.release.judging import paired_look
from kring.release.units import Matured, Part, UnitBook, end_of, nothing_matured
from kring.serve.decider import REJECTED, UNANSWERED
from kring.watch.inputs import is_broken

LEAST: Final = 100
"""Units that a batch has at the least."""

GROWTH: Final = 500
"""A batch also has one in so many of the units before it: late in a rollout nothing is decided by a hundred more, and
the ledger keeps each batch."""

PolicyOf = Callable[[str], Policy]


class RolloutBook:
    """Hears the log of one rollout. Told the same up to the same cuts, it looks the same, as long as both versions can
    be opened.

    `policy_of` says by which policy a version decides; `latest` is when the version on its way was last asked, probes
    apart.
    """

    def __init__(self, rollout: Rollout, *, task: Task, policy_of: PolicyOf) -> None:
        assert rollout.terms is not None
        self.rollout = rollout.id
        self.terms: Terms = rollout.terms
        self.heard = self.latest = 0
        self._new, self._old = rollout.version, rollout.previous
        self._task, self._policy_of = task, policy_of
        self._units = UnitBook(self.terms)
        self._outcome = next((one for one in self.terms.guardrails if one.kind == "outcome"), None)
        self._is_paired = self._outcome is not None and self._outcome.route == "paired"
        self._awaited = Awaited(self._outcome.age_us if self._outcome else 0)
        self._shadowed = self._counted = 0
        self._seen: set[tuple[int, int, int]] = set()
        self._ends: dict[int, tuple[int, int]] = {}

    @property
    def waiting(self) -> int:
        """What was first seen since the last look: units, or rows of a shadow."""
        return self._units.unseen + self._shadowed

    @property
    def is_due(self) -> bool:
        """Whether there is enough for a batch. Only how much there is counts, never what it shows."""
        return self.waiting >= max(LEAST, self._counted // GROWTH)

    def turned(self, share: float, *, at: int) -> None:
        """From `at` on the new version has the `share` of units."""
        self._units.turned(share, at=at)

    def hear(self, logged: Logged) -> None:
        """One frame of the log; a frame that was heard before adds nothing."""
        place, record = logged.place, logged.record
        if isinstance(record, Outcomes):
            self._awaited.settle(record)
        if not isinstance(record, Decisions) or self._is_known(place, record):
            return
        if record.kind == "shadow":
            self._hear_shadow(record)
        elif record.version in (self._new, self._old):
            self._hear_answers(place, record)

    def look(self, batch: int, *, now: int) -> Looked:
        """The counts of a sealed batch, with all that has matured until `now`."""
        self._counted += self.waiting
        self._shadowed = 0
        for writer, segment, sequence in self._seen:
            self._ends[writer] = max(self._ends.get(writer, (-1, -1)), (segment, sequence))
        self._seen.clear()
        over = self._judged(self._awaited.matured(now))
        matured = self._matured([answers for answers in over if answers.units is not None])
        look = self._units.look(batch, now=now, matured=matured)
        return Looked(rollout=self.rollout, look=look, paired=self._pairs(batch, over))

    def _is_known(self, place: Place, record: Decisions) -> bool:
        """Whether the frame was heard before: in this batch, or in one that was cut off behind it."""
        key = (place.writer, place.segment, place.sequence)
        if key in self._seen or self._ends.get(place.writer, (-1, -1)) >= key[1:]:
            return True
        self._seen.add(key)
        self.heard += record.n
        if record.version == self._new and (record.kind != "shadow" or record.refers):
            self.latest = max(self.latest, record.at)
        return False

    def _hear_answers(self, place: Place, record: Decisions) -> None:
        began, units = self._units.began, None
        if began is not None and record.at > began:
            units = self._units.hear(
                (place.writer, place.segment, place.sequence),
                at=record.at,
                n=record.n,
                subjects=record.subjects,
                is_new=record.version == self._new,
                bits=bad_of(record, self._units.parts),
                alone=bool(record.alone),
            )
        if self._outcome is not None and (self._is_paired or units is not None):
            end = record.at if self._is_paired else end_of(record.at, self.terms.unit)
            self._awaited.wait(place, record, end=end, units=None if self._is_paired else units)

    def _hear_shadow(self, record: Decisions) -> None:
        if record.version != self._new or not record.refers:
            return
        self._shadowed += record.n if self._units.began is None else 0
        answers = self._awaited.found(record.refers[0]) if self._is_paired else None
        if answers is not None and answers.n == record.n and answers.version == self._old:
            answers.shadow = record.outputs

    def _judged(self, over: list[Answers]) -> list[Answers]:
        """Those that are held against their outcomes: none while one of the two versions can't be opened."""
        try:
            for version in (self._new, self._old) if over else ():
                self._policy_of(version)
        except KringError:
            return []
        return over

    def _matured(self, over: list[Answers]) -> Matured:
        """Rows whose outcomes count now, and what they show."""
        if not over or self._outcome is None:
            return nothing_matured()
        units, labelled, bits = [], [], []
        for version in (self._new, self._old):
            mine = [answers for answers in over if answers.version == version]
            if mine:
                found = mistakes_of(
                    mine, [answers.outputs for answers in mine], task=self._task, policy=self._policy_of(version)
                )
                units += [answers.units for answers in mine if answers.units is not None]
                labelled.append(~np.isnan(found))
                bits.append(self._beyond(found))
        return Matured(np.concatenate(units), np.concatenate(labelled), np.concatenate(bits))

    def _beyond(self, found: NDArray[np.float64]) -> Bits:
        """The bits of what outcomes show: a mistake, or one that is larger than a limit."""
        bits = np.zeros(len(found), np.uint32)
        for part in self._units.parts:
            if part.guardrail.kind == "outcome":
                bits |= np.where(found > (part.limit or 0.0), part.bit, 0).astype(np.uint32)
        return bits

    def _pairs(self, batch: int, over: list[Answers]) -> PairedLook | None:
        """How much worse the shadow was on rows that have an outcome, as a share of the largest mistake."""
        both = [answers for answers in over if answers.shadow is not None]
        if not both or self._outcome is None:
            return None
        new = mistakes_of(
            both, [answers.shadow or {} for answers in both], task=self._task, policy=self._policy_of(self._new)
        )
        old = mistakes_of(
            both, [answers.outputs for answers in both], task=self._task, policy=self._policy_of(self._old)
        )
        largest = largest_of(self._outcome, self._task)
        known = ~np.isnan(new) & ~np.isnan(old)
        apart = (np.minimum(new[known], largest) - np.minimum(old[known], largest)) / largest
        return paired_look(batch, apart, self.terms) if known.any() else None


def largest_of(outcome: Guardrail, task: Task) -> float:
    """What a mistake may count at the most: where they have no end, the largest limit."""
    return min(task.largest_mistake, outcome.limits[-1] if outcome.limits else task.largest_mistake) or 1.0


def bad_of(record: Decisions, parts: Iterable[Part]) -> Bits | int:
    """What the rows are bad in, as far as it shows at once: one number for all of them, or one for each."""
    whole, by_row = 0, {}
    for part in parts:
        if part.guardrail.kind == "error":
            whole |= part.bit * (record.answered_by == UNANSWERED)
        elif part.guardrail.kind == "fallback":
            whole |= part.bit * (record.answered_by not in (record.version, REJECTED, UNANSWERED))
        elif part.guardrail.kind == "latency":
            whole |= part.bit * (bool(record.alone) and record.latency_us > (part.limit or 0.0))
        elif part.guardrail.kind == "cost":
            is_fit = bool(record.alone) or not part.is_timed
            whole |= part.bit * (is_fit and is_dearer(per_row(record.cost, record.n), part.limit or 0.0))
        elif record.guards and part.guardrail.kind in ("contract", "abstention"):
            by_row[part.bit] = is_broken if part.guardrail.kind == "contract" else ABSTAINED.__eq__
    if not by_row:
        return whole
    bits = np.full(record.n, whole, np.uint32)
    for row, guards in record.guards.items():
        for bit, fires in by_row.items():
            bits[row] |= bit * any(map(fires, guards))
    return bits
