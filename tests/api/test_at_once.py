"""Requests whose answers wait for nothing but the line: told without a task, and otherwise as all others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Any

import pytest
from embedded import looped, posted, served, until
from hypothesis import given
from hypothesis import strategies as st

from kring.access.guard import Gatekeeper
from kring.api.app import Door
from kring.api.early_bodies import EarlyBodies
from kring.api.exchange import Deciding, Request, Response, Route
from kring.api.faults import native
from kring.api.headers import plain, require_single
from kring.errors import NotFound, Unavailable, UserError
from kring.host.clock import SystemClock
from kring.record.answer import Answer
from kring.serve.desk import Desk

pytestmark = pytest.mark.usefixtures("granian_as_it_was")

SAID = Answer("01", 1, {}, "v1", "live", "v1", "", [], [])


class Meter:
    """Notes what was answered."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []

    def answered(self, route: str, status: int, seconds: float) -> None:
        assert 0 <= seconds < 60
        self.told.append((route, status))


class Beyond:
    """A control process that says what came to it."""

    async def pass_on(self, scope: Any, proto: Any, body: bytes) -> None:
        if scope.path == "/broken":
            raise ZeroDivisionError
        await asyncio.sleep(0)
        proto.response_bytes(200, [], b"beyond: " + body)

    async def get(self, scope: Any, target: str) -> tuple[int, bytes]:
        raise AssertionError("nothing is asked there")


