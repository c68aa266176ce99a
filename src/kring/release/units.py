"""The units of one rollout: the cohort and the arm in which each was first seen, and what it was found bad in.

A *batch* is everything that was heard between two looks; the units first seen in it are a cohort for the rest of the
rollout, whether or not they come back. What is heard may come in any order within a batch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kring.metrics.assignment import DAY_US, assigned, unit_names
from kring.record.progress import Arms, Cohort, Counted, Counts, Look
from kring.record.rollout import Guardrail, Terms, UnitKind
from kring.release.heard import Bits, Flags, Frame, Numbers, Rows, in_order, united
from kring.release.looks import arms_together

GRACE_US: Final = 10_000_000
"""Units first seen so soon after a share has changed say nothing: not every worker may know of it yet, and who comes
to an arm only before or only after may be another kind."""

NEVER: Final = 1 << 62


KEPT: Final = 2
"""Days after which the names of a day are let go: who is told of so late is another unit."""


class Part(NamedTuple):
    """One thing that a unit may be bad in: a guardrail, or one of its limits. `bit` stands for it."""

    guardrail: Guardrail
    limit: float | None
    bit: int

    @property
    def is_aged(self) -> bool:
        """Whether it shows only when outcomes have their age."""
        return self.guardrail.kind == "outcome"

    @property
    def is_timed(self) -> bool:
        """Whether only units count for it whose first row was asked alone: others took as long as their neighbours."""
        return self.guardrail.is_timed


class Matured(NamedTuple):
    """Rows that have reached the age of their outcomes, (n,): whether there is one, and what it shows to be bad."""

    units: Numbers
    labelled: Flags
    bits: Bits


def parts_of(terms: Terms) -> tuple[Part, ...]:
    """All that units are counted for; what is judged in pairs of answers is not."""
    found = [
        (guardrail, limit)
        for guardrail in terms.guardrails
        if guardrail.route != "paired"
        for limit in (guardrail.limits or (None,))
    ]
    return tuple(Part(guardrail, limit, 1 << place) for place, (guardrail, limit) in enumerate(found))


def nothing_matured() -> Matured:
    return Matured(np.zeros(0, np.int64), np.zeros(0, np.bool_), np.zeros(0, np.uint32))


class Facts:
    """What is known of each unit, by its number: the place of its cohort, its arm, when it was first seen, what it was
    found bad in; whether it has left, whether its outcomes have counted, whether its first row was asked alone."""

    def __init__(self) -> None:
        self.cohort: NDArray[np.int32] = np.zeros(0, np.int32)
        self.first = np.zeros(0, np.int64)
        self.bad = np.zeros(0, np.uint32)
        self.is_new, self.gone, self.matured, self.alone = (np.zeros(0, np.bool_) for _ in range(4))

    def grow(self, size: int) -> None:
        """Room for so many units at the least."""
        before = len(self.cohort)
        if size <= before:
            return
        more = max(size, 2 * before, 1024) - before
        self.cohort, self.first, self.bad = (
            np.concatenate([facts, np.zeros(more, facts.dtype)]) for facts in (self.cohort, self.first, self.bad)
        )
        self.is_new, self.gone, self.matured, self.alone = (
            np.concatenate([facts, np.zeros(more, facts.dtype)])
            for facts in (self.is_new, self.gone, self.matured, self.alone)
        )

    def counting(self, part: Part, units: Numbers) -> Numbers:
        """Those of the units that count for the part."""
        return units[self.alone[units]] if part.is_timed else units

    def counts(self, part: Part, units: Numbers, cohorts: tuple[Cohort, ...]) -> Counts:
        """How many of the complete `units` are good and bad in `part`."""
        units = units[~self.gone[units]]
        bad = self.bad[units] & part.bit != 0
        new_good, old_good = arms_of(self.is_new[units[~bad]])
        new_bad, old_bad = arms_of(self.is_new[units[bad]])
        return Counts(cohorts=cohorts, new_good=new_good, new_bad=new_bad, old_good=old_good, old_bad=old_bad)

    def table(self, batches: Sequence[int], units: Numbers, marked: Flags) -> tuple[Cohort, ...]:
        """`units` by cohort and arm, and how many of them are `marked`."""
        cohorts, place = np.unique(self.cohort[units], return_inverse=True)
        new = self.is_new[units]
        counts = [
            np.bincount(place[chosen], minlength=len(cohorts)).tolist()
            for chosen in (new, ~new, new & marked, ~new & marked)
        ]
        return tuple(Cohort(batches[cohort], *row) for cohort, *row in zip(cohorts.tolist(), *counts, strict=True))

    def beyond(self, part: Part, batches: Sequence[int], units: Numbers) -> tuple[Cohort, ...]:
        """What one part shows of the units whose outcomes count now; none where nobody is bad."""
        bad = self.bad[units] & part.bit != 0
        return tuple(one for one in self.table(batches, units, bad) if one.new_bad or one.old_bad)


class UnitBook:
    """Counts looks. Held in memory; hearing the same log again up to the same cuts gives the same book.

    The new version has the share of the last `turned`; rows from before the first one are not heard.
    """

    def __init__(self, terms: Terms) -> None:
        self.parts = parts_of(terms)
        self._terms = terms
        self._names: dict[int, defaultdict[str, int]] = {}
        self._made = self._enrolled = 0
        self._frames: list[Frame] = []
        self._turns: list[tuple[int, float]] = []
        self._has_turned = False
        self._knows: dict[int, int] = {}
        self._facts = Facts()
        self._alive = np.zeros((0, len(self.parts), 2), np.int64)
        self._batches: list[int] = []
        self._open: list[tuple[Numbers, Numbers]] = []

    @property
    def unseen(self) -> int:
        """Units that were first seen since the last look."""
        return self._made - self._enrolled

    @property
    def began(self) -> int | None:
        """Since when units are counted; None before the first share."""
        return self._turns[0][0] if self._turns else None

    def turned(self, share: float, *, at: int) -> None:
        """From `at` on the new version has the `share` (0 to 1) of units. Heard again it changes nothing."""
        if self._turns and (self._turns[-1][1] == share or self._turns[-1][0] > at):
            return
        self._turns.append((at, share))
        self._has_turned = len(self._turns) > 1

    def hear(
        self,
        key: tuple[int, ...],
        *,
        at: int,
        n: int,
        subjects: Sequence[str],
        is_new: bool,
        bits: Bits | int,
        alone: bool = False,
    ) -> Numbers:
        """`n` rows decided together, or one `alone`; `key`, the writer first, tells them from all others. Their units
        by number, (n,)."""
        units = self._numbers(key, at=at, n=n, subjects=subjects)
        if is_new:
            self._knows[key[0]] = min(at, self._knows.get(key[0], NEVER))
        self._frames.append(Frame((at, *key), at, is_new, units, bits, alone))
        return units

    def look(self, batch: int, *, now: int, matured: Matured) -> Look:
        """What has been heard since the last look, as the batch of that number."""
        frames, self._frames = self._frames, []
        rows = in_order(frames)
        fresh = self._enrol(rows, place=len(self._batches))
        settled = fresh[~self._facts.gone[fresh]]
        self._batches.append(batch)
        self._leave(rows)
        self._begin_cohort(fresh)
        cohorts = self._found(rows)
        complete = self._completed(now)
        for day in [day for day in self._names if self._terms.unit == "subject_day" and day < now // DAY_US - KEPT]:
            del self._names[day]
        aged, coverage = self._aged(matured)
        named: dict[str, list[Counts]] = {}
        for part, found in zip(self.parts, cohorts, strict=True):
            counted, of = (aged, self._facts.beyond(part, self._batches, aged)) if part.is_aged else (complete, found)
            named.setdefault(part.guardrail.name, []).append(
                self._facts.counts(part, self._facts.counting(part, counted), of)
            )
        return Look(
            batch=batch,
            units=arms_of(self._facts.is_new[settled]),
            timed=arms_of(self._facts.is_new[settled[self._facts.alone[settled]]]),
            arms=arms_by_share(self._facts, self._turns, fresh),
            guardrails=tuple(Counted(name=name, parts=tuple(several)) for name, several in named.items()),
            coverage=coverage,
        )

    def _numbers(self, key: tuple[int, ...], *, at: int, n: int, subjects: Sequence[str]) -> Numbers:
        if self._terms.unit == "request":
            self._made += n
            return np.arange(self._made - n, self._made)
        names = subjects if len(subjects) == n else [f"{key}/{row}" for row in range(n)]
        day = at // DAY_US if self._terms.unit == "subject_day" else 0
        book = self._names.get(day)
        if book is None:
            book = self._names[day] = defaultdict(self._make)
        return np.fromiter(map(book.__getitem__, names), np.int64, n)

    def _make(self) -> int:
        self._made += 1
        return self._made - 1

    def _enrol(self, rows: Rows, *, place: int) -> Numbers:
        """The units first seen, each in the arm and at the moment of its first row."""
        self._facts.grow(self._made)
        fresh = np.arange(self._enrolled, self._made)
        mine = np.flatnonzero(rows.units >= self._enrolled)[::-1]
        # of equal places the last one written stays: the first of the rows
        self._facts.is_new[rows.units[mine]] = rows.is_new[mine]
        self._facts.first[rows.units[mine]] = rows.at[mine]
        self._facts.alone[rows.units[mine]] = rows.alone[mine]
        self._facts.cohort[fresh] = place
        self._facts.gone[rows.units[mine]] = too_soon(
            self._turns, self._knows, first=rows.at[mine], writers=rows.writers[mine]
        )
        self._enrolled = self._made
        ends = ends_of(self._facts.first[fresh], self._terms.unit)
        if len(fresh):
            self._open.append((ends, fresh))
        return fresh

    def _leave(self, rows: Rows) -> None:
        """Whoever belongs to the other arm now is not counted any more, whether or not it came back: who comes back
        may depend on what happened to it."""
        other = rows.units[rows.is_new != self._facts.is_new[rows.units]]
        if self._has_turned:
            self._has_turned = False
            at, share = self._turns[-1]
            for day, book in self._names.items():
                if self._terms.unit == "subject" or (day + 1) * DAY_US > at:
                    numbers = np.fromiter(book.values(), np.int64, len(book))
                    names = unit_names(list(book), self._terms.unit, at=day * DAY_US)
                    inside = assigned(names, salt=self._terms.salt, share=share)
                    other = np.concatenate([other, numbers[inside != self._facts.is_new[numbers]]])
        leaving = np.unique(other[~self._facts.gone[other]])
        self._facts.gone[leaving] = True
        known = leaving[self._facts.cohort[leaving] < len(self._batches) - 1]
        for place, part in enumerate(self.parts):
            alive = self._facts.counting(part, known[self._facts.bad[known] & part.bit == 0])
            cells = 2 * self._facts.cohort[alive] + self._facts.is_new[alive]
            self._alive[:, place] -= np.bincount(cells, minlength=2 * len(self._alive)).reshape(-1, 2)

    def _begin_cohort(self, fresh: Numbers) -> None:
        here = fresh[~self._facts.gone[fresh]]
        cohort = len(self._batches) - 1
        if cohort >= len(self._alive):
            more = np.zeros((max(64, len(self._alive)), len(self.parts), 2), np.int64)
            self._alive = np.concatenate([self._alive, more])
        for place, part in enumerate(self.parts):
            new, old = arms_of(self._facts.is_new[self._facts.counting(part, here)])
            self._alive[cohort, place] = old, new

    def _found(self, rows: Rows) -> list[tuple[Cohort, ...]]:
        """For each part the cohorts in which a unit has become bad."""
        bad = np.flatnonzero((rows.bits != 0) & ~self._facts.gone[rows.units])
        units, bits = united(rows.units[bad], rows.bits[bad])
        newly = bits & ~self._facts.bad[units]
        self._facts.bad[units] |= bits
        return [
            self._cohorts(place, self._facts.counting(part, units[newly & part.bit != 0]))
            for place, part in enumerate(self.parts)
        ]

    def _cohorts(self, place: int, units: Numbers) -> tuple[Cohort, ...]:
        """The cohorts of `units`, which are newly bad: how many were not bad before, and how many are now."""
        found = []
        for at, one in zip(
            np.unique(self._facts.cohort[units]).tolist(),
            self._facts.table(self._batches, units, units >= 0),
            strict=True,
        ):
            alive = self._alive[at, place]
            found.append(Cohort(one.batch, int(alive[1]), int(alive[0]), one.new_bad, one.old_bad))
            alive -= one.old_bad, one.new_bad
        return tuple(found)

    def _completed(self, now: int) -> Numbers:
        """The units that nothing can change any more since this look."""
        done, still = [np.zeros(0, np.int64)], []
        for ends, units in self._open:
            over = ends <= now
            done.append(units[over])
            if not over.all():
                still.append((ends[~over], units[~over]))
        self._open = still
        return np.concatenate(done)

    def _aged(self, matured: Matured) -> tuple[Numbers, tuple[Cohort, ...]]:
        """The units whose outcomes count now, and of all that reached that age how many have one, by cohort."""
        there = matured.units < self._enrolled
        units, labelled = united(matured.units[there], matured.labelled[there].astype(np.uint32))
        bad_units, bits = united(matured.units[there], matured.bits[there])
        first = ~self._facts.gone[units] & ~self._facts.matured[units]
        self._facts.bad[bad_units[first]] |= bits[first]
        self._facts.matured[units] = True
        units, labelled = units[first], labelled[first]
        coverage = self._facts.table(self._batches, units, labelled > 0)
        return units[labelled > 0], coverage


def too_soon(
    turns: Sequence[tuple[int, float]], knows: Mapping[int, int], *, first: Numbers, writers: Numbers
) -> Flags:
    """Which units, first seen then and by those, came so soon after a turn that it may not have been known there.
    After the first turn a worker knows of it once the new version has answered: since when it `knows`."""
    if not turns or not len(first):
        return np.zeros(len(first), np.bool_)
    moments = np.array([at for at, _ in turns])
    turn = np.searchsorted(moments, first, side="right") - 1
    known = np.array([knows.get(writer, NEVER) for writer in writers.tolist()])
    soon: Flags = (turn >= 0) & (first - moments[turn] < GRACE_US) & ((turn > 0) | (first <= known))
    return soon


def end_of(first: int, unit: UnitKind) -> int:
    """As `ends_of`, of one."""
    if unit == "request":
        return first
    return (first // DAY_US + 1) * DAY_US if unit == "subject_day" else first + DAY_US


def ends_of(first: Numbers, unit: UnitKind) -> Numbers:
    """When units are complete that were first seen at `first` (n,): a request at once, a subject's day at its end, a
    subject a day later."""
    if unit == "request":
        return first
    return (first // DAY_US + 1) * DAY_US if unit == "subject_day" else first + DAY_US


def arms_by_share(facts: Facts, turns: Sequence[tuple[int, float]], fresh: Numbers) -> tuple[Arms, ...]:
    """Units by the share that the new version had when they were first seen, but for those seen so soon after a turn
    that not every worker may have known of it."""
    if not turns:
        return ()
    first = facts.first[fresh]
    moments = np.array([at for at, _ in turns])
    turn = np.searchsorted(moments, first, side="right") - 1
    settled = (turn >= 0) & (first - moments[turn] >= GRACE_US)
    return arms_together(
        Arms(turns[place][1], *arms_of(facts.is_new[fresh[settled & (turn == place)]]))
        for place in np.unique(turn[settled]).tolist()
    )


def arms_of(is_new: Flags) -> tuple[int, int]:
    """How many are new, and how many old."""
    new = int(np.count_nonzero(is_new))
    return new, len(is_new) - new
