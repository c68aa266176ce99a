"""Is this worker alive, and should it be asked? For load balancers; nobody needs a key."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from kring.api.exchange import Request, Response, Route
from kring.api.faults import native

Readiness = Callable[[], tuple[bool, dict[str, str]]]


class Health(msgspec.Struct):
    """`notes` say what an operator should know, by system."""

    status: str
    notes: dict[str, str] = {}


def routes(readiness: Readiness) -> tuple[Route, ...]:
    """`/livez` and `/readyz`, which says no while the worker starts, drains or can't record."""

    async def live(_: Request) -> Response:
        return Response(200, msgspec.json.encode(Health("alive")))

    async def ready(_: Request) -> Response:
        is_ready, notes = readiness()
        status = "ready" if is_ready else "not ready"
        return Response(200 if is_ready else 503, msgspec.json.encode(Health(status, notes)))

    both = (("/livez", live, "Whether the worker lives"), ("/readyz", ready, "Whether it should be asked"))
    return tuple(
        Route(
            method="GET",
            path=path,
            handler=handler,
            action="observe",
            fault=native,
            summary=summary,
            public=True,
            gives=Health,
        )
        for path, handler, summary in both
    )