class House:
    """A door with one route for each way in which a handler may answer."""

    def __init__(self) -> None:
        self.waiting: list[asyncio.Future[list[Answer]]] = []
        self.meter = Meter()
        handlers = {
            "/line": self.line,
            "/broken-line": self.broken_line,
            "/task": self.task,
            "/refuses": self.refuses,
            "/fails": self.fails,
        }
        self.door = Door(
            Desk({}),
            Gatekeeper(dev_keys=True),
            routes=[self.route(path, handler) for path, handler in handlers.items()],
            beyond=Beyond(),
            check=lambda headers: None,
            clock=SystemClock(),
            meter=self.meter,
            most_bytes=1000,
        )

    def route(self, path: str, handler: Any) -> Route:
        return Route(method="POST", path=path, handler=handler, action="decide", fault=native, summary="", public=True)

    def ask(self) -> asyncio.Future[list[Answer]]:
        told: asyncio.Future[list[Answer]] = asyncio.get_running_loop().create_future()
        self.waiting.append(told)
        return told

    def line(self, request: Request) -> Deciding:
        body = request.body
        return Deciding(self.ask(), lambda answers: Response(200, body + answers[0].version.encode()))

    def broken_line(self, request: Request) -> Deciding:
        return Deciding(self.ask(), lambda answers: Response(200, bytes(1 // len(request.params))))

    async def task(self, request: Request) -> Response:
        await asyncio.sleep(0)
        return Response(200, request.body)

    def refuses(self, request: Request) -> Awaitable[Response]:
        raise NotFound("there is nothing here", got=request.body.decode())

    def fails(self, request: Request) -> Awaitable[Response]:
        raise ZeroDivisionError


async def asked(house: House, *, at_once: bool, sent: list[bytes], answers: int) -> list[bytes]:
    """What is answered to requests on connections of their own, once so many wait for their line; heads and bodies."""
    bodies = EarlyBodies(time.monotonic, at_once=house.door.at_once if at_once else None)
    async with served(house.door, bodies) as connect:
        open_ones = [await connect() for _ in sent]
        for (_, writer), data in zip(open_ones, sent, strict=True):
            writer.write(data)
        await until(lambda: len(house.waiting) == answers)
        for at, told in enumerate(house.waiting):
            told.set_exception(Unavailable("too late")) if at % 2 else told.set_result([SAID])
        heads = []
        for reader, writer in open_ones:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
            length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
            heads.append(head + await reader.readexactly(int(length.split(b":")[1])))
            writer.close()
        return [b"\r\n".join(line for line in told.split(b"\r\n") if not line.startswith(b"date:")) for told in heads]


EACH = [
    posted(b"one", path="/line"),
    posted(b"two", path="/line"),
    posted(b"x", path="/broken-line"),
    posted(b"three", path="/task"),
    posted(b"four", path="/refuses"),
    posted(b"five", path="/fails"),
    posted(b"six", path="/elsewhere"),
    posted(b"seven", path="/broken"),
    posted(b"8" * 1001, path="/line"),
    b"POST /line HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: 1\r\n\r\nx",
    b"POST /line HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx",
]
STATUSES = [200, 503, 500, 200, 404, 500, 200, 500, 413, 400, 415]


@looped
async def test_every_answer_is_what_a_task_would_have_told() -> None:
    """But for who was refused at once: where the body has been read the connection goes on."""
    quick, slow = House(), House()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kring.api.app.refused_early", lambda response, headers: response)
        at_once = await asked(quick, at_once=True, sent=EACH, answers=3)
        by_tasks = await asked(slow, at_once=False, sent=EACH, answers=3)
    assert [int(told.split(b" ")[1]) for told in at_once] == STATUSES
    assert at_once == by_tasks
    assert sorted(quick.meter.told) == sorted(slow.meter.told)
    assert len(quick.meter.told) == len(EACH) - 2, "what was passed on is counted elsewhere"


@looped
async def test_who_waits_for_the_line_alone_has_no_task() -> None:
    house = House()
    async with served(house.door, EarlyBodies(time.monotonic, at_once=house.door.at_once)) as connect:
        _, writer = await connect()
        writer.write(posted(b"x", path="/line"))
        await until(lambda: house.waiting)
        before = len(asyncio.all_tasks())
        others = [await connect() for _ in range(5)]
        for _, other in others:
            other.write(posted(b"x", path="/line"))
        await until(lambda: len(house.waiting) == 6)
        assert len(asyncio.all_tasks()) == before
        for told in house.waiting:
            told.set_result([SAID])
        for reader, other in others:
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            other.close()
        writer.close()


@looped
async def test_an_answer_that_is_awaited_is_given_up_with_its_task() -> None:
    told: asyncio.Future[list[Answer]] = asyncio.get_running_loop().create_future()

    async def waiting() -> Response:
        return await Deciding(told, lambda answers: Response(200, answers[0].version.encode()))

    task = asyncio.create_task(waiting())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert told.cancelled(), "the line leaves it out"


class Headers:
    """As granian's: names may come more than once, and what is no text is left out of the pairs."""

    def __init__(self, pairs: list[tuple[str, str | None]]) -> None:
        self.pairs = pairs

    def __len__(self) -> int:
        return len({name for name, _ in self.pairs})

    def __contains__(self, name: str) -> bool:
        return any(name == one for one, _ in self.pairs)

    def items(self) -> list[tuple[str, str]]:
        return [(name, value) for name, value in self.pairs if value is not None]

    def get(self, name: str) -> str | None:
        return next((value for one, value in self.pairs if one == name), None)

    def get_all(self, name: str) -> list[str]:
        return [value for one, value in self.items() if one == name]


@given(
    st.lists(
        st.tuples(st.sampled_from(["host", "origin", "accept"]), st.none() | st.sampled_from(["a", "b"])), max_size=5
    )
)
def test_headers_are_plain_where_each_comes_once_and_can_be_read(pairs: list[tuple[str, str | None]]) -> None:
    headers = Headers(pairs)
    found = plain(headers)
    values: dict[str, list[str | None]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    readable = [name for name, some in values.items() if name != "accept" or some[0] is not None]
    assert [found.get(name) for name in readable] == [headers.get(name) for name in readable]
    if all(some in (["a"], ["b"]) for some in values.values()):
        assert type(found) is dict
    single = [values[name] for name in ("host", "origin") if name in values]
    if any(some[0] is None or len(some) - some.count(None) > 1 for some in single):
        with pytest.raises(UserError, match="can't be read"):
            require_single(found)
    elif type(found) is dict:
        require_single(headers)
