"""The example that stands in front of Kring where a platform passes no key on: what it adds, and what it refuses."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path
from runpy import run_path
from typing import Any

import pytest

from served import Server, free_port

FRONT = Path(__file__).parents[2] / "examples" / "containers" / "front.py"
FRUIT = b'{"instances": [{"width": 7.5, "weight": 130, "orchard": "hill"}]}'
JSON = {"content-type": "application/json", "x-amzn-sagemaker-custom-attributes": "system=fruit"}


@pytest.fixture(scope="module")
def serving() -> Any:
    return run_path(str(FRONT))["serving"]


@pytest.fixture
def front(serving: Any, server: Server) -> Iterator[int]:
    made = serving("127.0.0.1", 0, kring=server.address, key=server.key)
    yield made.server_port
    made.shutdown()
    made.server_close()


def ask(port: int, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body or None, {name.replace("_", "-"): one for name, one in headers.items()})
        told = connection.getresponse()
        return told.status, told.read(), {name.lower(): one for name, one in told.getheaders()}
    finally:
        connection.close()


def test_who_shows_no_key_or_a_wrong_one_is_answered_by_that_of_the_container(front: int) -> None:
    for key in ({}, {"authorization": "Bearer kring_live_nobody"}, {"x_api_key": "kring_live_nobody"}):
        status, body, headers = ask(front, "POST", "/invocations", FRUIT, **JSON, **key)
        assert (status, b'"decision":"pear"' in body) == (200, True), body
        assert headers["x-amzn-sagemaker-custom-attributes"].startswith("system=fruit;version=v_")
    assert ask(front, "GET", "/ping")[0] == 200


def test_what_kring_refuses_is_told_as_it_is(front: int) -> None:
    status, body, headers = ask(front, "POST", "/invocations", b"{", **JSON)
    assert (status, b"error_code" in body, headers["content-type"]) == (400, True, "application/json")


def test_a_body_without_a_length_or_too_large_is_not_read(front: int) -> None:
    assert ask(front, "POST", "/invocations", b"", transfer_encoding="chunked")[0] == 413
    assert ask(front, "POST", "/invocations", b"", content_length=str(9 << 20))[0] == 413
    assert ask(front, "POST", "/invocations", b"", content_length="-1")[0] == 413


def test_without_kring_it_says_when_to_come_back(serving: Any) -> None:
    made = serving("127.0.0.1", 0, kring=f"127.0.0.1:{free_port()}", key="kring_live_x")
    status, _, headers = ask(made.server_port, "POST", "/invocations", FRUIT, **JSON)
    made.shutdown()
    made.server_close()
    assert (status, headers["retry-after"]) == (503, "1")
