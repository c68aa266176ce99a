"""Bodies for the control process, which says who asks only when it has them: of strangers little is taken."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack

import pytest

from served import Server, wait_until_managed

PATH = "/systems/loans/api/events/kserve"
LARGE = 64 << 10


def head(server: Server, *lines: str) -> bytes:
    return "\r\n".join([f"POST {PATH} HTTP/1.1", f"host: {server.address}", *lines, "", ""]).encode()


@pytest.mark.parametrize("shown", ["", "authorization: Bearer kring_test_x", "cookie: kring_session=x"])
@pytest.mark.parametrize("length", [f"content-length: {LARGE + 1}", "transfer-encoding: chunked"])
def test_a_stranger_s_large_body_is_refused_before_it_is_there(server: Server, shown: str, length: str) -> None:
    sent = head(server, length, "connection: close", *([shown] if shown else []))
    if "chunked" in length:
        sent += b"20000\r\n" + b"x" * 0x20000 + b"\r\n0\r\n\r\n"
    got = server.raw(sent, seconds=10, address="127.0.0.77")  # from where nobody else has shown wrong keys
    assert got.startswith(b"HTTP/1.1 413"), got[:300]
    assert b"65,536 bytes" in got
    assert b"show a key" in got


def test_whoever_shows_a_key_sends_as_much_as_elsewhere(server: Server) -> None:
    wait_until_managed(server)
    told = server.ask("POST", PATH, b" " * (4 << 20))
    assert (told.status, "not JSON" in told.json["error"]["message"]) == (400, True), told.body[:300]


def test_strangers_together_get_no_more_room_and_take_nobody_else_s(server: Server) -> None:
    wait_until_managed(server)
    with ExitStack() as open_ones:
        crowd = []
        for _ in range(200):
            one = open_ones.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=20))
            one.sendall(head(server, f"content-length: {LARGE}") + b"x")
            crowd.append(one)
        refused = sum(one.recv(300).startswith(b"HTTP/1.1 503") for one in crowd[128:])
        assert refused == 72
        assert server.ask("POST", PATH, b" " * (1 << 20)).status == 400
    until = time.monotonic() + 30
    while (told := server.ask("POST", PATH, b"{}", key="")).status == 503 and time.monotonic() < until:
        time.sleep(0.1)
    assert told.status == 401
