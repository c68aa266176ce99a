"""Bodies as they come in: whole, in time, and no larger than they may be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from kring.api.exchange import Headers
from kring.errors import TooMuch, UserError

SLOWEST_S: Final = 10.0
"""How long a body may take to arrive."""

ENDLESS: Final = 1 << 62


class BodyReader:
    """For one loop's thread."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._reading: dict[asyncio.Task[Any], float] = {}
        self._loop = asyncio.get_running_loop()

    async def read(self, headers: Any, proto: Any, began: float, *, most: int, next: str) -> bytes:
        """The whole body of a request that came at `began` (monotonic seconds), of at most `most` bytes; `next` is what
        is said of a larger one. `UserError` for one that takes too long, or is compressed; `RSGIProtocolClosed` when
        whoever asked has gone."""
        require_uncompressed(headers)
        task = asyncio.current_task(self._loop)
        assert task is not None
        self._reading[task] = began
        try:
            length = announced(headers)
            if length <= most:
                return bytes(await proto())
            if length == ENDLESS:
                return await counted(proto, most=most, next=next)
            raise too_large(most, next=next)
        except asyncio.CancelledError:
            raise UserError("the body did not arrive in time", allowed=f"{SLOWEST_S:.0f} s") from None
        finally:
            del self._reading[task]

    def expire(self) -> None:
        """End the reading of bodies that take too long; called every second or so."""
        before = self._monotonic() - SLOWEST_S
        for task, since in list(self._reading.items()):
            if since < before:
                task.cancel()


def require_uncompressed(headers: Headers) -> None:
    """`UserError` for a body that is packed: who knows how large it becomes?"""
    coding = headers.get("content-encoding")
    if coding not in (None, "", "identity"):
        raise UserError(
            "compressed bodies are not read", got=coding[:40], next="send the body as it is", key="content-type"
        )


def announced(headers: Any) -> int:
    """How many bytes a request says that its body has, or so many that it is too large where it does not say."""
    length = headers.get("content-length")
    if length is not None and length.isdecimal():
        return int(length)
    return ENDLESS if "transfer-encoding" in headers else 0


async def counted(proto: Any, *, most: int, next: str) -> bytes:
    """A body of unknown length, as far as it may go."""
    parts, size = [], 0
    async for part in proto:
        size += len(part)
        if size > most:
            raise too_large(most, next=next)
        parts.append(part)
    return b"".join(parts)


def too_large(most: int, *, next: str) -> TooMuch:
    """What is told of a body of more than `most` bytes."""
    return TooMuch("the body is too large", got=f"more than {most:,} bytes", allowed=f"{most:,} bytes", next=next)
