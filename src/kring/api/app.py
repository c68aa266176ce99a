"""The door of a data worker: RSGI in, one route's handler, one answer out.

In this order: the path, the host, who asks and in which system (before a long body is read), the body within its
limits, the handler, which comes to a system only through what its caller may do. What no route knows goes to the
control process.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, Protocol

import msgspec
from granian._granian import RSGIProtocolClosed

from kring.access.guard import Gatekeeper
from kring.access.hosts import client_address
from kring.api.body_reader import BodyReader, announced, require_uncompressed, too_large
from kring.api.budget import Budget
from kring.api.exchange import (
    JSON,
    Action,
    Deciding,
    Fault,
    Header,
    Headers,
    Request,
    Response,
    Route,
    Streamed,
    one_system,
)
from kring.api.faults import native, status_of
from kring.api.headers import SYSTEM, plain, require_single
from kring.api.lines import Lines
from kring.api.paths import Found, Paths
from kring.errors import KringError, Unauthenticated, Unavailable, way_of
from kring.ports.clock import Clock
from kring.record.answer import Answer
from kring.serve.desk import Desk

MOST_BYTES: Final = 8 << 20
STRANGERS_BYTES: Final = 64 << 10
"""How large a body may be that goes to the control process for somebody who shows no key that is known here."""

PASSED_BODIES: Final = 4
"""How many of the largest bodies may be on their way to the control process at a time; those of strangers together may
be as large as one."""

FEWER: Final = "send fewer rows at a time, or score a file with kring score"

CLOSES: Final = ("connection", "close")
NOSNIFF: Final = ("x-content-type-options", "nosniff")
"""A browser takes an answer for what it says it is: what somebody sent in never becomes a page."""


class Media(dict[str, list[Header]]):
    """The headers of an answer that has no others, by its media type."""

    def __missing__(self, media: str) -> list[Header]:
        return [("content-type", media), NOSNIFF]


MEDIA: Final = Media({JSON: [("content-type", JSON), NOSNIFF]})

_log: Final = logging.getLogger("kring.api")


class Meter(Protocol):
    """Counts requests; `route` is the path with its parts left open."""

    def answered(self, route: str, status: int, seconds: float) -> None: ...


class Beyond(Protocol):
    """The control process."""

    async def pass_on(self, scope: Any, proto: Any, body: bytes) -> None:
        """Pass a request on, and its answer back."""
        ...

    async def get(self, scope: Any, target: str) -> tuple[int, bytes]:
        """Status and body of what is at `target`, for the caller of the request."""
        ...


class Visit:
    """One request to a route, from when its path is known until it is answered."""

    __slots__ = ("_began", "_door", "_found", "_lines", "_proto", "_system")

    def __init__(self, door: Door, found: Found, proto: Any, began: float) -> None:
        self._door = door
        self._found = found
        self._proto = proto
        self._began = began
        self._lines = Lines(door.desk, door.gate, door.clock.monotonic, action=found.route.action)
        self._system = ""

    def let_in(self, scope: Any, headers: Any) -> None:
        """Whether the request may come in, and who asks."""
        door, found, lines = self._door, self._found, self._lines
        door.require_own(headers)
        if not found.route.public:
            lines.principal = door.gate.authenticate(
                headers, now=door.clock.now(), tick=self._began, address=partial(door.address, scope)
            )
        self._system = one_system(found.system, headers.get(SYSTEM) or "")
        if self._system and lines.principal is not None:
            lines.choose(self._system)

    def ask(self, scope: Any, headers: Any, body: bytes) -> Awaitable[Response | Streamed] | None:
        """What the handler of the route gives; None when it refused, and that is answered."""
        found = self._found
        beyond = partial(self._door.beyond.get, scope)
        try:
            return found.route.handler(
                Request(scope.query_string, headers, body, found.params, self._system, self._lines, beyond)
            )
        except Exception as error:  # noqa: BLE001  the edge: nobody above can tell it
            self.end(self.fault(error))
            return None

    async def finish(self, handled: Awaitable[Response | Streamed]) -> None:
        """Wait for the answer, and give it."""
        try:
            response = await handled
        except Exception as error:  # noqa: BLE001  the edge: nobody above can tell it
            response = self.fault(error)
        finally:
            self.leave()
        if isinstance(response, Response):
            self.end(response)
        else:
            await self._door.stream(self._proto, response)
            self._count(response.status)

    def decided(self, made: Callable[[list[Answer]], Response], told: asyncio.Future[list[Answer]]) -> None:
        """The rows have their answers."""
        try:
            response = made(told.result())
        except Exception as error:  # noqa: BLE001  the edge: nobody above can tell it
            response = self.fault(error)
        self.end(response)

    def fault(self, error: Exception) -> Response:
        """What went wrong, in the form of the route's protocol."""
        route = self._found.route
        return told_of(error, route.fault, path=route.path)

    def leave(self) -> None:
        """The request is under way no longer."""
        self._lines.leave()

    def end(self, response: Response) -> None:
        """Answer with this."""
        self._lines.leave()
        self._door.answer(self._proto, response)
        self._count(response.status)

    def _count(self, status: int) -> None:
        door = self._door
        door.meter.answered(self._found.route.path, status, door.clock.monotonic() - self._began)


