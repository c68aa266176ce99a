"""The door of a data worker: RSGI in, one route's handler, one answer out.

In this order: the path, the host, who asks and in which system (before a byte of the body is read), the body within its
limits, the handler, which comes to a system only through what its caller may do. What no route knows goes to the
control process.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Final, Protocol

import msgspec
from granian._granian import RSGIProtocolClosed

from kring.access.guard import Gatekeeper
from kring.access.hosts import client_address
from kring.access.roles import may
from kring.api.budget import Budget
from kring.api.exchange import JSON, Action, Header, Headers, Request, Response, Route, Streamed, one_system
from kring.api.faults import native, status_of
from kring.api.paths import Found, Paths
from kring.errors import KringError, NotFound, TooMuch, Unauthenticated, Unavailable, UserError, way_of
from kring.ports.clock import Clock
from kring.record.access import Principal
from kring.serve.desk import Desk
from kring.serve.line import Line

MOST_BYTES: Final = 8 << 20
ENDLESS: Final = 1 << 62
SYSTEM: Final = "x-kring-system"
SINGLE: Final = ("host", "origin", SYSTEM, "idempotency-key")
"""Headers that decide something, and therefore come once and can be read."""

STRANGERS_BYTES: Final = 64 << 10
"""How large a body may be that goes to the control process for somebody who shows no key that is known here."""

PASSED_BODIES: Final = 4
"""How many of the largest bodies may be on their way to the control process at a time; those of strangers together may
be as large as one."""

SLOWEST_S: Final = 10.0
"""How long a body may take to arrive."""

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


class Lines:
    """The systems that one caller may come to, for one action; see `kring.api.exchange.Lines`."""

    __slots__ = ("_action", "_chosen", "_door", "_entered", "_let_in", "principal")

    def __init__(self, door: Door, principal: Principal | None, action: Action) -> None:
        self.principal = principal
        self._door = door
        self._action = action
        self._entered: ExitStack | None = None
        self._chosen = ""
        self._let_in: tuple[str, ...] = ()

    def choose(self, name: str) -> None:
        """From here on only this one; `NotFound` when it is not the caller's to see."""
        self._seen(name, self._known())
        self._chosen = name

    def line(self, name: str) -> Line:
        door, who = self._door, self._known()
        name = name or self._only()
        line = self._seen(name, who)
        if name in self._let_in:  # one request counts once, however often its handler comes back
            return line
        door.gate.allow(who, action=self._action, system=name, tick=door.clock.monotonic())
        if name in door.gate.counting:
            self._entered = self._entered or ExitStack()
            self._entered.enter_context(door.gate.inside(who, system=name))
        self._let_in = (*self._let_in, name)
        return line

    def all(self) -> Sequence[Line]:
        who = self._known()
        return [self._door.desk.lines[name] for name in self._names() if may(who, self._action, system=name)]

    def leave(self) -> None:
        """The request has been answered."""
        if self._entered is not None:
            self._entered.close()

    def _seen(self, name: str, who: Principal) -> Line:
        line = self._door.desk.lines.get(name)
        if line is None or not who.roles.get(name):
            raise NotFound(
                "there is no such system", got=repr(name)[:80], allowed=", ".join(self._names()) or "none for this key"
            )
        return line

    def _known(self) -> Principal:
        if self.principal is None:
            raise Unauthenticated("this route knows nobody", next="ask a route that takes a key")
        return self.principal

    def _names(self) -> list[str]:
        names = [name for name in self._door.desk.lines if self._known().roles.get(name)]
        return [name for name in names if self._chosen in ("", name)]

    def _only(self) -> str:
        if len(self._door.desk.lines) == 1:
            return next(iter(self._door.desk.lines))
        names = self._names()
        if len(names) == 1:
            return names[0]
        raise UserError(
            "which system is meant?" if names else "this key opens no system here",
            got="none was named",
            allowed=", ".join(names) or "none",
            next="name one in the header X-Kring-System, or put /systems/NAME before the path",
        )


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
        self.is_draining = False
        self._paths = Paths(routes)
        self._beyond = beyond
        self._check = check
        self._meter = meter
        self._most = most_bytes
        self._behind_proxy = behind_proxy
        self._reading: dict[asyncio.Task[Any], float] = {}
        self._loop = asyncio.get_running_loop()
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
        lines = Lines(self, None, found.route.action)
        handled: Awaitable[Response | Streamed] | None = None
        try:
            handled = found.route.handler(await self._request(scope, proto, found, lines, began))
            scope = None  # many wait at once: what each of them holds has to fit into the caches
            response = await handled
        except KringError as error:
            response = found.route.fault(error, status_of(error))
            if handled is None:
                response = refused_early(response, scope.headers)
        except RSGIProtocolClosed:  # whoever asked has gone before the whole body was there
            return
        except Exception as error:  # noqa: BLE001  the edge: nobody above can tell it
            _log.error("a fault of Kring's own at %s\n%s", found.route.path, way_of(error))
            response = found.route.fault(Unavailable("a fault of Kring's own", next="look at the server's log"), 500)
        finally:
            lines.leave()
        if isinstance(response, Response):
            self._answer(proto, response)
        else:
            await self._stream(proto, response)
        self._meter.answered(found.route.path, response.status, self.clock.monotonic() - began)

    @contextmanager
    def entered(self, headers: Headers, action: Action, address: str) -> Iterator[Lines]:
        """The systems that a caller may come to by another way than HTTP, until the call is answered."""
        now, tick = self.clock.now(), self.clock.monotonic()
        who = self.gate.authenticate(headers, now=now, tick=tick, address=lambda: address)
        lines = Lines(self, who, action)
        try:
            yield lines
        finally:
            lines.leave()

    def expire(self) -> None:
        """End the requests whose bodies take too long; called every second or so."""
        before = self.clock.monotonic() - SLOWEST_S
        for task, since in list(self._reading.items()):
            if since < before:
                task.cancel()

    async def _request(self, scope: Any, proto: Any, found: Found, lines: Lines, began: float) -> Request:
        """What is asked, with its whole body. The handler alone holds it, and can let go of it."""
        headers = scope.headers
        require_single(headers)
        self._check(headers)
        route = found.route
        if not route.public:
            lines.principal = self.gate.authenticate(
                headers, now=self.clock.now(), tick=began, address=partial(self._address, scope)
            )
        system = one_system(found.system, headers.get(SYSTEM) or "")
        if system and lines.principal is not None:
            lines.choose(system)
        body = await self._body(headers, proto, began, most=self._most) if route.method in ("POST", "PUT") else b""
        beyond = partial(self._beyond.get, scope)
        return Request(scope.query_string, headers, body, found.params, system, lines, beyond)

    def _address(self, scope: Any) -> str:
        """Where the request comes from, as far as it can be known."""
        return client_address(scope.client.rpartition(":")[0], scope.headers, behind_proxy=self._behind_proxy)

    async def _body(self, headers: Any, proto: Any, began: float, *, most: int) -> bytes:
        coding = headers.get("content-encoding")
        if coding not in (None, "", "identity"):
            raise UserError(
                "compressed bodies are not read", got=coding[:40], next="send the body as it is", key="content-type"
            )
        length = headers.get("content-length")
        task = asyncio.current_task(self._loop)
        assert task is not None
        self._reading[task] = began
        try:
            if length is not None and length.isdecimal() and int(length) <= most:
                return bytes(await proto())
            return await counted(length, proto, most=most)
        except asyncio.CancelledError:
            raise UserError("the body did not arrive in time", allowed=f"{SLOWEST_S:.0f} s") from None
        finally:
            del self._reading[task]

    async def _pass_on(self, scope: Any, proto: Any) -> None:
        """A path of the control process, or of nobody."""
        try:
            require_single(scope.headers)
            self._check(scope.headers)
            with self._room_for(scope) as most:
                body = await self._body(scope.headers, proto, self.clock.monotonic(), most=most)
                await self._beyond.pass_on(scope, proto, body)
        except KringError as error:
            self._answer(proto, refused_early(native(error, status_of(error)), scope.headers))

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
            self.gate.authenticate(scope.headers, now=now, tick=tick, address=partial(self._address, scope))
        except Unauthenticated:
            return False
        return True

    def _headers(self, response: Response | Streamed) -> list[Header]:
        headers = [*MEDIA[response.media], *response.headers] if response.headers else MEDIA[response.media]
        return [*headers, CLOSES] if self.is_draining and CLOSES not in headers else headers

    def _answer(self, proto: Any, response: Response) -> None:
        proto.response_bytes(response.status, self._headers(response), response.body)

    async def _stream(self, proto: Any, response: Streamed) -> None:
        transport = proto.response_stream(response.status, self._headers(response))
        async for chunk in response.chunks:
            await transport.send_bytes(chunk)


