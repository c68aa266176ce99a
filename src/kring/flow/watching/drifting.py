"""The drift monitor: every version's inputs and answers against what it carries, one look for each window."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from kring.record.alarm import Breach, Effect
from kring.record.batch import Column
from kring.record.decision import Decisions
from kring.record.drift import DriftState, References
from kring.record.operator import Watched
from kring.record.running import Watch
from kring.watch.binning import Gathered, part_of
from kring.watch.drift import Detector, Family, Look, counting_window, detector_of, looked

FAMILIES: Final[tuple[Family, ...]] = ("drift", "prediction_drift")
Key = tuple[str, Family]


class Window(NamedTuple):
    """What is counted of one version and family in one window."""

    version: str
    family: Family
    start: int


class Drifting:
    """Derived from the log and the versions' references, and the same for a log that is followed and for a replay.

    Whoever feeds it hands over every record once and closes windows in their order; rows of a window that is closed
    count in the first that is not. `states` goes on where an earlier process stopped: a window that it has looked at
    is not looked at again.
    """

    def __init__(self, plan: Watch, *, states: Mapping[Key, DriftState] | None = None) -> None:
        self.states: dict[Key, DriftState] = dict(states or {})
        self.unseen: dict[Key, Mapping[str, str]] = {}
        self._plan = plan
        self._closed = 0
        self._eyes: dict[Key, Detector] = {}
        self._counts: dict[Window, Gathered] = {}

    def knows(self, version: str, references: References | None) -> bool:
        """Tell what a version carries; False when it carries nothing to tell drift by: then it is not watched."""
        for family in FAMILIES:
            eye = detector_of(references, version=version, family=family, plan=self._plan)
            if eye is not None:
                self._eyes[version, family] = eye
        return any((version, family) in self._eyes for family in FAMILIES)

    def decisions(self, record: Decisions) -> None:
        """Count answers that somebody got, by the version that was asked; what it said, only where it answered itself.
        Values that are sealed are not counted."""
        if record.arm == "shadow":
            return
        start = counting_window(record.at, width=self._plan.window_us, closed=self._closed)
        self._count(Window(record.version, "drift", start), record.inputs, sealed=record.sealed)
        if record.answered_by == record.version:
            self._count(Window(record.version, "prediction_drift", start), record.outputs, sealed=record.sealed)

    def closed(self, start: int, end: int, *, live: str, effect: Effect | None = None) -> Watched:
        """Look at the window that has ended. Every version's bets go on; what is told is of the version `live`, with
        `effect`, what the window's inputs are estimated to have done to quality and money."""
        self._closed = max(self._closed, end)
        found = [(key, self._look(key, start, end, effect=effect if key[0] == live else None)) for key in self._eyes]
        mine = [look for (version, _), look in found if version == live]
        return Watched(start=start, end=end, breaches=_breaches(mine), looked=_keys(mine))

    def _count(self, window: Window, columns: Mapping[str, Column], *, sealed: Iterable[str]) -> None:
        eye = self._eyes.get((window.version, window.family))
        if eye is None:
            return
        if window not in self._counts:
            self._counts[window] = Gathered(tuple(eye.references.values()))
        hidden = set(sealed)
        self._counts[window].add({name: column for name, column in columns.items() if name not in hidden})

    def _look(self, key: Key, start: int, end: int, *, effect: Effect | None) -> Look:
        version, family = key
        gathered = self._counts.pop(Window(version, family, start), None)
        counts = part_of(version, start, gathered.counts() if gathered is not None else {})
        look = looked(self._eyes[key], self.states.get(key), counts, end=end, effect=lambda _feature: effect)
        self.states[key], self.unseen[key] = look.state, look.unseen
        return look


def _breaches(looks: Iterable[Look]) -> tuple[Breach, ...]:
    return tuple(breach for look in looks for breach in look.breaches)


def _keys(looks: Iterable[Look]) -> tuple[str, ...]:
    return tuple(key for look in looks for key in look.looked)
