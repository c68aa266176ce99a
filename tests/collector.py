"""An OpenTelemetry collector for tests: takes OTLP over HTTP on loopback and keeps what it was told. Or is moody."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

Mood = Literal["takes", "refuses", "hangs"]
TOLD_S = 30.0


@dataclass(frozen=True)
class Told:
    """One span as it arrived."""

    name: str
    trace: str
    id: str
    parent: str
    kind: int
    attributes: dict[str, Any]
    links: tuple[tuple[str, str], ...]
    began: int
    ended: int
    is_error: bool
    state: str
    resource: dict[str, Any]


@dataclass
class Collector:
    """`spans` are all that were told; `asked` counts requests, whatever became of them."""

    url: str = ""
    mood: Mood = "takes"
    spans: list[Told] = field(default_factory=list)
    asked: int = 0
    faults: list[str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    ended: threading.Event = field(default_factory=threading.Event)

    def of(self, trace: str, *, n: int, kind: int = 0) -> list[Told]:
        """The spans of a trace, of one kind if that is said, once there are `n`."""
        end = time.monotonic() + TOLD_S
        while len(found := [one for one in self.spans if one.trace == trace and kind in (0, one.kind)]) < n:
            assert time.monotonic() < end, f"{len(found)} of {n} spans: {self.spans} {self.faults}"
            time.sleep(0.02)
        return found


@contextmanager
def collecting(mood: Mood = "takes") -> Iterator[Collector]:
    """One that runs until the block ends."""
    collector = Collector(mood=mood)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.asked += 1
            body = self.rfile.read(int(self.headers["content-length"]))
            if collector.mood == "hangs":
                collector.ended.wait(TOLD_S)
                return
            if collector.mood == "takes":
                collector.headers = {name.lower(): value for name, value in self.headers.items()}
                if (self.path, self.headers["content-type"]) != ("/v1/traces", "application/x-protobuf"):
                    collector.faults.append(f"{self.path} {self.headers['content-type']}")
                collector.spans += read(body)
            self.send_response(200 if collector.mood == "takes" else 403)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collector.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        collector.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()


def read(body: bytes) -> list[Told]:
    """The spans of one request."""
    return [
        told(span, plain(of_resource.resource.attributes))
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for of_scope in of_resource.scope_spans
        for span in of_scope.spans
    ]


def told(span: Any, resource: dict[str, Any]) -> Told:
    return Told(
        name=span.name,
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        kind=span.kind,
        attributes=plain(span.attributes),
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        began=span.start_time_unix_nano,
        ended=span.end_time_unix_nano,
        is_error=span.status.code == 2,
        state=span.trace_state,
        resource=resource,
    )


def plain(attributes: Any) -> dict[str, Any]:
    return {one.key: value(one.value) for one in attributes}


def value(any: Any) -> Any:
    kind = any.WhichOneof("value")
    if kind == "array_value":
        return [value(one) for one in any.array_value.values]
    return getattr(any, kind)
