"""What the version that answers now takes, costs and gets wrong: the quantiles that a rollout freezes at its start."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from math import isinf
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kring.flow import adapters
from kring.flow.operating.awaiting import Awaited, mistakes_of
from kring.flow.operating.following import Frames, cursors_since
from kring.flow.operating.rollout_book import bad_of
from kring.flow.project import Project
from kring.metrics.assignment import DAY_US
from kring.metrics.prices import per_row, share_dearer
from kring.metrics.sampled import Sampled
from kring.ports.decision_log import Logged
from kring.ports.task import Task
from kring.record.decision import Decisions, Outcomes
from kring.record.progress import Reckoned
from kring.record.rollout import Guardrail, Terms
from kring.record.running import GuardrailKind
from kring.record.system import System
from kring.record.version import Policy
from kring.release.terms import ABSOLUTE, LEAST, LOSSES, MEASURED, label_age, told_alone, unit_of
from kring.release.units import Part

SPAN_US: Final = 30 * 86_400_000_000
"""How far back the log is read for it."""

OUTCOME_RATE: Final = 0.2
"""The share of bad outcomes that a plan goes by where too few are known."""

NEWEST_DAYS: Final = 2
"""Of so many days the subjects are known by name, of earlier ones how many there were."""

TOGETHER: Final = 4096
"""So many frames are judged together."""

UNITS: Final = (("day", DAY_US), ("hour", 3_600_000_000), ("minute", 60_000_000))

Limits = dict[str, tuple[float, ...]]


class Habits:
    """How one version answers, from its rows in the log: what they took, cost and turned out to be, and how many of
    them there were on how many days."""

    def __init__(self, system: System, task: Task, *, version: str, policy: Policy) -> None:
        self.rows = self.outcomes = 0
        self.first = self.last = 0
        self._unit = unit_of(system)
        self._groups = 0
        self._moments: dict[int, int] = {}
        self._aged = self._known = self._wrong = 0
        self._age_us = label_age(system)
        self._subjects: dict[int, set[str]] = {}
        self._passed = 0
        self._bad: dict[GuardrailKind, int] = {}
        self._signs = tuple(
            Part(Guardrail(name=kind, kind=kind, route="absolute"), None, 1 << place)
            for place, kind in enumerate(system.rollout.guardrails)
            if kind in ABSOLUTE
        )
        self._kinds = system.rollout.guardrails
        self._version, self._task, self._policy = version, task, policy
        self._awaited = Awaited(self._age_us) if "outcome" in self._kinds else None
        self._frames = 0
        self._taken = Smallest()
        self._paid: Sampled | Smallest = Smallest() if "cost" in told_alone(system) else Sampled()
        self._lost = Sampled()

    def hear(self, logged: Logged) -> None:
        """One frame of the log; answers of others pass by."""
        record = logged.record
        if isinstance(record, Outcomes):
            self.outcomes += len(record.ids)
            if self._awaited is not None:
                self._awaited.settle(record)
        if not isinstance(record, Decisions) or record.kind == "shadow" or record.version != self._version:
            return
        self.first, self.last = self.first or record.at, record.at
        self.rows += record.n
        self._groups += self._moments.get(logged.place.writer) != record.at
        self._moments[logged.place.writer] = record.at
        self._count(record)
        if "latency" in self._kinds:
            self._taken.add(0 if record.alone else record.n, record.latency_us)
        if "cost" in self._kinds:
            self._pay(record)
        if self._awaited is not None:
            self._awaited.wait(logged.place, record, end=record.at)
            self._frames += 1
            if self._frames % TOGETHER == 0:
                self.until(record.at)

    def until(self, now: int) -> None:
        """All was heard up to `now`: what has reached the age at which outcomes count is judged, and let go."""
        for known, mistakes in self._mature(now):
            self._aged += len(known)
            self._known += int(np.count_nonzero(known))
            self._wrong += int(np.count_nonzero(mistakes > 0))

    @cached_property
    def limits(self) -> Limits:
        """By guardrail, once all was heard; nothing of one about which too little is known."""
        found: Limits = {}
        if "latency" in self._kinds and self.rows >= LEAST:
            found["latency"] = quantiles(self._taken.values, MEASURED["latency"])
        paid = self._paid.values
        if "cost" in self._kinds and self.rows >= LEAST and paid.any():
            found["cost"] = quantiles(paid, MEASURED["cost"])
        if "outcome" in self._kinds and not self._needs_losses:
            found["outcome"] = ()
        if "outcome" in self._kinds and self._needs_losses:
            list(self._mature(self.last + SPAN_US))
            if self._lost.n >= LEAST:
                found["outcome"] = quantiles(self._lost.values, LOSSES)
        return found

    @property
    def days(self) -> float:
        """The span of its answers; a day at least, where there are any."""
        return max((self.last - self.first) / DAY_US, 1.0) if self.rows else 0.0

    @property
    def units(self) -> int:
        """What a rollout would draw for one of its arms."""
        return self._passed + sum(map(len, self._subjects.values())) if self._subjects else self.rows

    def reckoned(self, terms: Terms) -> tuple[Reckoned, ...]:
        """What the steps of a plan go by, guardrail by guardrail. Above a quantile lies what is above it: of several
        limits, the least."""
        return tuple(self._reckoned(one) for one in terms.guardrails if one.route != "paired")

    def unknown(self, terms: Terms) -> frozenset[str]:
        """The guardrails by outcomes, while none is on record of whichever version."""
        return frozenset(one.name for one in terms.guardrails if one.kind == "outcome" and not self.outcomes)

    def _reckoned(self, one: Guardrail) -> Reckoned:
        """Of latency only rows asked by themselves count, one of each group; of outcomes only those that are known."""
        seen, share = f"{self.rows:,} decisions in {told_age(round(self.days * DAY_US))}", 1.0
        if one.kind in MEASURED and one.kind in self.limits:
            rate = 1 - max(MEASURED[one.kind])
            if one.kind == "cost":
                rate = share_dearer(self._paid.values, one.limits[0])
            if one.is_timed and self.rows:
                share = self._groups / self.rows
                seen += f", asked in {self._groups:,} groups: the first of each counts"
            return Reckoned(name=one.name, rate=rate, share=share, source=seen)
        if one.kind == "outcome":
            return self._outcomes(one)
        return Reckoned(name=one.name, rate=self._bad.get(one.kind, 0) / max(self.rows, 1), share=1.0, source=seen)

    def _outcomes(self, one: Guardrail) -> Reckoned:
        """Of those that are old enough. What too little is known of is assumed, and that is said."""
        seen = f"{self._aged:,} decisions of {told_age(self._age_us)} ago and before, {self._known:,} with an outcome"
        share, rate, assumed = 1.0, OUTCOME_RATE, []
        if self._aged >= LEAST:
            share = self._known / self._aged
        else:
            assumed.append("each has one")
        if self._needs_losses:
            rate = 1 - max(LOSSES)
        elif self._known >= LEAST:
            rate = self._wrong / self._known
        else:
            assumed.append(f"{rate:.0%} of them are bad")
        words = f"; too few, so this is assumed: {' and '.join(assumed)}" if assumed else ""
        return Reckoned(name=one.name, rate=rate, share=share, source=seen + words)

    def _mature(self, now: int) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.float64]]]:
        """Judge the answers that are old enough by `now`, and let go of them: which rows have an outcome, and how bad
        these turned out."""
        over = self._awaited.matured(now) if self._awaited is not None else []
        if over:
            losses = mistakes_of(over, [one.outputs for one in over], task=self._task, policy=self._policy)
            known = np.isfinite(losses)
            for loss in losses[known].tolist() if self._needs_losses else ():
                self._lost.add(loss)
            yield known, losses[known]

    def _pay(self, record: Decisions) -> None:
        cost = per_row(record.cost, record.n)
        if isinstance(self._paid, Smallest):
            self._paid.add(0 if record.alone else record.n, cost)
        else:
            self._paid.add(cost, rows=record.n)

    def _count(self, record: Decisions) -> None:
        bits = bad_of(record, self._signs)
        for part in self._signs:
            bad = record.n * bool(bits & part.bit) if isinstance(bits, int) else np.count_nonzero(bits & part.bit)
            self._bad[part.guardrail.kind] = self._bad.get(part.guardrail.kind, 0) + int(bad)
        if self._unit != "request":
            day = record.at // DAY_US if self._unit == "subject_day" else 0
            self._subjects.setdefault(day, set()).update(record.subjects)
            if len(self._subjects) > NEWEST_DAYS:
                self._passed += len(self._subjects.pop(min(self._subjects)))

    @property
    def _needs_losses(self) -> bool:
        return "outcome" in self._kinds and isinf(self._task.largest_mistake)


def habits_of(project: Project, *, version: str, policy: Policy, log: Frames | None = None) -> Habits:
    """How `version` has answered lately, by the log of the system unless another is given."""
    now = project.clock.now()
    habits = Habits(project.system, project.task, version=version, policy=policy)
    log = log or adapters.read_log(project.home.log, system=project.system.name)
    for logged in log.read(cursors_since(project.home.log, since=now - SPAN_US), until=now):
        habits.hear(logged)
    habits.until(now)
    return habits


def limits_of(project: Project, *, version: str, policy: Policy, log: Frames | None = None) -> Limits:
    """The limits that a rollout beside `version` needs; the log is read only where they follow from it."""
    kinds = project.system.rollout.guardrails
    if not any(kind in MEASURED or kind == "outcome" for kind in kinds):
        return {}
    if not any(kind in MEASURED for kind in kinds) and not isinf(project.task.largest_mistake):
        return {"outcome": ()}
    return habits_of(project, version=version, policy=policy, log=log).limits


class Smallest:
    """How long the smallest groups of rows took, or what one of their rows cost: rows that were asked alone, which are
    groups of 0 here, if there are enough of them. A rollout compares such rows. Larger groups are let go as they come.
    """

    def __init__(self) -> None:
        self._groups: dict[int, Sampled] = {}

    def add(self, rows: int, value: float) -> None:
        """One group."""
        if rows not in self._groups:
            if self._groups and rows > max(self._groups) and self._enough(self._groups):
                return
            self._groups[rows] = Sampled()
        self._groups[rows].add(float(value))
        while self._enough(smaller := sorted(self._groups)[:-1]):
            self._groups = {each: self._groups[each] for each in smaller}

    @property
    def values(self) -> NDArray[np.float64]:
        """What was added, (k,), one in so many of each size alike."""
        thinned = max((each.thinned for each in self._groups.values()), default=1)
        for each in self._groups.values():
            each.thin(thinned)
        return np.concatenate([np.zeros(0), *(each.values for _, each in sorted(self._groups.items()))])

    def _enough(self, sizes: Iterable[int]) -> bool:
        return sum(self._groups[size].n for size in sizes) >= LEAST


def told_age(us: int) -> str:
    """A span in the largest unit of which it has one."""
    name, unit = next((each for each in UNITS if us >= each[1]), ("second", 1_000_000))
    return f"{us / unit:.3g} {name}{'' if us == unit else 's'}"


def quantiles(values: NDArray[np.float64], shares: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(float(value) for value in np.quantile(values, shares))
