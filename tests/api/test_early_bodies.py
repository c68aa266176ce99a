"""Bodies read before they are asked for: whole whatever their length, and gone with whoever sent them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from functools import wraps
from typing import Any, ParamSpec

import pytest
from granian._granian import RSGIProtocolClosed
from granian.constants import HTTPModes
from granian.server import embed
from hypothesis import given
from hypothesis import strategies as st

from kring.api import early_bodies
from kring.api.early_bodies import AHEAD_BYTES, Begun, read_ahead
from served import free_port

P = ParamSpec("P")


def looped(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """A test that runs in a loop of its own."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


class Echo:
    """Answers with the body, and notes how each request came and what became of it."""

    def __init__(self, *, wait_s: float = 0.0) -> None:
        self.began: list[bool] = []
        self.gone = asyncio.Event()
        self._wait_s = wait_s

    async def __rsgi__(self, scope: Any, proto: Any) -> None:
        self.began.append(isinstance(proto, Begun))
        await asyncio.sleep(self._wait_s)
        try:
            body = b"" if scope.path == "/unread" else bytes(await proto())
        except RSGIProtocolClosed:
            self.gone.set()
            raise
        proto.response_bytes(200, [("content-type", "text/plain")], body)


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test has granian do is undone after it."""
    monkeypatch.setattr(embed, early_bodies.WRAPPER, getattr(embed, early_bodies.WRAPPER))


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]]:
    read_ahead()
    port = free_port()
    server = embed.Server(app, port=port, http=HTTPModes.http1, websockets=False, log_enabled=False)
    serving = asyncio.create_task(server.serve())

    async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        for _ in range(500):
            with suppress(ConnectionRefusedError):
                return await asyncio.open_connection("127.0.0.1", port)
            await asyncio.sleep(0.01)
        raise AssertionError("it does not listen")

    try:
        yield connect
    finally:
        server.stop()
        await serving


def posted(body: bytes, *, path: str = "/", length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n".encode() + body


async def answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), head
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return await reader.readexactly(int(length.split(b":")[1]))


@looped
async def test_bodies_of_every_length_come_whole_and_in_order() -> None:
    lengths = [0, 1, 700, AHEAD_BYTES - 1, AHEAD_BYTES, AHEAD_BYTES + 1, 1 << 20, 2]
    echo = Echo()
    async with served(echo) as connect:
        reader, writer = await connect()
        for at, length in enumerate(lengths):
            body = bytes([65 + at]) * length
            writer.write(posted(body))
            assert await answer(reader) == body
        writer.close()
    assert echo.began == [0 < length <= AHEAD_BYTES for length in lengths], "granian calls its wrapper in another way"


@looped
async def test_a_body_in_pieces_and_one_of_no_length_come_whole() -> None:
    echo = Echo()
    async with served(echo) as connect:
        reader, writer = await connect()
        for part in (posted(b"one ", length=9), b"tw", b"o", b" 3"):
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.02)
        assert await answer(reader) == b"one two 3"
        writer.write(
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        )
        assert await answer(reader) == b"abcde"
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert await answer(reader) == b""
        writer.close()
    assert echo.began == [True, False, False]


@looped
async def test_a_body_that_nobody_asks_for_leaves_the_connection_whole() -> None:
    echo = Echo()
    async with served(echo) as connect:
        reader, writer = await connect()
        for _ in range(3):
            writer.write(posted(b"x" * 300, path="/unread"))
            assert await answer(reader) == b""
            writer.write(posted(b"read"))
            assert await answer(reader) == b"read"
        writer.close()
    assert all(echo.began)


@looped
async def test_a_body_that_nobody_asks_for_and_that_never_ends_holds_no_connection() -> None:
    echo = Echo()
    async with served(echo) as connect:
        reader, writer = await connect()
        writer.write(posted(b"half", length=8, path="/unread"))
        assert await answer(reader) == b""
        assert await asyncio.wait_for(reader.read(), 20) == b""
        writer.close()
    assert echo.began == [True]


@pytest.mark.parametrize("wait_s", [0.0, 0.2], ids=["while it is waited for", "before it is asked for"])
@looped
async def test_whoever_goes_in_the_middle_of_a_body_is_told_as_gone(wait_s: float) -> None:
    echo = Echo(wait_s=wait_s)
    async with served(echo) as connect:
        _, writer = await connect()
        writer.write(posted(b"half", length=8))
        await writer.drain()
        while not echo.began:
            await asyncio.sleep(0.01)
        writer.close()
        await asyncio.wait_for(echo.gone.wait(), 20)
        reader, writer = await connect()
        writer.write(posted(b"next"))
        assert await answer(reader) == b"next"
        writer.close()


class Asked:
    """As granian's scope, as far as it is looked at."""

    def __init__(self, length: str | None, *, proto: str = "http", method: str = "POST") -> None:
        self.proto, self.method = proto, method
        self.headers = {} if length is None else {"content-length": length}


@given(st.one_of(st.none(), st.text(max_size=12), st.integers(-5, AHEAD_BYTES * 3).map(str)))
def test_only_what_says_to_be_short_is_begun(length: str | None) -> None:
    says = int(length) if length is not None and length.isdecimal() else 0
    assert early_bodies.is_short(Asked(length)) == (0 < says <= AHEAD_BYTES)
    assert not early_bodies.is_short(Asked(length, proto="ws"))
    assert not early_bodies.is_short(Asked(length, method="GET"))


def test_another_release_of_granian_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(embed, early_bodies.WRAPPER)
    read_ahead()
    assert not hasattr(embed, early_bodies.WRAPPER)
