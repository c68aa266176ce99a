"""A span for each request, by W3C's Trace Context in and out: round the door, so that without it nobody pays."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final

from kring.api.exchange import Header
from kring.api.paths import Paths
from kring.ports.spans import ASKED_IN, Span, Spans

ANSWERED: Final = "traceparent"
STATE: Final = "tracestate"
PART: Final = re.compile(r"\{(\w+):\w+\}")


class Traced:
    """An RSGI application, told of request by request. Public routes are not: load balancers ask them all day."""

    def __init__(self, door: Callable[[Any, Any], Any], spans: Spans, *, paths: Paths) -> None:
        self._door = door
        self._spans = spans
        self._paths = paths

    async def __rsgi__(self, scope: Any, proto: Any) -> None:
        found = self._paths.find(scope.method, scope.path) if scope.proto == "http" else None
        if scope.proto != "http" or (found is not None and found.route.public):
            await self._door(scope, proto)
            return
        span = self._spans.request(
            scope.method,
            found.route.path if found else "",
            scheme=scope.scheme,
            parent=single(scope.headers.get_all(ANSWERED)),
            state=",".join(scope.headers.get_all(STATE)),
        )
        before = ASKED_IN.set(span)
        try:
            await self._door(scope, Answering(proto, span))
        finally:
            ASKED_IN.reset(before)
            self._spans.end(span)


def single(values: Sequence[str]) -> str:
    """The one value; a trace that comes with two is none."""
    return values[0] if len(values) == 1 else ""


class Answering:
    """What a request is answered by, with the span in the answer's headers and the status in the span."""

    __slots__ = ("_proto", "_span")

    def __init__(self, proto: Any, span: Span) -> None:
        self._proto = proto
        self._span = span

    def __call__(self) -> Any:
        return self._proto()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._proto.__aiter__()  # type: ignore[no-any-return]  # granian's has no types

    def response_bytes(self, status: int, headers: list[Header], body: bytes) -> None:
        self._proto.response_bytes(status, self._told(status, headers), body)

    def response_stream(self, status: int, headers: list[Header]) -> Any:
        return self._proto.response_stream(status, self._told(status, headers))

    def _told(self, status: int, headers: list[Header]) -> list[Header]:
        self._span.status = status
        return [*headers, (ANSWERED, self._span.parental)]


def traced_asgi(app: Any, spans: Spans) -> Any:
    """An ASGI application of the management side, told of request by request. It goes on with the trace of the data
    worker that passed the request on, which is also the one that its caller hears of."""

    async def outer(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        span = spans.request(
            scope["method"],
            "",
            scheme=scope["scheme"],
            parent=headers.get(b"traceparent", b"").decode("latin-1"),
            state=headers.get(b"tracestate", b"").decode("latin-1"),
        )

        async def noting(event: Any) -> None:
            if event["type"] == "http.response.start":
                span.status = event["status"]
            await send(event)

        try:
            await app(scope, receive, noting)
        finally:
            span.route = PART.sub(r"{\1}", str(scope.get("path_template", "")))
            spans.end(span)

    return outer