def refused_early(response: Response, headers: Any) -> Response:
    """What is answered before the body was read, if there is one: the connection ends with it, since nobody will read
    the body, and the answer says so, or the caller's next request would be lost."""
    if not announced(headers):
        return response
    return msgspec.structs.replace(response, headers=(*response.headers, CLOSES))


def announced(headers: Any) -> int:
    """How many bytes a request says that its body has, or so many that it is too large where it does not say."""
    length = headers.get("content-length")
    if length is not None and length.isdecimal():
        return int(length)
    return ENDLESS if "transfer-encoding" in headers else 0


async def counted(length: str | None, proto: Any, *, most: int) -> bytes:
    """A body of unknown length, as far as it may go."""
    parts, size = [], int(length) if length is not None and length.isdecimal() else 0
    if size <= most:
        async for part in proto:
            size += len(part)
            parts.append(part)
            if size > most:
                break
    if size > most:
        strange = most == STRANGERS_BYTES
        raise TooMuch(
            "the body is too large", got=f"more than {most:,} bytes", allowed=f"{most:,} bytes",
            next="show a key" if strange else "send fewer rows at a time, or score a file with kring score",
        )  # fmt: skip
    return b"".join(parts)


def require_single(headers: Any) -> None:
    """`UserError` for a header that decides something and comes twice, or in signs that can't be read: to pass it over
    would be to answer another question."""
    for name in SINGLE:
        if name in headers and (headers.get(name) is None or len(headers.get_all(name)) > 1):
            raise UserError(
                f"the header {name} can't be read",
                got="it comes more than once" if headers.get(name) is not None else "signs beyond ASCII",
                allowed="once, in ASCII",
                key=name,
            )
