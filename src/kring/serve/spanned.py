"""What a line says of its requests where spans are told."""

from __future__ import annotations

from kring.errors import KringError
from kring.ports.spans import ASKED_IN, Span, Spans
from kring.record.serving import Served
from kring.serve.group import Group


def asked_in(served: Served) -> Span | None:
    """The request that asks this system, if anybody keeps count of it."""
    span = ASKED_IN.get()
    if span is not None:
        span.system = served.system.name
        span.is_worded = served.system.knowledge is not None
    return span


def tell_of(group: Group, spans: Spans, *, served: Served, seconds: float, error: KringError | None) -> None:
    """The group as a span of its own, linked with its requests; `error` when it came to nothing."""
    requests = [item.span for item in group.asks if item.span is not None]
    if requests:
        fault = error.code if error is not None else ""
        spans.together(requests, system=served.system.name, rows=group.rows, seconds=seconds, fault=fault)
