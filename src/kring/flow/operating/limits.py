"""What the version that answers now takes, costs and gets wrong: the quantiles that a rollout freezes at its start."""

from __future__ import annotations

from collections.abc import Sequence
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
from kring.ports.decision_log import Logged
from kring.ports.task import Task
from kring.record.decision import Decisions, Outcomes
from kring.record.rollout import Guardrail, Terms
from kring.record.running import GuardrailKind
from kring.record.system import System
from kring.record.version import Policy
from kring.release.terms import ABSOLUTE, LEAST, LOSSES, MEASURED, label_age, unit_of
from kring.release.units import Part

SPAN_US: Final = 30 * 86_400_000_000
"""How far back the log is read for it."""

OUTCOME_RATE: Final = 0.2
"""The share of bad outcomes that a plan goes by where nothing is known of them."""

Limits = dict[str, tuple[float, ...]]


class Habits:
    """How one version answers, from its rows in the log: what they took, cost and turned out to be, and how many of
    them there were on how many days."""

    def __init__(self, system: System, task: Task, *, version: str, policy: Policy) -> None:
        self.rows = self.outcomes = 0
        self.first = self.last = 0
        self._unit = unit_of(system)
        self._subjects: dict[int, set[str]] = {}
        self._bad: dict[GuardrailKind, int] = {}
        self._signs = tuple(
            Part(Guardrail(name=kind, kind=kind, route="absolute"), None, 1 << place)
            for place, kind in enumerate(system.rollout.guardrails)
            if kind in ABSOLUTE
        )
        self._kinds = system.rollout.guardrails
        self._version, self._task, self._policy = version, task, policy
        self._awaited = Awaited(label_age(system)) if self._needs_losses else None
        self._taken: list[tuple[int, int]] = []
        self._paid: list[NDArray[np.float64]] = []

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
        self._count(record)
        self._taken.append((0 if record.alone else record.n, record.latency_us))
        self._paid.append(np.full(record.n, record.cost / max(record.n, 1)))
        if self._awaited is not None:
            self._awaited.wait(logged.place, record, end=record.at)

    @cached_property
    def limits(self) -> Limits:
        """By guardrail, once all was heard; nothing of one about which too little is known."""
        found: Limits = {}
        if "latency" in self._kinds and self.rows >= LEAST:
            found["latency"] = quantiles(fewest(self._taken), MEASURED["latency"])
        paid = np.concatenate(self._paid) if self._paid else np.zeros(0)
        if "cost" in self._kinds and self.rows >= LEAST and paid.any():
            found["cost"] = quantiles(paid, MEASURED["cost"])
        if "outcome" in self._kinds and self._awaited is None:
            found["outcome"] = ()
        if self._awaited is not None:
            over = self._awaited.matured(self.last + SPAN_US)
            losses = mistakes_of(over, [one.outputs for one in over], task=self._task, policy=self._policy)
            losses = losses[np.isfinite(losses)]
            if len(losses) >= LEAST:
                found["outcome"] = quantiles(losses, LOSSES)
        return found

    @property
    def days(self) -> float:
        """The span of its answers; a day at least, where there are any."""
        return max((self.last - self.first) / DAY_US, 1.0) if self.rows else 0.0

    @property
    def units(self) -> int:
        """What a rollout would draw for one of its arms."""
        return sum(map(len, self._subjects.values())) if self._subjects else self.rows

    def rates(self, terms: Terms) -> dict[str, float]:
        """The share of bad rows by guardrail. Above a quantile lies what is above it: of several limits, the least."""
        found = {kind: bad / max(self.rows, 1) for kind, bad in self._bad.items()}
        found |= {kind: 1 - max(MEASURED[kind]) for kind in self._kinds if kind in MEASURED and kind in self.limits}
        found["outcome"] = OUTCOME_RATE
        return {one.name: found.get(one.kind, 0.0) for one in terms.guardrails}

    def unknown(self, terms: Terms) -> frozenset[str]:
        """The guardrails by outcomes, while none is on record of whichever version."""
        return frozenset(one.name for one in terms.guardrails if one.kind == "outcome" and not self.outcomes)

    def _count(self, record: Decisions) -> None:
        bits = bad_of(record, self._signs)
        for part in self._signs:
            bad = record.n * bool(bits & part.bit) if isinstance(bits, int) else np.count_nonzero(bits & part.bit)
            self._bad[part.guardrail.kind] = self._bad.get(part.guardrail.kind, 0) + int(bad)
        if self._unit != "request":
            day = record.at // DAY_US if self._unit == "subject_day" else 0
            self._subjects.setdefault(day, set()).update(record.subjects)

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
    return habits


def limits_of(project: Project, *, version: str, policy: Policy, log: Frames | None = None) -> Limits:
    """The limits that a rollout beside `version` needs; the log is read only where they follow from it."""
    kinds = project.system.rollout.guardrails
    if not any(kind in MEASURED or kind == "outcome" for kind in kinds):
        return {}
    if not any(kind in MEASURED for kind in kinds) and not isinf(project.task.largest_mistake):
        return {"outcome": ()}
    return habits_of(project, version=version, policy=policy, log=log).limits


def fewest(taken: Sequence[tuple[int, int]]) -> NDArray[np.float64]:
    """How long the smallest groups of rows took, of (rows, microseconds): rows that were asked alone, which are 0 here,
    if there are enough of them. A rollout compares such rows."""
    rows, spans = np.array(taken, dtype=np.float64).T
    small = np.sort(rows)[min(LEAST, len(rows)) - 1]
    found: NDArray[np.float64] = spans[rows <= small]
    return found


def quantiles(values: NDArray[np.float64], shares: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(float(value) for value in np.quantile(values, shares))