class Door:
    """An RSGI application, made inside its loop. `check` says whether a request's Host and Origin are ours
    (`UserError`, `Forbidden`)."""

    def __init__(
        self,
        desk: Desk,
        gate: Gatekeeper,
        *,
        routes: Iterable[Route],
        beyond: Beyond,
        check: Callable[[Any], None],
        clock: Clock,
        meter: Meter,
        most_bytes: int = MOST_BYTES,
        behind_proxy: bool = False,
    ) -> None:
        self.desk = desk
        self.gate = gate
        self.clock = clock
        self.meter = meter
        self.bodies = BodyReader(clock.monotonic)
        self.beyond = beyond
        self.is_draining = False
        self._paths = Paths(routes)
        self._check = check
        self._most = most_bytes
        self._behind_proxy = behind_proxy
        self._passed, self._strange = Budget(most_bytes * PASSED_BODIES), Budget(most_bytes)

    async def __rsgi__(self, scope: Any, proto: Any) -> None:
        if scope.proto != "http":
            proto.close(404)
            return
        began = self.clock.monotonic()
        found = self._paths.find(scope.method, scope.path)
        if found is None:
            await self._pass_on(scope, proto)
            return
        visit, headers, body = Visit(self, found, proto, began), plain(scope.headers), b""
        try:
            visit.let_in(scope, headers)
            if found.route.method in ("POST", "PUT"):
                body = await self.bodies.read(headers, proto, began, most=self._most, next=FEWER)
        except RSGIProtocolClosed:  # whoever asked has gone before the whole body was there
            visit.leave()
            return
        except Exception as error:  # noqa: BLE001  the edge: nobody above can tell it
            visit.end(refused_early(visit.fault(error), headers))
            return
        handled = visit.ask(scope, headers, body)
        del scope, headers, body  # many wait at once: what each of them holds has to fit into the caches
        if handled is not None:
            await visit.finish(handled)

    def at_once(self, scope: Any, headers: Any, proto: Any, body: bytes) -> Coroutine[Any, Any, None] | None:
        """Answer a request whose body is there; what is left to do, where the answer waits for more than its line."""
        began = self.clock.monotonic()
        found = self._paths.find(scope.method, scope.path)
        if found is None:
            return self._pass_on(scope, proto, is_read=True)
        visit, headers = Visit(self, found, proto, began), plain(headers)
        try:
            visit.let_in(scope, headers)
            require_uncompressed(headers)
            if len(body) > self._most:
                raise too_large(self._most, next=FEWER)
        except Exception as error:  # noqa: BLE001  the edge: nobody above can tell it
            visit.end(visit.fault(error))
            return None
        handled = visit.ask(scope, headers, body)
        if type(handled) is Deciding:
            handled.told.add_done_callback(partial(visit.decided, handled.made))
            return None
        return None if handled is None else visit.finish(handled)

    @contextmanager
    def entered(self, headers: Headers, action: Action, address: str) -> Iterator[Lines]:
        """The systems that a caller may come to by another way than HTTP, until the call is answered."""
        now, tick = self.clock.now(), self.clock.monotonic()
        who = self.gate.authenticate(headers, now=now, tick=tick, address=lambda: address)
        lines = Lines(self.desk, self.gate, self.clock.monotonic, action=action, principal=who)
        try:
            yield lines
        finally:
            lines.leave()

    def require_own(self, headers: Any) -> None:
        """Whether the request can be read in one way only, and is meant for this server: `UserError`, `Forbidden`."""
        if type(headers) is not dict:
            require_single(headers)
        self._check(headers)

    def address(self, scope: Any) -> str:
        """Where the request comes from, as far as it can be known."""
        return client_address(scope.client.rpartition(":")[0], scope.headers, behind_proxy=self._behind_proxy)

    async def _pass_on(self, scope: Any, proto: Any, *, is_read: bool = False) -> None:
        """A path of the control process, or of nobody; `is_read` says that the body is there."""
        headers = plain(scope.headers)
        try:
            self.require_own(headers)
            with self._room_for(scope) as most:
                next = "show a key" if most == STRANGERS_BYTES else FEWER
                body = await self.bodies.read(headers, proto, self.clock.monotonic(), most=most, next=next)
                await self.beyond.pass_on(scope, proto, body)
        except RSGIProtocolClosed:
            return
        except Exception as error:  # noqa: BLE001  the edge: nobody above can tell it
            response = told_of(error, native, path="what is passed on")
            self.answer(proto, response if is_read else refused_early(response, headers))

    @contextmanager
    def _room_for(self, scope: Any) -> Iterator[int]:
        """Hold room for a body that is passed on; how many bytes it may have. The control process says who asks, and
        has to be asked first; so strangers get little."""
        length = announced(scope.headers)
        most = self._most if length > STRANGERS_BYTES and self._is_known(scope) else min(STRANGERS_BYTES, self._most)
        with (self._passed if most > STRANGERS_BYTES else self._strange).held(min(length, most)):
            yield most

    def _is_known(self, scope: Any) -> bool:
        """Whether whoever asks shows a key or a token that is known here."""
        now, tick = self.clock.now(), self.clock.monotonic()
        try:
            self.gate.authenticate(scope.headers, now=now, tick=tick, address=partial(self.address, scope))
        except Unauthenticated:
            return False
        return True

    def _headers(self, response: Response | Streamed) -> list[Header]:
        headers = [*MEDIA[response.media], *response.headers] if response.headers else MEDIA[response.media]
        return [*headers, CLOSES] if self.is_draining and CLOSES not in headers else headers

    def answer(self, proto: Any, response: Response) -> None:
        """Give the whole answer."""
        proto.response_bytes(response.status, self._headers(response), response.body)

    async def stream(self, proto: Any, response: Streamed) -> None:
        """Give the answer in parts, as they come."""
        transport = proto.response_stream(response.status, self._headers(response))
        async for chunk in response.chunks:
            await transport.send_bytes(chunk)


def told_of(error: Exception, fault: Fault, *, path: str) -> Response:
    """What is told of whatever went wrong, in the form of a protocol; a fault of Kring's own is logged."""
    if isinstance(error, KringError):
        return fault(error, status_of(error))
    _log.error("a fault of Kring's own at %s\n%s", path, way_of(error))
    return fault(Unavailable("a fault of Kring's own", next="look at the server's log"), 500)


def refused_early(response: Response, headers: Any) -> Response:
    """What is answered before the body was read, if there is one: the connection ends with it, since nobody will read
    the body, and the answer says so, or the caller's next request would be lost."""
    if not announced(headers):
        return response
    return msgspec.structs.replace(response, headers=(*response.headers, CLOSES))
