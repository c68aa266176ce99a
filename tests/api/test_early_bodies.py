"""Bodies read before they are asked for: whole whatever their length, and gone with whoever sent them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any

import pytest
from embedded import answer, looped, posted, served, until
from granian import _futures
from granian._granian import RSGIProtocolClosed
from hypothesis import given
from hypothesis import strategies as st

from kring.api.body_reader import SLOWEST_S
from kring.api.early_bodies import SCHEDULER, SHORT_BYTES, EarlyBodies, Whole, short_of

pytestmark = pytest.mark.usefixtures("granian_as_it_was")


class Echo:
    """Answers with the body, and notes how each request came and what became of it."""

    def __init__(self) -> None:
        self.early: list[bool] = []
        self.lost: list[type[BaseException]] = []

    async def __rsgi__(self, scope: Any, proto: Any) -> None:
        self.early.append(isinstance(proto, Whole))
        try:
            body = b"" if scope.path == "/unread" else bytes(await proto())
        except (RSGIProtocolClosed, asyncio.CancelledError) as error:
            self.lost.append(type(error))
            body = b"lost"
        proto.response_bytes(200, [("content-type", "text/plain")], body)


@looped
async def test_bodies_of_every_length_come_whole_and_in_order() -> None:
    lengths = [0, 1, 700, SHORT_BYTES - 1, SHORT_BYTES, SHORT_BYTES + 1, 1 << 20, 2]
    echo = Echo()
    async with served(echo) as connect:
        reader, writer = await connect()
        for at, length in enumerate(lengths):
            body = bytes([65 + at]) * length
            writer.write(posted(body))
            assert await answer(reader) == body
        writer.close()
    assert echo.early == [0 < length <= SHORT_BYTES for length in lengths], "granian hands requests over in another way"


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
    assert echo.early == [True, False, False]


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
    assert all(echo.early)


@looped
async def test_a_body_that_takes_too_long_is_handed_over_as_it_is() -> None:
    now, echo = [1000.0], Echo()
    bodies = EarlyBodies(lambda: now[0])
    async with served(echo, bodies) as connect:
        reader, writer = await connect()
        writer.write(posted(b"half", length=8))
        await until(lambda: bodies.awaited)
        now[0] += SLOWEST_S
        bodies.expire()
        await asyncio.sleep(0.1)
        assert (bodies.awaited, echo.early) == (1, []), "its time is not over"
        now[0] += 0.1
        bodies.expire()
        assert await asyncio.wait_for(answer(reader), 20) == b"lost"
        assert await asyncio.wait_for(reader.read(), 20) == b"", "who never sends the end holds no connection"
        writer.close()
    assert bodies.awaited == 0
    assert (echo.early, echo.lost) == ([True], [asyncio.CancelledError])


@looped
async def test_whoever_goes_in_the_middle_of_a_body_is_told_as_gone() -> None:
    echo, bodies = Echo(), EarlyBodies(time.monotonic)
    async with served(echo, bodies) as connect:
        _, writer = await connect()
        writer.write(posted(b"half", length=8))
        await until(lambda: bodies.awaited)
        writer.close()
        await until(lambda: echo.lost)
        assert echo.lost == [RSGIProtocolClosed]
        reader, writer = await connect()
        writer.write(posted(b"next"))
        assert await answer(reader) == b"next"
        writer.close()


class Scope:
    """As granian's, as far as it is looked at."""

    def __init__(self, length: str | None, *, method: str = "POST") -> None:
        self.method = method
        self.headers = {} if length is None else {"content-length": length}


class Body(asyncio.Future[bytes]):
    """As granian's, of which somebody learns once, twice or, since it was there before they asked, not at all."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def add_done_callback(self, told: Callable[[Any], object], *, context: Context | None = None) -> None:
        for _ in range(self.times):
            self.get_loop().call_soon(told, self, context=context)


class Proto:
    def __init__(self, body: Body) -> None:
        self.body = body

    def __call__(self) -> Body:
        return self.body

    def response_bytes(self, status: int, headers: object, body: bytes) -> None:
        raise AssertionError("nothing is answered here")


class Watcher:
    """As granian's."""

    def __init__(self, body: Body) -> None:
        self.scope, self.proto = Scope("4"), Proto(body)
        self.taskref = self.done = self.err = lambda *_: None


@pytest.mark.parametrize("times", [0, 1, 2])
@looped
async def test_a_body_that_is_there_at_once_is_handed_over_once(times: int) -> None:
    loop, heard = asyncio.get_running_loop(), list[str]()

    async def handle(watcher: Any) -> None:
        heard.append(watcher.proto().result().decode())

    EarlyBodies(time.monotonic).install()
    schedule = getattr(_futures, SCHEDULER)(loop, copy_context(), handle)
    body = Body(times)
    body.set_result(b"here")
    schedule(Watcher(body))
    assert not heard, "it is the loop's turn"
    await until(lambda: heard)
    await asyncio.sleep(0.05)
    assert heard == ["here"]


@given(st.one_of(st.none(), st.text(max_size=12), st.integers(-5, SHORT_BYTES * 3).map(str)))
def test_only_what_says_to_be_short_comes_early(length: str | None) -> None:
    says = int(length) if length is not None and length.isdecimal() else 0
    assert bool(short_of(Scope(length))) == (0 < says <= SHORT_BYTES)
    assert not short_of(Scope(length, method="GET"))


def test_another_release_of_granian_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(_futures, SCHEDULER)
    EarlyBodies(time.monotonic).install()
    assert not hasattr(_futures, SCHEDULER)
