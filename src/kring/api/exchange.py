"""One request and its answer, as every protocol sees them.

A protocol is one file with `ROUTES`. Its handlers come to a system only through `Request.line`, which holds what
the caller may do against what the route does: a route can't be written that forgets to ask.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Sequence
from typing import Any, Final, Literal, Protocol

import msgspec

from kring.errors import KringError, UserError
from kring.metrics.claims import body_digest, claim_name
from kring.record.access import Principal
from kring.record.answer import Answer
from kring.serve.claiming import Key
from kring.serve.line import Line
from kring.serve.reading import Rows

JSON: Final = "application/json"
Header = tuple[str, str]
Action = Literal["decide", "outcome", "observe", "explain", "flag"]


class Headers(Protocol):
    """Names are in lower case."""

    def get(self, key: str, default: Any = None) -> Any: ...


class Response(msgspec.Struct, frozen=True):
    """A whole answer."""

    status: int
    body: bytes = b""
    media: str = JSON
    headers: tuple[Header, ...] = ()


class Streamed(msgspec.Struct, frozen=True):
    """An answer in parts, each sent when it is there."""

    status: int
    chunks: AsyncIterator[bytes]
    media: str
    headers: tuple[Header, ...] = ()


class Deciding(msgspec.Struct, frozen=True):
    """An answer that waits for nothing but the line: made, by `made`, of what the rows are told. Whoever tells it needs
    no task to wait in."""

    told: asyncio.Future[list[Answer]]
    made: Callable[[list[Answer]], Response]

    def __await__(self) -> Generator[Any, None, Response]:
        return self.made((yield from self.told.__await__()))


class Lines(Protocol):
    """The systems that a caller may come to; `principal` is who that is, None where nobody is asked."""

    @property
    def principal(self) -> Principal | None: ...

    def line(self, name: str) -> Line:
        """The line of that system; of the only one, for an empty name. `NotFound` for systems that are not there or
        not the caller's to see, `Forbidden` for what the caller may not do."""
        ...

    def all(self) -> Sequence[Line]:
        """Every system that the caller may see."""
        ...


Beyond = Callable[[str], Awaitable[tuple[int, bytes]]]
"""Asks the control process for a path, as the caller of this request; its status and body."""


class Request(msgspec.Struct, frozen=True):
    """`params` are the parts of the path that its route names. `system` was chosen by header or prefix, if at all.
    `beyond` asks what only the control process knows."""

    query: str
    headers: Headers
    body: bytes
    params: dict[str, str]
    system: str
    lines: Lines
    beyond: Beyond | None = None

    def line(self, name: str = "") -> Line:
        """The line of the system that the protocol names, else of the one that header or prefix chose. `UserError` when
        these are two."""
        return self.lines.line(one_system(name, self.system))

    def key(self, line: Line) -> Key | None:
        """The idempotency key, if there is one: the same from another caller, or for another system, is another."""
        text = self.headers.get("idempotency-key")
        return key_of(line, text, by=self.lines.principal, body=self.body) if text else None

    def decide(self, line: Line, rows: Rows, made: Callable[[list[Answer]], Response]) -> Deciding:
        """What is `made` of the answers to the rows, under the request's idempotency key. Raises as `Line.ask`."""
        return Deciding(line.ask(rows, key=self.key(line)), made)


def key_of(line: Line, text: str, *, by: Principal | None, body: bytes) -> Key:
    """The idempotency key that somebody gave with `body`."""
    return Key(claim_name(line.name, by.who if by else "", text), body_digest(body, key=text))


def one_system(first: str, second: str) -> str:
    """The one that is named. `UserError` for a request that names two in different places."""
    if first and second and first != second:
        raise UserError(
            "the request names two systems",
            got=f"{first[:80]!r} and {second[:80]!r}",
            allowed="one, in its path, its body or the header X-Kring-System",
        )
    return first or second


Handler = Callable[[Request], Awaitable[Response | Streamed]]
Fault = Callable[[KringError, int], Response]
"""An error in the form of the protocol, with the status that HTTP gives it."""


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """What is done at one path. `{name}` in it stands for one part. A `public` route asks for no key.

    `takes` and `gives` are the types of the bodies, for the description of the interface.
    """

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    handler: Handler
    action: Action
    fault: Fault
    summary: str
    public: bool = False
    takes: Any = None
    gives: Any = None
