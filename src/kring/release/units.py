"""The units of one rollout: the cohort and the arm in which each was first seen, and what it was found bad in.

A *batch* is everything that was heard between two looks; the units first seen in it are a cohort for the rest of the
rollout, whether or not they come back. What is heard may come in any order within a batch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import count
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kring.metrics.assignment import DAY_US, assigned, unit_names
from kring.record.progress import Arms, Cohort, Counted, Counts, Look
from kring.record.rollout import Guardrail, Terms

Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]
Bits = NDArray[np.uint32]

GRACE_US: Final = 10_000_000
"""Units first seen so soon after a share has changed say nothing about the split: not every worker may know it yet."""


class Part(NamedTuple):
    """One thing that a unit may be bad in: a guardrail, or one of its limits. `bit` stands for it."""

    guardrail: Guardrail
    limit: float | None
    bit: int


class Rows(NamedTuple):
    """Rows of decisions, (n,): their units, when they were decided, whether the new version was to answer, and what
    they are bad in."""

    units: Numbers
    at: Numbers
    is_new: Flags
    bits: Bits


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


class UnitBook:
    """Counts looks. Held in memory; hearing the same log again up to the same cuts gives the same book.

    The new version has the share of the last `turned`; rows from before the first one are not heard.
    """

    def __init__(self, terms: Terms) -> None:
        self.parts = parts_of(terms)
        self._terms = terms
        self._next = count()
        self._names: dict[int, defaultdict[str, int]] = {}
        self._made = self._enrolled = self._room = 0
        self._frames: list[tuple[tuple[int, ...], int, bool, Numbers, Bits | int]] = []
        self._turns: list[tuple[int, float]] = []
        self._has_turned = False
        self._cohort: NDArray[np.int32] = np.zeros(0, np.int32)
        self._first = np.zeros(0, np.int64)
        self._bad = np.zeros(0, np.uint32)
        self._is_new, self._gone, self._matured = (np.zeros(0, np.bool_) for _ in range(3))
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
        self, key: tuple[int, ...], *, at: int, n: int, subjects: Sequence[str], is_new: bool, bits: Bits | int
    ) -> Numbers:
        """`n` rows decided together; `key` tells them from all others. Their units by number, (n,)."""
        units = self._numbers(key, at=at, n=n, subjects=subjects)
        self._frames.append(((at, *key), at, is_new, units, bits))
        return units

    def end_of(self, at: int, first: int | None = None) -> int:
        """When a unit that was decided about at `at` is complete: a request at once, a subject's day at its end, a
        subject a day after it was `first` seen."""
        if self._terms.unit == "request":
            return at
        if self._terms.unit == "subject_day":
            return (at // DAY_US + 1) * DAY_US
        return (at if first is None else first) + DAY_US

    def look(self, batch: int, *, now: int, matured: Matured) -> Look:
        """What has been heard since the last look, as the batch of that number."""
        rows = self._gathered()
        fresh = self._enrol(rows, place=len(self._batches))
        self._batches.append(batch)
        self._leave(rows)
        self._begin_cohort(fresh)
        cohorts = self._found(rows)
        complete = self._completed(now)
        aged, coverage = self._aged(matured)
        counts = [
            self._counts(part, aged, self.tables(part, aged))
            if part.guardrail.kind == "outcome"
            else self._counts(part, complete, cohorts[place])
            for place, part in enumerate(self.parts)
        ]
        named: dict[str, list[Counts]] = {}
        for part, each in zip(self.parts, counts, strict=True):
            named.setdefault(part.guardrail.name, []).append(each)
        return Look(
            batch=batch,
            arms=self._arms(fresh),
            guardrails=tuple(Counted(name=name, parts=tuple(several)) for name, several in named.items()),
            coverage=coverage,
        )

    def _numbers(self, key: tuple[int, ...], *, at: int, n: int, subjects: Sequence[str]) -> Numbers:
        if self._terms.unit == "request":
            units = np.arange(self._made, self._made + n)
        else:
            names = subjects if len(subjects) == n else [f"{key}/{row}" for row in range(n)]
            day = at // DAY_US if self._terms.unit == "subject_day" else 0
            book = self._names.setdefault(day, defaultdict(self._next.__next__))
            units = np.fromiter(map(book.__getitem__, names), np.int64, n)
        self._made = max(self._made, int(units.max()) + 1) if n else self._made
        return units

    def _gathered(self) -> Rows:
        """What was heard, in the order of its moments."""
        frames, self._frames = sorted(self._frames, key=lambda frame: frame[0]), []
        sizes = [len(frame[3]) for frame in frames]
        if not frames:
            return Rows(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.bool_), np.zeros(0, np.uint32))
        plain = all(isinstance(frame[4], int) for frame in frames)
        bits = (
            np.repeat(np.array([frame[4] for frame in frames], np.uint32), sizes)
            if plain
            else np.concatenate([np.broadcast_to(np.asarray(frame[4], np.uint32), len(frame[3])) for frame in frames])
        )
        return Rows(
            np.concatenate([frame[3] for frame in frames]),
            np.repeat(np.array([frame[1] for frame in frames], np.int64), sizes),
            np.repeat(np.array([frame[2] for frame in frames], np.bool_), sizes),
            bits,
        )

    def _enrol(self, rows: Rows, *, place: int) -> Numbers:
        """The units first seen, each in the arm and at the moment of its first row."""
        self._grow(self._made)
        fresh = np.arange(self._enrolled, self._made)
        mine = np.flatnonzero(rows.units >= self._enrolled)[::-1]
        # of equal places the last one written stays: the first of the rows
        self._is_new[rows.units[mine]] = rows.is_new[mine]
        self._first[rows.units[mine]] = rows.at[mine]
        self._cohort[fresh] = place
        self._enrolled = self._made
        ends = self._ends(fresh)
        if len(fresh):
            self._open.append((ends, fresh))
        return fresh

    def _ends(self, units: Numbers) -> Numbers:
        first = self._first[units]
        if self._terms.unit == "request":
            return first
        return (first // DAY_US + 1) * DAY_US if self._terms.unit == "subject_day" else first + DAY_US

    def _leave(self, rows: Rows) -> None:
        """Whoever belongs to the other arm now is not counted any more, whether or not it came back: who comes back
        may depend on what happened to it."""
        other = rows.units[rows.is_new != self._is_new[rows.units]]
        if self._has_turned:
            self._has_turned = False
            at, share = self._turns[-1]
            for day, book in self._names.items():
                if self._terms.unit == "subject" or (day + 1) * DAY_US > at:
                    numbers = np.fromiter(book.values(), np.int64, len(book))
                    names = unit_names(list(book), self._terms.unit, at=day * DAY_US)
                    inside = assigned(names, salt=self._terms.salt, share=share)
                    other = np.concatenate([other, numbers[inside != self._is_new[numbers]]])
        leaving = np.unique(other[~self._gone[other]])
        self._gone[leaving] = True
        known = leaving[self._cohort[leaving] < len(self._batches) - 1]
        for place, part in enumerate(self.parts):
            alive = known[self._bad[known] & part.bit == 0]
            np.subtract.at(self._alive, (self._cohort[alive], place, self._is_new[alive].astype(np.intp)), 1)

    def _begin_cohort(self, fresh: Numbers) -> None:
        new = self._is_new[fresh[~self._gone[fresh]]]
        cohort = len(self._batches) - 1
        if cohort >= len(self._alive):
            more = np.zeros((max(64, len(self._alive)), len(self.parts), 2), np.int64)
            self._alive = np.concatenate([self._alive, more])
        self._alive[cohort] = len(new) - int(new.sum()), int(new.sum())

    def _found(self, rows: Rows) -> list[tuple[Cohort, ...]]:
        """For each part the cohorts in which a unit has become bad."""
        bad = np.flatnonzero((rows.bits != 0) & ~self._gone[rows.units])
        units, bits = united(rows.units[bad], rows.bits[bad])
        newly = bits & ~self._bad[units]
        self._bad[units] |= bits
        return [self._cohorts(place, units[newly & part.bit != 0]) for place, part in enumerate(self.parts)]

    def _cohorts(self, place: int, units: Numbers) -> tuple[Cohort, ...]:
        found = []
        for cohort in np.unique(self._cohort[units]).tolist():
            new = self._is_new[units[self._cohort[units] == cohort]]
            alive = self._alive[cohort, place]
            bad = len(new) - int(new.sum()), int(new.sum())
            found.append(Cohort(self._batches[cohort], int(alive[1]), int(alive[0]), bad[1], bad[0]))
            alive -= bad
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
        first = ~self._gone[units] & ~self._matured[units]
        self._bad[bad_units[first]] |= bits[first]
        self._matured[units] = True
        units, labelled = units[first], labelled[first]
        coverage = [
            Cohort(self._batches[cohort], *arms_of(self._is_new[mine]), *arms_of(self._is_new[mine[known]]))
            for cohort in np.unique(self._cohort[units]).tolist()
            for mine, known in [(units[self._cohort[units] == cohort], labelled[self._cohort[units] == cohort] > 0)]
        ]
        return units[labelled > 0], tuple(coverage)

    def tables(self, part: Part, units: Numbers) -> tuple[Cohort, ...]:
        """`units` by cohort, and how many of each arm are bad in `part`; none where nobody is."""
        bad = self._bad[units] & part.bit != 0
        found = []
        for cohort in np.unique(self._cohort[units[bad]]).tolist():
            mine = self._cohort[units] == cohort
            found.append(
                Cohort(
                    self._batches[cohort],
                    *arms_of(self._is_new[units[mine]]),
                    *arms_of(self._is_new[units[mine & bad]]),
                )
            )
        return tuple(found)

    def _counts(self, part: Part, units: Numbers, cohorts: tuple[Cohort, ...]) -> Counts:
        units = units[~self._gone[units]]
        bad = self._bad[units] & part.bit != 0
        new_good, old_good = arms_of(self._is_new[units[~bad]])
        new_bad, old_bad = arms_of(self._is_new[units[bad]])
        return Counts(cohorts=cohorts, new_good=new_good, new_bad=new_bad, old_good=old_good, old_bad=old_bad)

    def _arms(self, fresh: Numbers) -> tuple[Arms, ...]:
        """The units first seen by the share that the new version had."""
        if not self._turns:
            return ()
        first = self._first[fresh]
        moments = np.array([at for at, _ in self._turns])
        turn = np.searchsorted(moments, first, side="right") - 1
        settled = (turn >= 0) & (first - moments[turn] >= GRACE_US)
        counts: dict[float, tuple[int, int]] = {}
        for place in np.unique(turn[settled]).tolist():
            new, old = arms_of(self._is_new[fresh[settled & (turn == place)]])
            share = self._turns[place][1]
            before = counts.get(share, (0, 0))
            counts[share] = before[0] + new, before[1] + old
        return tuple(Arms(share, *counts[share]) for share in sorted(counts))

    def _grow(self, size: int) -> None:
        if size <= self._room:
            return
        room = max(size, 2 * self._room, 1024)
        for name in ("_cohort", "_first", "_bad", "_is_new", "_gone", "_matured"):
            before = getattr(self, name)
            after = np.zeros(room, before.dtype)
            after[: self._room] = before
            setattr(self, name, after)
        self._room = room


def aged_cohorts(book: UnitBook, part: Part, units: Numbers) -> tuple[Cohort, ...]:
    """What one part shows of the units whose outcomes count now."""
    return book.tables(part, units)


def united(units: Numbers, bits: Bits) -> tuple[Numbers, Bits]:
    """Each unit once, with all the bits of its rows."""
    if not len(units):
        return units, bits
    order = np.argsort(units, kind="stable")
    units, bits = units[order], bits[order]
    starts = np.flatnonzero(np.concatenate([[True], units[1:] != units[:-1]]))
    return units[starts], np.bitwise_or.reduceat(bits, starts)


def arms_of(is_new: Flags) -> tuple[int, int]:
    """How many are new, and how many old."""
    new = int(np.count_nonzero(is_new))
    return new, len(is_new) - new
