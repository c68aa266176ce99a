"""Short bodies, begun to be read as soon as their request is there.

granian hands a request over when its head is there. Who then asks for the body waits for a second trip, from the loop
to granian's threads and back, though the body mostly came with the head. Here that trip begins before the first one
has ended: on the thread that hands the request over, which has the body at hand.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from granian.server import embed

AHEAD_BYTES: Final = 1 << 14
"""A body that says to be longer is read when it is asked for, as one that does not say: so strangers fill no memory."""

METHODS: Final = ("POST", "PUT", "PATCH")
"""Who sends a body with another method may wait for ever with it: nobody reads it, and the connection is not held."""

WRAPPER: Final = "_future_watcher_wrapper"
"""What granian's embedded server makes of an application: a function from a request to the coroutine that answers it,
which is called on the thread that hands the request over."""

Handle = Callable[[Any, Any], Awaitable[None]]


class Begun:
    """granian's protocol of a request whose body is on its way."""

    __slots__ = ("_body", "_proto", "response_bytes")

    def __init__(self, proto: Any) -> None:
        self._proto = proto
        self._body = proto()
        self.response_bytes = proto.response_bytes

    def __call__(self) -> Any:
        """The whole body, to be waited for once. `RSGIProtocolClosed` when whoever asked has gone before its end."""
        body, self._body = self._body, None
        return body

    def leave(self) -> None:
        """Read no further when nobody has asked for the body: or who never sends its end would hold a connection."""
        if self._body is not None:
            self._body.cancel()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._proto, name)


def read_ahead() -> None:
    """Have granian's embedded server in this process read short bodies ahead from now on. Where a release of it is made
    in another way, bodies are read when they are asked for."""
    if hasattr(embed, WRAPPER):
        setattr(embed, WRAPPER, wrapper)


def wrapper(handle: Handle) -> Callable[[Any], Coroutine[Any, Any, None]]:
    """As granian's own, with bodies begun."""

    async def answered(watcher: Any, scope: Any, proto: Any, leave: Callable[[], None]) -> None:
        try:
            await handle(scope, proto)
        except BaseException as error:  # noqa: BLE001  granian is told of all
            watcher.err(error)
        else:
            watcher.done()
        leave()

    def begin(watcher: Any) -> Coroutine[Any, Any, None]:
        scope, proto = watcher.scope, watcher.proto
        if not is_short(scope):
            return answered(watcher, scope, proto, nothing)
        begun = Begun(proto)
        return answered(watcher, scope, begun, begun.leave)

    return begin


def nothing() -> None:
    """Nothing was begun, so nothing is left."""


def is_short(scope: Any) -> bool:
    """Whether a request says that it has a body, and a short one, and is of the kind of which it is read."""
    if scope.method not in METHODS or scope.proto != "http":
        return False
    length = scope.headers.get("content-length")
    return length is not None and length.isdecimal() and 0 < int(length) <= AHEAD_BYTES
