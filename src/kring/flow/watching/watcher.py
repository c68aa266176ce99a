"""From frames of the log to events for the operator: the same in a server that follows a log and in a replay."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import Final, NamedTuple

from kring.errors import KringError
from kring.flow import history
from kring.flow.drilling.drill import overdue
from kring.flow.project import Project
from kring.flow.versions import verified
from kring.flow.watching.monitors import Monitors
from kring.metrics.ids import decision_place
from kring.ports.decision_log import Logged
from kring.ports.ledger import Ledger
from kring.record.decision import Decisions, Outcomes
from kring.record.drift import DriftSeen, References
from kring.record.evidence import Evidence
from kring.record.operator import OperatorEvent
from kring.record.version import Policy, Version
from kring.watch.drift import references_in
from kring.watch.matching import Waiting
from kring.watch.windows import window_start

AGAIN_US: Final = 600_000_000
"""So long by the log a version that can't be opened is not looked for again."""

REMEMBERED: Final = 1 << 14
"""Frames whose shadows may still come."""


class Known(NamedTuple):
    """What the monitors are told of a version."""

    policy: Policy
    evidence: Evidence | None
    references: References | None


KnownOf = Callable[[str], Known | None]
"""(version) → what is known of it; None of one that can't be opened."""


class Watcher:
    """Hears every frame once, and closes windows as time passes. `known_of` is asked once for each version, and now and
    then for one that can't be opened. `seen` is what whoever watched before has handed over to it and to `monitors`:
    the windows up to there are not closed again.
    """

    def __init__(self, monitors: Monitors, *, known_of: KnownOf, window_us: int, seen: DriftSeen | None = None) -> None:
        self.monitors = monitors
        self._known_of = known_of
        self._window_us = window_us
        self._told: set[str] = set()
        self._refused: dict[str, int] = {}
        self._frames: OrderedDict[tuple[int, int, int], Waiting] = OrderedDict()
        self._seen = seen or DriftSeen()
        self._counted = dict(self._seen.heard)
        self._next = -(-self._seen.until // window_us) * window_us

    def hear(self, logged: Logged) -> None:
        """One frame of the log. What belongs to no version that can be opened is counted as traffic and no more."""
        record, place = logged.record, logged.place
        if isinstance(record, Outcomes):
            if self._told:
                self.monitors.outcomes(record.ids, record.values, at=record.at)
        elif not isinstance(record, Decisions):
            return
        elif record.arm == "shadow":
            self._shadow(record)
        elif self._tell(record.version, at=record.at):
            self._tell(record.answered_by, at=record.at)
            self._next = self._next or window_start(record.at, width=self._window_us)
            waiting = self.monitors.decisions(place, record, drifts=not self._was_counted(logged))
            self._frames[place.writer, place.segment, place.sequence] = waiting
            if len(self._frames) > REMEMBERED:
                self._frames.popitem(last=False)

    def due(self, now: int, *, live: str, seed: int = 0, alarmed: Collection[str] = ()) -> list[OperatorEvent]:
        """The events of each window that has ended by `now` (microseconds UTC), in order: its inputs, what the monitors
        found, and now and then realised quality. Afterwards rows that are too old to be judged are let go."""
        if not live or not self._next:
            return []
        self._tell(live, at=now)
        events: list[OperatorEvent] = []
        for end in self.ends(now):
            events += self._close(end - self._window_us, live=live, seed=seed, alarmed=alarmed)
            self._next = end
        return events

    def ends(self, now: int) -> range:
        """The ends of the windows that are over by `now` (microseconds UTC) and not closed yet, in order."""
        return range(self._next + self._window_us, now + 1, self._window_us) if self._next else range(0)

    def _was_counted(self, logged: Logged) -> bool:
        """Whether drift has counted the frame in a window that was looked at before this watcher began."""
        if logged.cursor > self._counted.get(logged.place.writer, (0, 0)):
            return False
        return window_start(logged.record.at, width=self._window_us) < self._seen.until

    def _close(self, start: int, *, live: str, seed: int, alarmed: Collection[str]) -> list[OperatorEvent]:
        end, watch = start + self._window_us, self.monitors.system.watch
        events: list[OperatorEvent] = [
            self.monitors.windows.closed(start, end),
            self.monitors.closed(start, end, live=live),
        ]
        if end % watch.judge_every_us < self._window_us and live in self._told:
            judged = self.monitors.judged(live, end=end - watch.maturity_us, seed=seed, alarmed=alarmed)
            events += [judged] if judged is not None else []
        self.monitors.forget(end - watch.quality_us - watch.maturity_us)
        return events

    def _tell(self, version: str, *, at: int) -> bool:
        """Tell the monitors of a version, once; whether they know it."""
        if version in self._told:
            return True
        if not version.startswith("v_") or "/" in version or at < self._refused.get(version, at):
            return False
        known = self._known_of(version)
        if known is None:
            self._refused[version] = at + AGAIN_US
            return False
        self.monitors.knows(version, known.policy, evidence=known.evidence, references=known.references)
        self._told.add(version)
        return True

    def _shadow(self, record: Decisions) -> None:
        """A shadow's answers belong to the frame that their first row refers to; those of probes to none."""
        if not record.refers or not self._tell(record.version.partition("/")[0], at=record.at):
            return
        first = decision_place(record.refers[0])
        waiting = self._frames.get((first.writer, first.segment, first.sequence))
        if waiting is not None and waiting.n == record.n:
            self.monitors.shadow(waiting, record)


def watcher_of(project: Project, ledger: Ledger, *, seen: DriftSeen | None = None) -> Watcher:
    """A watcher that knows versions by the ledger and by their verified bytes; it goes on after what was `seen`."""
    refused = set[str]()

    def known_of(version: str) -> Known | None:
        made = history.newest_with(ledger, Version, version)
        if made is None:
            return None
        try:
            loaded = verified(project, version)
        except KringError as error:
            if version not in refused:
                project.say(f"version {version} can't be watched: {error.message}")
            refused.add(version)
            return None
        evidence = next((one for one in history.all_of(ledger, Evidence) if one.run == made.run), None)
        return Known(loaded.manifest.chain.policy, evidence, references_in(loaded.files))

    monitors = Monitors(project.system, project.task, seen=seen)
    return Watcher(monitors, known_of=known_of, window_us=project.system.watch.window_us, seen=seen)


def rehearsed(project: Project, ledger: Ledger, *, now: int) -> list[OperatorEvent]:
    """Which drills are overdue; the first of them is due a span after the system's first version."""
    if not project.system.drills.names:
        return []
    first = next((one.at for one in history.all_of(ledger, Version)), now)
    return [overdue(project, ledger, now=now, since=first)]
