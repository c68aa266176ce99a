"""`/metrics` for Prometheus: what all data workers of this server have counted, as text 0.0.4 or OpenMetrics."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Final, NamedTuple, TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector, CollectorRegistry

from kring.api.exchange import Request, Response, Route
from kring.api.faults import native
from kring.errors import Forbidden
from kring.record.tally import Labels, Spread, Tally
from kring.serve.counting import BUCKETS

T = TypeVar("T")

OPEN_METRICS: Final = "application/openmetrics-text"

STALE_S: Final = 10.0
"""For how long it is believed what a worker says is so."""


class Family(NamedTuple):
    """What is counted, and by which labels."""

    help: str
    labels: tuple[str, ...]


FAMILIES: Final[dict[str, Family]] = {
    "kring_decisions_total": Family("Rows decided and durable", ("system", "version", "arm", "answered_by")),
    "kring_fallbacks_total": Family("Rows that another answered", ("system", "version", "answered_by")),
    "kring_cost_total": Family("What decisions cost, in the system's currency", ("system", "version", "arm")),
    "kring_guards_fired_total": Family("Promises of the contract that rows broke", ("system", "guard")),
    "kring_shadow_dropped_total": Family("Shadow answers left out for lack of time", ("system",)),
    "kring_exposures_dropped_total": Family("Exposures of flags that could not be put on record", ("system",)),
    "kring_request_duration_seconds": Family("From the first byte in to the answer", ("route", "status")),
    "kring_model_duration_seconds": Family("Deciding on one group of rows", ("system",)),
    "kring_log_commit_duration_seconds": Family("Making one group durable", ("system",)),
    "kring_log_group_rows": Family("Rows made durable together", ("system",)),
    "kring_in_flight_rows": Family("Rows that wait for an answer", ("system", "worker")),
    "kring_pointer_generation": Family("The pointer by which a worker answers", ("system", "worker")),
    "kring_breaker_open": Family(
        "1 while a version is left alone, 0.5 while it is tried again", ("system", "version", "worker")
    ),
    "kring_provider_info": Family("1 for what computes a version's graph", ("system", "version", "provider", "worker")),
    "kring_spans_dropped_total": Family("Spans that nobody was told of", ("reason", "worker")),
    "kring_worker_ready": Family("1 when the worker should be asked", ("worker",)),
    "kring_worker_resident_memory_bytes": Family("Memory in use", ("worker",)),
    "kring_worker_open_fds": Family("Open files and sockets", ("worker",)),
    "kring_worker_cpu_seconds_total": Family("CPU used", ("worker",)),
}
"""Every name under which something is told, in the order in which it is."""

_open: Final[Callable[..., bytes]] = openmetrics.generate_latest

Tallies = Callable[[], Sequence[Tally]]


class Told(Collector):
    """The sum over workers, for the systems that the caller may observe."""

    def __init__(self, tallies: Sequence[Tally], *, systems: frozenset[str]) -> None:
        self._tallies = tallies
        self._systems = systems

    def collect(self) -> Iterator[Metric]:
        last = max((one.at for one in self._tallies), default=0.0)
        fresh = [one for one in self._tallies if last - one.at <= STALE_S]
        for name, family in FAMILIES.items():
            if name in BUCKETS:
                yield self._histogram(name, family)
            elif family.labels[-1] == "worker":
                yield self._by_worker(name, family, fresh)
            else:
                yield self._counter(name, family)

    def _counter(self, name: str, family: Family) -> Metric:
        metric = CounterMetricFamily(name, family.help, labels=family.labels)
        sums: defaultdict[Labels, float] = defaultdict(float)
        for labels, value in self._seen(family, (tally.grown.get(name, ()) for tally in self._tallies)):
            sums[labels] += value
        for labels, value in sums.items():
            metric.add_metric(labels, value)
        return metric

    def _by_worker(self, name: str, family: Family, fresh: Iterable[Tally]) -> Metric:
        kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
        metric = kind(name, family.help, labels=family.labels)
        for tally in fresh:
            for labels, value in self._seen(family, [tally.now.get(name, ())]):
                metric.add_metric((*labels, str(tally.seat)), value)
        return metric

    def _histogram(self, name: str, family: Family) -> Metric:
        metric = HistogramMetricFamily(name, family.help, labels=family.labels)
        sums: dict[Labels, Spread] = {}
        for labels, spread in self._seen(family, (tally.spreads.get(name, ()) for tally in self._tallies)):
            total = sums.setdefault(labels, Spread(counts=[0] * len(spread.counts)))
            total.counts = [one + other for one, other in zip(total.counts, spread.counts, strict=True)]
            total.sum += spread.sum
        ends = [*map(str, BUCKETS[name]), "+Inf"]
        for labels, total in sums.items():
            metric.add_metric(labels, list(zip(ends, accumulate(total.counts), strict=True)), total.sum)
        return metric

    def _seen(self, family: Family, parts: Iterable[Iterable[tuple[Labels, T]]]) -> Iterator[tuple[Labels, T]]:
        by_system = family.labels[0] == "system"
        for part in parts:
            for labels, value in part:
                if not by_system or labels[0] in self._systems:
                    yield labels, value


def text(tallies: Sequence[Tally], *, systems: Iterable[str], accept: str) -> tuple[bytes, str]:
    """All that was counted about `systems` and about the server, and its content type, as `accept` wants it."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Told(tallies, systems=frozenset(systems)))
    if OPEN_METRICS in accept.lower():
        return _open(registry, version="1.0.0"), f"{OPEN_METRICS}; version=1.0.0; charset=utf-8"
    return generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4


def routes(tallies: Tallies) -> tuple[Route, ...]:
    """`/metrics`, for keys that may observe; each sees the systems that it may observe."""

    async def metrics(request: Request) -> Response:
        systems = [line.name for line in request.lines.all() if may_observe(request, line.name)]
        if not systems:
            request.line()
        body, media = text(tallies(), systems=systems, accept=str(request.headers.get("accept") or ""))
        return Response(200, body, media)

    return (
        Route(
            method="GET",
            path="/metrics",
            handler=metrics,
            action="observe",
            fault=native,
            summary="Counts for Prometheus, as text 0.0.4 or OpenMetrics",
            gives=str,
        ),
    )


def may_observe(request: Request, system: str) -> bool:
    """Whether the caller's role in `system` allows it."""
    try:
        request.line(system)
    except Forbidden:
        return False
    return True
