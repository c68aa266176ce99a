"""A load client of the standard library, run as a process of its own: `python -m kring.flow.benching.client`.

It reads one `Order` from stdin and writes one `Told` to stdout, both as JSON. Each connection asks again as soon as
it is answered, so that the server sets the pace.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Sequence
from math import ceil
from typing import Final

import msgspec

PATIENCE_S: Final = 5.0
PAUSE_S: Final = 0.05
MOST_BYTES: Final = 16 << 20
LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,9})\r\n", re.IGNORECASE)
CLOSED: Final = re.compile(rb"\r\nconnection:[ \t]*close\r\n", re.IGNORECASE)


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What to ask: POST `path` with `headers` and the `bodies` in turn, over `connections`, for `seconds`."""

    host: str
    port: int
    path: str
    headers: dict[str, str]
    bodies: list[str]
    connections: int
    seconds: float


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What came back: numbers of requests, and quantiles of the latency of the answered ones in milliseconds."""

    seconds: float
    answered: int
    refused: int
    failed: int
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None


class Tally:
    """What happened so far, over all connections."""

    def __init__(self) -> None:
        self.refused = 0
        self.failed = 0
        self.latencies: list[float] = []

    def told(self, seconds: float) -> Told:
        self.latencies.sort()
        p50, p90, p99 = (quantile(self.latencies, q) for q in (0.5, 0.9, 0.99))
        return Told(
            seconds=seconds,
            answered=len(self.latencies),
            refused=self.refused,
            failed=self.failed,
            p50_ms=p50,
            p90_ms=p90,
            p99_ms=p99,
        )


def quantile(ordered: Sequence[float], q: float) -> float | None:
    """The smallest of the ordered seconds (n,) that at least the share `q` does not exceed, in milliseconds."""
    return 1000 * ordered[max(ceil(q * len(ordered)) - 1, 0)] if ordered else None


def requests_of(order: Order) -> list[bytes]:
    """Every request as it goes over the wire."""
    lines = [f"POST {order.path} HTTP/1.1", f"Host: {order.host}:{order.port}", "Content-Type: application/json"]
    head = "\r\n".join([*lines, *(f"{name}: {value}" for name, value in order.headers.items())])
    bodies = [body.encode() for body in order.bodies]
    return [f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body for body in bodies]


async def load(order: Order) -> Told:
    """Ask over all connections at once until the time is over; what is under way then is not counted."""
    tally, requests = Tally(), requests_of(order)
    clock = asyncio.get_running_loop().time
    began = clock()
    tasks = [
        asyncio.create_task(_connection(order, requests[place % len(requests) :] + requests, tally))
        for place in range(order.connections)
    ]
    await asyncio.wait(tasks, timeout=order.seconds)
    seconds = clock() - began
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return tally.told(seconds)


async def _connection(order: Order, requests: Sequence[bytes], tally: Tally) -> None:
    """One connection, opened again whenever it breaks."""
    place = 0
    while True:
        writer = None
        try:
            async with asyncio.timeout(PATIENCE_S):
                reader, writer = await asyncio.open_connection(order.host, order.port)
            open_ = True
            while open_:
                place = (place + 1) % len(requests)
                open_ = await _ask(reader, writer, requests[place], tally)
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError):
            tally.failed += 1
            await asyncio.sleep(PAUSE_S)
        finally:
            if writer is not None:
                writer.close()


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes, tally: Tally) -> bool:
    """One request; returns whether the connection may go on. Raises OSError, EOFError or ValueError without an
    answer that can be read to its end."""
    clock = asyncio.get_running_loop().time
    began = clock()
    async with asyncio.timeout(PATIENCE_S):
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = LENGTH.search(head)
        if length is None or int(length[1]) > MOST_BYTES:
            raise ValueError("an answer of unknown length")
        await reader.readexactly(int(length[1]))
    if 200 <= int(head[9:12]) < 300:
        tally.latencies.append(clock() - began)
    else:
        tally.refused += 1
    return CLOSED.search(head) is None


def main() -> None:
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(load(order))))


if __name__ == "__main__":
    main()
