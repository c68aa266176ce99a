"""Requests with short bodies, handed over when the body is there.

granian hands a request over when its head is there. Who then asks for the body waits for a second trip, from the loop
to granian's threads and back, though the body mostly came with the head. Here the body is asked for on the thread that
would hand the request over, and the request comes to the loop with it: one trip instead of two.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context
from functools import partial
from typing import Any, Final

import msgspec
from granian import _futures
from granian._granian import RSGIProtocolClosed

from kring.api.body_reader import SLOWEST_S

SHORT_BYTES: Final = 1 << 14
"""A body that says to be longer is read when it is asked for, as one that does not say: so strangers fill no memory."""

METHODS: Final = ("POST", "PUT", "PATCH")
"""Who sends a body with another method does not wait for it to be read."""

SCHEDULER: Final = "_cbsched_aioschedule"
"""granian's own: of a loop, a context and the function that answers requests it makes the one that hands them over."""

Handle = Callable[[Any], Coroutine[Any, Any, None]]
AtOnce = Callable[[Any, Any, Any, bytes], Coroutine[Any, Any, None] | None]
"""Answers a request, by its scope, its headers and its protocol, with its body. What is left to do, if anything."""


class Whole(msgspec.Struct, gc=False):
    """granian's protocol of a request whose body is there. What it answers by most often is at hand."""

    proto: Any
    body: Awaitable[bytes]
    response_bytes: Callable[..., None]

    def __call__(self) -> Awaitable[bytes]:
        """The body. `RSGIProtocolClosed` when whoever asked had gone before its end, `CancelledError` when it took too
        long."""
        return self.body

    def __getattr__(self, name: str) -> Any:
        return getattr(self.proto, name)


class Asked(msgspec.Struct, gc=False):
    """As granian's watcher of a request, for the function that answers it."""

    scope: Any
    proto: Whole
    done: Callable[[], None]
    err: Callable[[BaseException], None]


class EarlyBodies:
    """Bodies that are read before anybody asks, in the servers of this process. Requests whose bodies came go to
    `at_once`, where there is one, and need no task for as long as it leaves nothing to do."""

    def __init__(self, monotonic: Callable[[], float], *, at_once: AtOnce | None = None) -> None:
        self._monotonic = monotonic
        self._at_once = at_once
        self._awaited: dict[Any, float] = {}

    @property
    def awaited(self) -> int:
        """How many requests wait for their bodies."""
        return len(self._awaited)

    def install(self) -> None:
        """Have granian's embedded servers that start from now on hand over requests with their bodies. Where a release
        of it is made in another way, bodies are read when they are asked for."""
        original = getattr(_futures, SCHEDULER, None)
        if original is not None:
            setattr(_futures, SCHEDULER, partial(self._scheduler, original))

    def expire(self) -> None:
        """Hand over the requests whose bodies take too long as they are; called on the loop's thread every second or
        so."""
        before = self._monotonic() - SLOWEST_S
        for body in list(self._awaited):  # granian's thread adds to it meanwhile
            if self._awaited[body] < before:
                body.cancel()

    def _scheduler(
        self, original: Callable[..., Any], loop: asyncio.AbstractEventLoop, context: Context, handle: Handle
    ) -> Callable[[Any], None]:
        as_it_is, at_once = original(loop, context, handle), self._at_once

        def begin(watcher: Any, scope: Any, headers: Any, proto: Any, body: Any) -> None:
            """On the loop's thread, once or twice."""
            if self._awaited.pop(body, None) is None:
                return
            whole, came = Whole(proto, body, proto.response_bytes), came_of(body)
            if at_once is not None and came is not None:
                rest = at_once(scope, headers, whole, came)
            else:
                rest = handle(Asked(scope, whole, watcher.done, watcher.err))
            if rest is not None:
                watcher.taskref(loop.create_task(rest))

        def schedule(watcher: Any) -> None:
            """On granian's thread."""
            scope = watcher.scope
            headers = short_of(scope)
            if headers is None:
                as_it_is(watcher)
                return
            proto = watcher.proto
            body = proto()
            self._awaited[body] = self._monotonic()
            told = partial(begin, watcher, scope, headers, proto)
            body.add_done_callback(told, context=context)
            if body.done():  # perhaps before anybody was to be told, or without waking the loop
                loop.call_soon_threadsafe(told, body, context=context)

        return schedule


def short_of(scope: Any) -> Any:
    """The headers of a request that says that it has a body, and a short one, and is of the kind of which it is read.
    None for others."""
    if scope.method not in METHODS:
        return None
    headers = scope.headers
    length = headers.get("content-length")
    return headers if length is not None and length.isdecimal() and 0 < int(length) <= SHORT_BYTES else None


def came_of(body: Any) -> bytes | None:
    """A body that came; None for one that took too long, or whose sender has gone."""
    try:
        return bytes(body.result())
    except (RSGIProtocolClosed, asyncio.CancelledError):
        return None
