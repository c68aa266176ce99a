"""`/schema` and `/schema/docs`: what this server answers, for programs and for people."""

from __future__ import annotations

from collections.abc import Sequence

from kring.api.exchange import Response, Route
from kring.api.managed import Call, Managed, answer
from kring.api.schema import Json, docs, openapi
from kring.charts.page import html

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def routes(workers: Sequence[Route], managed: Sequence[Managed]) -> tuple[Managed, ...]:
    """The two of them, over the routes of the data workers and those of the management side."""

    def schema(call: Call) -> Response:
        return answer(description(call))

    def page(call: Call) -> Response:
        body = html(docs(description(call))).encode()
        return Response(200, body, "text/html; charset=utf-8", (("content-security-policy", POLICY),))

    def description(call: Call) -> Json:
        names = {project.system.name for project in call.seen()}
        systems = [served for served in call.control.systems() if served.system.name in names]
        return openapi(workers, (*managed, *both), systems=systems)

    both = (
        Managed(
            method="GET",
            path="/schema",
            handler=schema,
            action="observe",
            summary="This description: OpenAPI 3.1 of every route, with the fields of the caller's systems",
        ),
        Managed(
            method="GET",
            path="/schema/docs",
            handler=page,
            action="observe",
            summary="The same as a page to read",
            page=True,
        ),
    )
    return both
