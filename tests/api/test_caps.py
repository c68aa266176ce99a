"""How much is too much, on every side of a server: and while somebody asks for too much, others are answered."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from shutil import copytree
from typing import Final

import pytest
from doors import Way, known, ways
from faces import LOAN

from kring.api.early_bodies import SHORT_BYTES
from served import Reply, Server, serving, wait_until_managed

DECIDE: Final = "/systems/loans/api/decisions"
FORM: Final = "application/x-www-form-urlencoded"
MOST: Final = 8 << 20
READERS: Final = [way for way in ways() if way.method == "POST"]
BOMB: Final = gzip.compress(b" " * 20_000_000)
LIMITS: Final = "\n[access]\nper_key = { per_second = 5, at_once = 1 }\n"


def head(server: Server, path: str, *lines: str) -> bytes:
    always = (f"POST {path} HTTP/1.1", f"host: {server.address}", f"authorization: Bearer {server.key}")
    return "\r\n".join([*always, *lines, "", ""]).encode()


def status(raw: bytes) -> int:
    return int(raw.split(b" ", 2)[1])


def where(way: Way) -> str:
    """Where a route is asked for loans."""
    return "/systems/loans" * way.prefixed + way.at(model="loans", key="loans", id="d_00000000000000000000000000")


@pytest.mark.parametrize("length", [MOST + 1, 1 << 40, 1 << 70])
def test_no_route_waits_for_a_body_that_is_too_large(server: Server, length: int) -> None:
    wait_until_managed(server)
    for way in READERS:
        media = FORM if way.path.startswith("/sign") else "application/json"
        lines = (f"content-length: {length}", f"content-type: {media}", "connection: close")
        got = server.raw(head(server, where(way), *lines), seconds=10)
        assert status(got) in ((413,) if length < 1 << 63 else (400, 413)), (way.path, got[:300])


@pytest.mark.parametrize(
    "path", [DECIDE, "/v2/models/loans/infer", "/v1/chat/completions", "/api/keys", "/sign-in", "/x"]
)
def test_a_body_in_parts_is_counted_as_it_comes(server: Server, path: str) -> None:
    sent = 0
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(head(server, path, "transfer-encoding: chunked", "connection: close"))
        part = b"40000\r\n" + b" " * 0x40000 + b"\r\n"
        with suppress(OSError):
            while sent < 4 * MOST:
                connection.sendall(part)
                sent += 0x40000
    assert sent < 4 * MOST, "all of it was taken"
    assert server.ask("GET", "/livez").status == 200


REFUSALS = pytest.mark.parametrize(
    ("path", "lines", "expected"),
    [
        (DECIDE, ("authorization: Bearer of nobody",), 401),
        (DECIDE, ("host: evil.example",), 403),
        ("/api/keys", ("host: evil.example",), 403),
        ("/systems/nobody/api/decisions", (), 404),
    ],
)


def asked_for(server: Server, path: str, lines: tuple[str, ...], body: str) -> bytes:
    """A request with these headers in place of right ones."""
    told = {"host": server.address, "authorization": f"Bearer {server.key}"} | dict(one.split(": ") for one in lines)
    return "\r\n".join([f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in told.items()), body]).encode()


@REFUSALS
def test_a_refusal_that_looks_at_no_body_ends_the_connection_and_says_so(
    server: Server, path: str, lines: tuple[str, ...], expected: int
) -> None:
    """Else the caller's next request would be sent into a connection that is being closed. A long body is not waited
    for."""
    wait_until_managed(server)
    got = server.raw(asked_for(server, path, lines, f"content-length: {SHORT_BYTES + 1}\r\n\r\n"), seconds=5)
    assert status(got) == expected, got[:300]
    assert b"\r\nconnection: close\r\n" in got


@REFUSALS
def test_a_refusal_after_a_short_body_keeps_the_connection(
    server: Server, path: str, lines: tuple[str, ...], expected: int
) -> None:
    """The body has been read, so what comes behind it is the next request."""
    wait_until_managed(server)
    refused = asked_for(server, path, lines, f"content-length: 20\r\n\r\n{' ' * 20}")
    got = server.raw(refused + asked_for(server, "/livez", (), "content-length: 0\r\n\r\n"), seconds=2)
    first, _, second = got.partition(b"HTTP/1.1 405 ")
    assert (status(first), b"connection: close" in first.lower()) == (expected, False), got[:300]
    assert second, got[:600]


def test_a_refusal_without_a_body_keeps_the_connection(server: Server) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)) as connection:
        for _ in range(2):
            connection.request("POST", DECIDE)
            answer = connection.getresponse()
            answer.read()
            assert (answer.status, answer.getheader("connection")) == (401, None)
            assert connection.sock is not None


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "gzip, gzip", "x-gzip", "compress", "GZIP"])
def test_no_route_unpacks_a_body(server: Server, coding: str) -> None:
    wait_until_managed(server)
    headers = {"content-encoding": coding, "content-type": "application/json"}
    for way in READERS if coding == "gzip" else READERS[:1]:
        told = server.ask("POST", where(way), BOMB, headers=headers)
        assert told.status == 415, (way.path, told.body)


@pytest.mark.parametrize(
    "lines",
    [
        ("content-length: 5", "transfer-encoding: chunked"),
        ("content-length: 5", "content-length: 6"),
        ("content-length: -1",),
        ("content-length: 5, 5",),
        ("content-length: 0x5",),
        ("transfer-encoding: chunked, identity",),
        ("transfer-encoding: xchunked",),
        ("transfer-encoding : chunked",),
        ("x-folded: a", " transfer-encoding: chunked"),
    ],
    ids=str,
)
def test_where_a_request_ends_is_never_in_doubt(server: Server, lines: tuple[str, ...]) -> None:
    """What is behind one is not taken for another, which somebody in front has not seen."""
    hidden = head(server, "/api/systems").replace(b"POST", b"GET")
    got = server.raw(head(server, DECIDE, *lines) + b"0\r\n\r\n" + hidden, seconds=5)
    assert status(got) == 400, got[:300]
    assert b"Lend to those" not in got
    assert got.count(b"HTTP/1.1") == 1


def test_heads_have_an_end(server: Server) -> None:
    for lines in (
        [f"x-{number}: {number}" for number in range(2000)],
        ["x-long: " + "a" * 2_000_000],
        ["cookie: " + "a=b; " * 400_000],
    ):
        try:
            got = server.raw(head(server, DECIDE, *lines, "content-length: 2") + b"{}", seconds=10)
        except OSError:
            continue
        assert got == b"" or status(got) in (400, 413, 414, 431), got[:100]
    with suppress(OSError):
        assert status(server.raw(b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\n\r\n", seconds=10)) in (400, 414, 431)
    assert server.ask("GET", "/livez").status == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (DECIDE, {"inputs": [LOAN] * 1001}),
        (DECIDE, {"inputs": []}),
        ("/api/outcomes", {"outcomes": [{"id": "d_00000000000000000000000000", "value": True}] * 1001}),
        ("/api/keys", {"label": "x", "role": "viewer", "systems": ["loans"] * 1001}),
        ("/api/keys", {"label": "x" * 1_000_000, "role": "viewer", "systems": ["loans"]}),
    ],
    ids=["rows", "no rows", "outcomes", "systems", "label"],
)
def test_lists_have_an_end(server: Server, path: str, body: object) -> None:
    told = server.ask("POST", path, body)
    assert told.status == 400, told.body
    assert len(told.body) < 2000


@pytest.mark.parametrize("most", ["0", "201", "-1", "1e3", "9" * 5000, "", "٣", "1;2", "0x10"])
def test_pages_of_a_list_have_an_end(server: Server, most: str) -> None:
    quoted = "".join(f"%{byte:02x}" for byte in most.encode())
    assert server.ask("GET", f"/api/systems/loans/decisions?most={quoted}").status == 400


def test_many_who_say_nothing_keep_nobody_waiting(server: Server) -> None:
    """Connections without a request, with half a head, with half a body."""
    with ExitStack() as held:
        beginnings = (b"", b"GET / HT", head(server, DECIDE, "content-length: 500") + b"{")
        for number in range(300):
            connection = held.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=20))
            connection.sendall(beginnings[number % 3])
        for _ in range(20):
            assert server.ask("POST", DECIDE, {"inputs": LOAN}).status == 200
            assert server.ask("GET", "/api/systems").status == 200


def test_a_head_that_crawls_is_given_up(server: Server) -> None:
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", server.port), timeout=0.5) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\n")
        while time.monotonic() - began < 40:
            try:
                connection.sendall(b"x-slow: 1\r\n")
                if not connection.recv(1000):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        else:
            raise AssertionError("it is listened to for ever")


def test_many_streams_at_once_are_all_answered_or_told_to_come_back(server: Server) -> None:
    body = {"model": "handbook", "stream": True, "messages": [{"role": "user", "content": "How do I begin?"}]}

    def stream(_: int) -> int:
        told = server.ask("POST", "/v1/chat/completions", body, seconds=60)
        assert told.status != 200 or told.body.endswith(b"data: [DONE]\n\n")
        return told.status

    with ThreadPoolExecutor(40) as pool:
        statuses = set(pool.map(stream, range(120)))
    assert statuses <= {200, 429, 503}
    assert 200 in statuses
    assert server.ask("POST", DECIDE, {"inputs": LOAN}).status == 200


@pytest.fixture(scope="module")
def limited(released: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = Path(copytree(released["loans"], tmp_path_factory.mktemp("limited") / "loans"))
    with (folder / "kring.toml").open("a") as config:
        config.write(LIMITS)
    with serving([folder]) as running:
        wait_until_managed(running)
        yield running


def test_one_request_counts_once(limited: Server) -> None:
    """However many decisions it names, and though it is asked about two things: the answer and its reasons."""
    body = {"label": "once", "role": "admin", "systems": ["loans"], "days": 1}
    key = known(limited, limited.ask("POST", "/api/keys", body).json["secret"])

    def ask(path: str, body: object) -> Reply:
        time.sleep(1.0)  # the bucket is full again
        told = limited.ask("POST", path, body, key=key, seconds=60)
        assert told.status == 200, told.body
        return told

    explained = ask("/api/decisions?explain=shap", {"inputs": LOAN}).json["reasons"]
    assert not [one for one in explained if "not explained" in one]
    decided = ask("/api/decisions", {"inputs": [LOAN] * 20}).json["decisions"]
    reports = [{"id": one["id"], "value": True} for one in decided]
    heard = ask("/api/outcomes", {"outcomes": reports}).json["outcomes"]
    assert {one["heard"] for one in heard} != {"refused"}


def test_one_caller_does_not_starve_the_others(limited: Server) -> None:
    """Beyond its limit a key is told to wait, by all protocols; another key is answered all the while."""
    keys = []
    for name in ("greedy", "modest"):
        body = {"label": name, "role": "caller", "systems": ["loans"], "days": 1}
        keys.append(known(limited, limited.ask("POST", "/api/keys", body).json["secret"]))

    def greedy(number: int) -> http.client.HTTPResponse | object:
        path, body = [
            ("/api/decisions", {"inputs": LOAN}),
            ("/v1/models/loans:predict", {"instances": [LOAN]}),
            ("/systems/loans/invocations", {"inputs": [LOAN]}),
        ][number % 3]
        return limited.ask("POST", path, body, key=keys[0], seconds=60)

    with ThreadPoolExecutor(8) as pool:
        flood = [pool.submit(greedy, number) for number in range(150)]
        modest = [limited.ask("POST", "/api/decisions", {"inputs": LOAN}, key=keys[1]).status for _ in range(3)]
        told = [one.result() for one in flood]
    assert modest == [200, 200, 200]
    refused = [one for one in told if one.status == 429]
    assert len(refused) > 50
    assert all(int(one.headers["retry-after"]) >= 1 for one in refused)
    assert {one.status for one in told} <= {200, 429}
    assert json.loads(refused[0].body)
