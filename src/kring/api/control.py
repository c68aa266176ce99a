"""The application of the control process: management routes, the description of the interface, and pages.

Who asks is looked up here again: that a data worker passed a request on says nothing about it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final
from urllib.parse import quote, unquote

from litestar import HttpMethod, Litestar, Request
from litestar import Response as Reply
from litestar.concurrency import sync_to_thread
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp, Receive, Scope, Send

from kring.api.exchange import Response, Route, one_system
from kring.api.faults import native, status_of
from kring.api.managed import Call, Managed, wants_page
from kring.api.paths import Paths
from kring.errors import KringError, NotFound, Unauthenticated, Unavailable, UserError, way_of
from kring.flow.serving.control import Control
from kring.record.access import Principal

COOKIE: Final = "kring_session"
SYSTEM: Final = "x-kring-system"
NAMED: Final = "x-kring-path-system"
PREFIX: Final = re.compile(r"/systems/([^/]+)(/api/.*|/schema.*)")
CHARSET: Final = "; charset=utf-8"
"""What Litestar adds to every text by itself."""

SAFE: Final = (("x-content-type-options", "nosniff"), ("cache-control", "no-store"), ("referrer-policy", "same-origin"))
_log: Final = logging.getLogger("kring.api.control")


def application(control: Control, routes: Iterable[Managed], *, workers: Sequence[Route] = ()) -> ASGIApp:
    """`routes` as an ASGI application. `workers` are the routes of the data workers: their paths exist, with other
    methods than the one that was asked for."""
    handlers = [mounted(route, control) for route in routes]
    others = Paths(workers)

    def missed(request: Request[Any, Any, Any], error: HTTPException) -> Reply[bytes]:
        return replied(unrouted(request.method, request.url.path, status=error.status_code, others=others))

    app = Litestar(
        handlers,
        openapi_config=None,
        exception_handlers={HTTPException: missed, Exception: broken},
        logging_config=None,
        debug=False,
        pdb_on_exception=False,
    )
    return prefixed(app)


def mounted(route: Managed, control: Control) -> HTTPRouteHandler:
    """One route as Litestar knows it; what it does runs in a thread, since it reads ledgers and logs."""

    async def endpoint(request: Request[Any, Any, Any]) -> Reply[bytes]:
        body = await request.body()
        return replied(await sync_to_thread(handled, route, control, request, body))

    path = re.sub(r"\{(\w+)\}", r"{\1:str}", route.path)
    return HTTPRouteHandler(path, http_method=[HttpMethod(route.method)], status_code=200)(endpoint)


def handled(route: Managed, control: Control, request: Request[Any, Any, Any], body: bytes) -> Response:
    """The answer of a route, or its error in the form of the route."""
    address = request.headers.get("x-forwarded-for", "")
    try:
        who = None if route.public else caller(route, control, request, address=address)
        call = Call(
            control=control,
            who=who,
            action=route.action,
            params={name: unquote(str(part)) for name, part in request.path_params.items()},
            query=dict(request.query_params.items()),
            headers=dict(request.headers.items()),
            body=body,
            address=address,
            system=chosen(request),
        )
        if who is not None and call.system:
            control.require_seen(who, call.system)
        return route.handler(call)
    except KringError as error:
        return told(route, request, error, status_of(error))
    except Exception as error:  # noqa: BLE001  the edge: nobody above can tell it
        _log.error("a fault of Kring's own at %s\n%s", route.path, way_of(error))
        return told(route, request, Unavailable("a fault of Kring's own", next="look at the server's log"), 500)


def told(route: Managed, request: Request[Any, Any, Any], error: KringError, status: int) -> Response:
    """An error in the form of the route: as a page to people, else as the interface tells it."""
    if route.shown is not None and wants_page(dict(request.headers.items())):
        return route.shown(error, status, request.url.path)
    return route.fault(error, status)


def caller(route: Managed, control: Control, request: Request[Any, Any, Any], *, address: str) -> Principal:
    """Who asks: by key or token, or on a page by the session that a browser shows."""
    session = request.cookies.get(COOKIE)
    headers = request.headers
    if route.page and session and headers.get("authorization") is None and headers.get("x-api-key") is None:
        return control.in_session(session)
    return control.whoever(headers, address=address)


def chosen(request: Request[Any, Any, Any]) -> str:
    """The system that a prefix or a header chose; `UserError` when they choose different ones."""
    return one_system(unquote(request.headers.get(NAMED, "")), request.headers.get(SYSTEM, ""))


def prefixed(app: ASGIApp) -> ASGIApp:
    """`/systems/NAME/api/…` means `/api/…` of that system. Which one the path named is told in a header of our own,
    that nobody else's request can bring. A body is read to its end whatever becomes of it: who sends it is listened
    to before he is answered."""

    async def outer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        headers = [pair for pair in scope["headers"] if pair[0] != NAMED.encode()]
        found = PREFIX.fullmatch(scope["path"])
        if found is not None:
            headers.append((NAMED.encode(), quote(found[1]).encode()))
            scope["path"] = found[2]
        scope["headers"] = headers
        await app(scope, await read_to_end(receive), send)

    return outer


async def read_to_end(receive: Receive) -> Receive:
    """A body that has arrived as one event."""
    parts, more = [], True
    while more:
        event: Any = await receive()
        parts.append(event.get("body", b""))
        more = bool(event.get("more_body"))
    whole: list[Any] = [{"type": "http.request", "body": b"".join(parts), "more_body": False}]

    async def again() -> Any:
        return whole.pop() if whole else {"type": "http.disconnect"}

    return again


def unrouted(method: str, path: str, *, status: int, others: Paths) -> Response:
    """What is told of a path that nobody knows, or not with this method. The path itself is not said again."""
    methods = others.methods(path)
    if status == 405 or methods:
        error: KringError = UserError(
            "this path does not know this method", got=method[:20], allowed=", ".join(methods), next="see GET /schema"
        )
        allow = (("allow", ", ".join(methods)),) if methods else ()
        form = native(error, 405)
        return Response(405, form.body, form.media, (*form.headers, *allow))
    if status == 404:
        return native(NotFound("there is nothing here", next="see GET /schema for what there is"), 404)
    if status == 401:
        return native(Unauthenticated("who asks?"), 401)
    return native(UserError("this is no request that is understood here"), status)


def broken(_: Request[Any, Any, Any], error: Exception) -> Reply[bytes]:
    """A fault of our own, told without what it was."""
    _log.error("a fault of Kring's own\n%s", way_of(error))
    return replied(native(Unavailable("a fault of Kring's own", next="look at the server's log"), 500))


def replied(response: Response) -> Reply[bytes]:
    """Our answer as Litestar's, with the headers that every answer of this side carries."""
    headers = dict(SAFE) | dict(response.headers)
    media = response.media.removesuffix(CHARSET)
    return Reply(response.body, status_code=response.status, media_type=media, headers=headers)
