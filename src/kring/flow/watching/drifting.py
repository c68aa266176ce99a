"""Drift of the inputs and outputs of versions: counts by window, and the e-detectors that look at each window once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from kring.metrics.drift import Ints
from kring.record.alarm import Breach
from kring.record.batch import Column
from kring.record.decision import Decisions
from kring.record.drift import DriftSeen, DriftState, References, VersionDrift
from kring.record.operator import Cursor
from kring.record.system import System
from kring.watch.binning import CountColumns, added, counter_of, part_of
from kring.watch.drift import Detector, EffectOf, Family, counting_window, detector_of, looked

FAMILIES: Final[tuple[Family, ...]] = ("drift", "prediction_drift")


class Watching(NamedTuple):
    """One family of a version: its detector, and what counts its columns."""

    detector: Detector
    counter: CountColumns


class Drifting:
    """Of each version that is told of. `states` are the bets so far, by version and family, `unseen` says of which
    columns nothing could be said. Whoever starts again hands over what was `seen`, and windows that were looked at are
    not looked at again."""

    def __init__(self, system: System, *, seen: DriftSeen | None = None) -> None:
        seen = seen or DriftSeen()
        self.states: dict[tuple[str, Family], DriftState] = {
            (each.state.version, each.family): each.state for each in seen.versions
        }
        self.unseen: dict[tuple[str, Family], Mapping[str, str]] = {
            (each.state.version, each.family): each.unseen for each in seen.versions
        }
        self._system = system
        self._watched: dict[tuple[str, Family], Watching] = {}
        self._counts: dict[tuple[str, Family, int], dict[str, Ints]] = defaultdict(dict)
        self._closed = max([seen.until, *(state.until for state in self.states.values())])

    def knows(self, version: str, references: References | None) -> None:
        """What the version's inputs and outputs looked like; without that there is nothing to compare with."""
        for family in FAMILIES:
            detector = detector_of(references, version=version, family=family, plan=self._system.watch)
            if detector is not None:
                self._watched[version, family] = Watching(detector, counter_of(detector.references.values()))

    def count(self, records: Sequence[Decisions]) -> None:
        """The inputs that a version was asked about, whoever answered, and the outputs that it gave itself, in their
        windows; those of a window that was looked at in the next."""
        parts: dict[tuple[str, Family, int], list[Decisions]] = defaultdict(list)
        for each in records:
            window = counting_window(each.at, width=self._system.watch.window_us, closed=self._closed)
            for family in FAMILIES:
                version = each.version if family == "drift" else each.answered_by
                if (version, family) in self._watched:
                    parts[version, family, window].append(each)
        for key, mine in parts.items():
            version, family, _ = key
            watched = self._watched[version, family]
            self._counts[key] = added(self._counts[key], watched.counter(_columns(mine, family, watched.detector)))

    @property
    def until(self) -> int:
        """The end of the last window that was looked at."""
        return self._closed

    def seen(self, heard: Mapping[int, Cursor]) -> DriftSeen:
        """What is to be handed over to whoever starts again, when the log of each writer was `heard` to its cursor."""
        return DriftSeen(
            until=self._closed,
            heard=tuple(sorted(heard.items())),
            versions=tuple(
                VersionDrift(family=key[1], state=state, unseen={**self.unseen.get(key, {})})
                for key, state in sorted(self.states.items())
            ),
        )

    def closed(
        self, start: int, end: int, *, version: str, effect: EffectOf | None = None
    ) -> tuple[tuple[Breach, ...], tuple[str, ...]]:
        """What is beyond its tolerance after the window that has ended, and the keys of all that were judged."""
        self._closed = max(self._closed, end)
        breaches: tuple[Breach, ...] = ()
        keys: tuple[str, ...] = ()
        for family in FAMILIES:
            watched, cells = self._watched.get((version, family)), self._counts.pop((version, family, start), None)
            if watched is None or cells is None:
                continue
            counts = part_of(version, start, cells)
            look = looked(watched.detector, self.states.get((version, family)), counts, end=end, effect=effect)
            self.states[version, family], self.unseen[version, family] = look.state, look.unseen
            breaches, keys = breaches + look.breaches, keys + look.looked
        for key in [key for key in self._counts if key[2] < start]:
            del self._counts[key]
        return breaches, keys


def _columns(records: Sequence[Decisions], family: Family, detector: Detector) -> dict[str, Column]:
    """The columns that the detector knows and every record holds in clear, one after the other."""
    found: dict[str, Column] = {}
    for name in detector.references:
        parts = [(each.inputs if family == "drift" else each.outputs).get(name) for each in records]
        if all(part is not None for part in parts) and not any(name in each.sealed for each in records):
            found[name] = [value for part in parts if part is not None for value in part]
    return found
