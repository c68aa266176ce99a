"""Counts what a data worker does, for a microsecond or two each time; whoever asks reads a `Tally`."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import Final

from kring.record.decision import REPAIRED, Decisions
from kring.record.tally import Labels, Spread, Tally
from kring.serve.decider import REJECTED, UNANSWERED

SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ROWS: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)

BUCKETS: Final[dict[str, tuple[float, ...]]] = {
    "kring_request_duration_seconds": SECONDS,
    "kring_model_duration_seconds": SECONDS,
    "kring_log_commit_duration_seconds": SECONDS,
    "kring_log_group_rows": ROWS,
}
"""The upper ends of the ranges of each spread."""

OF_VERSIONS: Final = ("kring_decisions_total", "kring_fallbacks_total", "kring_cost_total")
MOST_VERSIONS: Final = 32
"""Versions of a system that are counted apart: the one that came first is forgotten for one more, and begins anew if it
is asked again."""

Gauge = tuple[str, Labels, float]
"""What is so at the moment: the name of a family, the values of its labels, and a number."""


class Counts:
    """One worker's counts. For the loop's thread alone. `before` is what this seat had counted when its last worker
    died, so that no number ever falls while the server lives."""

    def __init__(self, seat: int, *, before: Tally | None = None) -> None:
        self._seat = seat
        self._grown: dict[tuple[str, Labels], float] = {}
        self._spreads: dict[tuple[str, Labels], Spread] = {}
        if before is not None:
            self._grown = {(name, labels): value for name, some in before.grown.items() for labels, value in some}
            self._spreads = {
                (name, labels): spread
                for name, some in before.spreads.items()
                for labels, spread in some
                if len(spread.counts) == len(BUCKETS.get(name, ())) + 1
            }
        self._requests: dict[tuple[str, int], Spread] = {}

    def answered(self, route: str, status: int, seconds: float) -> None:
        """A request to `route`, with its parts left open, was answered."""
        key = (route, status // 100)
        spread = self._requests.get(key)
        if spread is None:
            labels = (route, f"{status // 100}xx")
            spread = self._requests[key] = self._spread("kring_request_duration_seconds", labels)
        spread.counts[bisect_left(SECONDS, seconds)] += 1
        spread.sum += seconds

    def decided(self, record: Decisions) -> None:
        """Rows were answered and are durable."""
        who = answerer_of(record)
        self._grow("kring_decisions_total", (record.system, record.version, record.arm, who), record.n)
        self._observe("kring_model_duration_seconds", (record.system,), record.latency_us / 1e6)
        if record.cost:
            self._grow("kring_cost_total", (record.system, record.version, record.arm), record.cost)
        if record.answered_by != record.version:
            self._grow("kring_fallbacks_total", (record.system, record.version, who), record.n)
        if record.guards:
            for rules in record.guards.values():
                for rule in rules:
                    name = REPAIRED.rstrip(": ") if rule.startswith(REPAIRED) else rule
                    self._grow("kring_guards_fired_total", (record.system, name), 1)

    def committed(self, system: str, seconds: float, rows: int) -> None:
        """A group of `rows` was made durable in so many seconds."""
        self._observe("kring_log_commit_duration_seconds", (system,), seconds)
        self._observe("kring_log_group_rows", (system,), float(rows))

    def dropped(self, system: str, rows: int) -> None:
        """So many shadow answers were left out."""
        self._grow("kring_shadow_dropped_total", (system,), rows)

    def unexposed(self, system: str, rows: int) -> None:
        """So many exposures could not be put on record."""
        self._grow("kring_exposures_dropped_total", (system,), rows)

    def tally(self, at: float, gauges: Iterable[Gauge]) -> Tally:
        """All of it at `at`, monotonic seconds, with what `gauges` say is so now."""
        tally = Tally(seat=self._seat, at=at, grown={}, spreads={}, now={})
        for (name, labels), value in self._grown.items():
            tally.grown.setdefault(name, []).append((labels, value))
        for (name, labels), spread in self._spreads.items():
            tally.spreads.setdefault(name, []).append((labels, spread))
        for name, labels, value in gauges:
            tally.now.setdefault(name, []).append((labels, value))
        return tally

    def _grow(self, name: str, labels: Labels, by: float) -> None:
        key = (name, labels)
        known = self._grown.get(key)
        if known is None and name in OF_VERSIONS:
            self._make_room(*labels[:2])
        self._grown[key] = (known or 0) + by

    def _make_room(self, system: str, version: str) -> None:
        """Forget what is oldest where another version comes to be counted."""
        mine = [key for key in self._grown if key[0] in OF_VERSIONS and key[1][0] == system]
        versions = list(dict.fromkeys(labels[1] for _, labels in mine))
        if version not in versions and len(versions) >= MOST_VERSIONS:
            for key in mine:
                if key[1][1] == versions[0]:
                    del self._grown[key]

    def _observe(self, name: str, labels: Labels, value: float) -> None:
        spread = self._spreads.get((name, labels)) or self._spread(name, labels)
        spread.counts[bisect_left(BUCKETS[name], value)] += 1
        spread.sum += value

    def _spread(self, name: str, labels: Labels) -> Spread:
        empty = Spread(counts=[0] * (len(BUCKETS[name]) + 1))
        return self._spreads.setdefault((name, labels), empty)


def answerer_of(record: Decisions) -> str:
    """Who answered, in one of six words: the arm that was asked, `live` or `previous` for another version,
    `baseline`, `default`, `nobody`."""
    who = record.answered_by
    if who == record.version:
        return record.arm
    if who in (REJECTED, UNANSWERED):
        return "nobody"
    if who == "default":
        return who
    if who.endswith("/baseline"):
        return "baseline"
    return "live" if record.arm == "canary" and "; " not in record.fallback else "previous"
