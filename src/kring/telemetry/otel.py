"""Spans over OTLP/HTTP to an OpenTelemetry collector.

Who works appends to a bounded queue and goes on. A thread makes OpenTelemetry's spans of what is there, and sends
them. Attributes are those of the HTTP and RPC semantic conventions (1.37) and, under `kring.`, our own.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from kring.ports.clock import Clock
from kring.ports.random import Random
from kring.ports.spans import GRPC, Asked, Span
from kring.ports.spans import Link as Linked
from kring.telemetry.genai import answered_in_words
from kring.telemetry.sampling import Sampling
from kring.telemetry.traceparent import parent_of, state_of

MOST_QUEUED: Final = 4096
AT_ONCE: Final = 128
EVERY_S: Final = 1.0
LAST_S: Final = 2.0
"""How long the end of the process waits for the last spans."""

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"})
TOLD: Final = TraceFlags(TraceFlags.SAMPLED)
FULL, UNSENT = "queue full", "not taken"

OUR_FAULTS: Final = frozenset({2, 4, 12, 13, 14, 15})
"""Of gRPC's status codes those that the conventions call a server's errors: unknown, deadline exceeded, unimplemented,
internal, unavailable, data loss."""

Attribute = str | int | float | Sequence[str]


class OtelSpans:
    """See `kring.ports.spans.Spans`. `send` gives a batch away, and says whether it was taken: it may take its time."""

    def __init__(
        self,
        send: Callable[[Sequence[ReadableSpan]], bool],
        *,
        resource: Resource,
        sampling: Sampling,
        clock: Clock,
        random: Random,
        every_s: float = EVERY_S,
    ) -> None:
        self._send = send
        self._resource = resource
        self._sampling = sampling
        self._clock = clock
        self._random = random
        self._every = every_s
        self._queue: deque[Span] = deque()
        self._lost: Counter[str] = Counter({FULL: 0, UNSENT: 0})
        self._is_closing = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
        self._thread.start()

    def request(self, method: str, route: str, *, scheme: str, parent: str, state: str) -> Span:
        above = parent_of(parent) if parent else None
        chance = self._random.bytes(8 if above else 24)
        trace = above.trace if above else int.from_bytes(chance[8:]) or 1
        return Span(
            trace=trace,
            id=int.from_bytes(chance[:8]) or 1,
            parent=above.id if above else 0,
            is_told=self._sampling.tells(trace, parent=above.is_told if above else None),
            began=self._clock.now(),
            tick=self._clock.monotonic(),
            state=state_of(state) if above and state else "",
            method=method,
            route=route,
            scheme=scheme,
        )

    def together(self, requests: Sequence[Span], *, system: str, rows: int, seconds: float, fault: str) -> None:
        told = [one for one in requests if one.is_told]
        if not told:
            return
        first, now = told[0], self._clock.now()
        group = Span(
            trace=first.trace,
            id=int.from_bytes(self._random.bytes(8)) or 1,
            parent=first.id,
            is_told=True,
            began=now - int(seconds * 1e6),
            tick=0.0,
            state=first.state,
            seconds=seconds,
            system=system,
            rows=rows,
            fault=fault,
            links=[Linked(one.trace, one.id) for one in told],
        )
        for one in told[1:]:
            one.links = (*one.links, Linked(group.trace, group.id))
        self._put(group)

    def end(self, span: Span) -> None:
        if span.is_told:
            span.seconds = self._clock.monotonic() - span.tick
            self._put(span)

    def lost(self) -> Mapping[str, int]:
        return dict(self._lost)

    def close(self) -> None:
        self._is_closing = True
        self._wake.set()
        self._thread.join(LAST_S)

    def _put(self, span: Span) -> None:
        if len(self._queue) >= MOST_QUEUED:
            self._lost[FULL] += 1
            return
        self._queue.append(span)
        if len(self._queue) == AT_ONCE:
            self._wake.set()

    def _run(self) -> None:
        while not self._is_closing:
            self._wake.wait(self._every)
            self._wake.clear()
            self._tell_all()
        self._tell_all()

    def _tell_all(self) -> None:
        while self._queue:
            self._tell([self._queue.popleft() for _ in range(min(AT_ONCE, len(self._queue)))])

    def _tell(self, spans: Sequence[Span]) -> None:
        try:
            is_taken = self._send([self._readable(one) for one in spans])
        except Exception:  # noqa: BLE001  the edge: whatever those who listen do, decisions go on
            is_taken = False
        if not is_taken:
            self._lost[UNSENT] += len(spans)

    def _readable(self, span: Span) -> ReadableSpan:
        time.sleep(0)  # who answers goes first
        began = span.began * 1000
        return ReadableSpan(
            name=name_of(span),
            context=context_of(span, span.id),
            parent=context_of(span, span.parent, is_remote=bool(span.method)) if span.parent else None,
            resource=self._resource,
            attributes=attributes_of(span),
            links=[Link(SpanContext(*one, False, TOLD)) for one in span.links],
            kind=SpanKind.SERVER if span.method else SpanKind.INTERNAL,
            status=Status(StatusCode.ERROR) if fault_of(span) else Status(StatusCode.UNSET),
            start_time=began,
            end_time=began + int(span.seconds * 1e9),
            instrumentation_scope=InstrumentationScope("kring"),
        )


def name_of(span: Span) -> str:
    """What was done, in so few words that spans of one kind share them."""
    if span.scheme == GRPC:
        return span.route
    return f"{method_of(span)} {span.route}".rstrip() if span.method else "decide and commit"


def method_of(span: Span) -> str:
    """The method, or what the conventions say for those that nobody knows."""
    return span.method if span.method in METHODS else "_OTHER"


def fault_of(span: Span) -> str:
    """Why it failed by our own fault, if it did."""
    is_ours = span.status in OUR_FAULTS if span.scheme == GRPC else span.status >= 500
    return span.fault or (str(span.status) if is_ours else "")


def context_of(span: Span, id: int, *, is_remote: bool = False) -> SpanContext:
    """A span of the same trace."""
    state = TraceState.from_header([span.state]) if span.state else None
    return SpanContext(span.trace, id, is_remote, TOLD, state)


def attributes_of(span: Span) -> dict[str, Attribute]:
    """What is told. Neither the path with its parts nor the caller's address: they may name a person."""
    said: dict[str, Attribute] = {}
    if span.scheme == GRPC:
        service, _, call = span.route.rpartition("/")
        said |= {"rpc.system": GRPC, "rpc.service": service, "rpc.method": call, "rpc.grpc.status_code": span.status}
    elif span.method:
        said |= {"http.request.method": method_of(span), "url.scheme": span.scheme}
        said |= {"http.route": span.route, "url.path": span.route} if span.route else {}
        said |= {"http.response.status_code": span.status} if span.status else {}
    else:
        said |= {"kring.group.rows": span.rows, "kring.group.requests": len(span.links)}
    if fault_of(span):
        said["error.type"] = fault_of(span)
    if span.system:
        said["kring.system"] = span.system
    if span.ids:
        said |= {"kring.decision.id": one_or_all(span.ids), "kring.decision.rows": span.rows}
        for name, those in zip(Asked._fields, zip(*span.by, strict=True), strict=True):
            said[f"kring.{name}"] = one_or_all(those)
    if span.is_worded:
        said |= answered_in_words(span)
    return said


def one_or_all(texts: Sequence[str]) -> str | list[str]:
    """Each text once; the one itself, where there is one."""
    found = list(dict.fromkeys(texts))
    return found[0] if len(found) == 1 else found


def open_spans(
    endpoint: str,
    *,
    service: str,
    part: str,
    sampling: Sampling,
    clock: Clock,
    random: Random,
    say: Callable[[str], None],
) -> OtelSpans:
    """Spans for the collector at `endpoint`, the whole URL of its traces. `part` names the process.

    Headers, certificates, compression and timeout are read from OpenTelemetry's own variables of the environment. That
    a collector takes nothing is said once, and that it takes them again.
    """
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    exporter = OTLPSpanExporter(endpoint=endpoint)
    was_taken = True

    def send(spans: Sequence[ReadableSpan]) -> bool:
        nonlocal was_taken
        is_taken = exporter.export(spans) is SpanExportResult.SUCCESS
        if is_taken != was_taken:
            say(f"spans are {'taken again' if is_taken else 'not taken, and dropped'} at {endpoint}")
        was_taken = is_taken
        return is_taken

    resource = Resource.create({"service.name": service, "service.instance.id": part})
    return OtelSpans(send, resource=resource, sampling=sampling, clock=clock, random=random)
