"""What one worker tells the others of its counts, and what it tells of all of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from kring.flow.serving.tallies import Tallies
from kring.flow.serving.turning import named_in
from kring.host.vitals import Usage, open_files
from kring.ports.clock import Clock
from kring.record.tally import Tally
from kring.serve.breaker import Breaker
from kring.serve.counting import Counts, Gauge
from kring.serve.desk import Desk

OPEN: Final = {"closed": 0.0, "half-open": 0.5, "open": 1.0}
"""How far the breaker of a version is open, as the metrics tell it."""


class Teller:
    """Puts counts and what is so at the moment together. `breakers` are those of (system, version); told are those of
    versions that may be asked. `providers` names systems, their versions and what computes them, `lost` says how many
    spans were left out, by reason."""

    def __init__(
        self,
        desk: Desk,
        counts: Counts,
        *,
        tallies: Tallies,
        usage: Usage,
        clock: Clock,
        breakers: Mapping[tuple[str, str], Breaker],
        providers: Callable[[], Iterable[tuple[str, str, str]]],
        lost: Callable[[], Mapping[str, float]],
    ) -> None:
        self._desk = desk
        self._counts = counts
        self._tallies = tallies
        self._usage = usage
        self._clock = clock
        self._breakers = breakers
        self._providers = providers
        self._lost = lost

    def tell(self) -> None:
        """Write down what was counted, where the other workers can read it."""
        self._tallies.write(self._tally())

    def all(self) -> list[Tally]:
        """What every worker has counted, this one up to now."""
        return [self._tally(), *self._tallies.others()]

    def _tally(self) -> Tally:
        return self._counts.tally(self._clock.monotonic(), self._gauges())

    def _gauges(self) -> Iterator[Gauge]:
        """What is so at the moment."""
        for name, line in self._desk.lines.items():
            yield "kring_in_flight_rows", (name,), line.in_flight
            yield "kring_pointer_generation", (name,), float(line.served.pointer.generation)
        asked = {(name, version) for name, line in self._desk.lines.items() for version in named_in(line.served)}
        for key, breaker in list(self._breakers.items()):
            if (key[0], key[1].partition("/")[0]) in asked:
                yield "kring_breaker_open", key, OPEN[breaker.state]
        for version in self._providers():
            yield "kring_provider_info", version, 1.0
        for why, spans in self._lost().items():
            yield "kring_spans_dropped_total", (why,), spans
        yield "kring_worker_ready", (), float(self._desk.readiness()[0])
        yield "kring_worker_resident_memory_bytes", (), self._usage.rss()
        yield "kring_worker_open_fds", (), open_files()
        yield "kring_worker_cpu_seconds_total", (), sum(os.times()[:2])
