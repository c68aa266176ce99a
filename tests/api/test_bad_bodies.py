"""Every kind of bad body against every protocol, on a real server: told in that protocol's own form, and harmless."""

from __future__ import annotations

import gzip
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest
from faces import FACES, Face

from served import Reply, Server

SLOW_S: Final = 20.0
DEEP: Final = 100_000
BOMB: Final = gzip.compress(b"[" * 20_000_000)

BYTES: Final[dict[str, tuple[bytes, str]]] = {
    "nothing": (b"", "an empty body"),
    "blanks": (b"  \n", "not JSON"),
    "no JSON": (b"\x00\x01\x02", "not JSON"),
    "a text": (b"amount=5", "not JSON"),
    "not UTF-8": (b'{"\xff\xfe": 1}', ""),
    "half a surrogate": (b'{"instances": "\\ud800"}', ""),
    "cut": (b'{"inputs": [{"na', "not JSON"),
    "two bodies": (b"{}{}", ""),
    "a list": (b"[]", ""),
    "a number": (b"5", ""),
    "a string": (b'"x"', ""),
    "null": (b"null", ""),
    "NaN": (b'{"inputs": NaN, "instances": NaN}', "not JSON"),
    "infinity": (b'{"inputs": Infinity}', "not JSON"),
    "deep lists": (b'{"inputs": ' + b"[" * DEEP + b"]" * DEEP + b"}", ""),
    "deep objects": (b'{"inputs": ' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}", ""),
    "deep instances": (b'{"instances": ' + b"[" * DEEP + b"]" * DEEP + b"}", ""),
    "a huge number": (b'{"inputs": ' + b"9" * 5000 + b"}", ""),
    "a huge name": (b'{"' + b"x" * 1_000_000 + b'": 1}', ""),
}
AMOUNTS: Final[dict[str, tuple[Any, str]]] = {
    "a text": ("much", ""),
    "a truth": (True, ""),
    "an object": ({"a": 1}, ""),
    "a list": ([1, 2], ""),
    "below its range": (-1, "amount"),
    "above its range": (1001, "amount"),
    "a script": ("<script>", ""),
    "a NUL": ("1\u0000", ""),
    "a number beyond all floats": (10**400, ""),
}


@pytest.fixture(params=FACES)
def face(request: pytest.FixtureRequest) -> Face:
    return FACES[request.param]


def refused(face: Face, reply: Reply, *words: str, status: tuple[int, ...] = (400, 422)) -> str:
    """The message of a refusal in the protocol's own form."""
    assert reply.status in status, (reply.status, reply.body[:500])
    assert reply.media == "application/json"
    said = face.said(reply)
    assert "got: " in said, said
    assert "allowed: " in said or "next: " in said, said
    assert len(said) < 2000
    for word in words:
        assert word in said, said
    return said


def unharmed(face: Face, server: Server) -> None:
    assert server.ask("POST", face.at(), face.good).status == 200


@pytest.mark.parametrize("name", BYTES)
def test_bytes_that_are_no_request(face: Face, server: Server, name: str) -> None:
    body, word = BYTES[name]
    refused(face, server.ask("POST", face.at(), body), word)
    unharmed(face, server)


@pytest.mark.parametrize(("face_name", "name"), [(one, name) for one, face in FACES.items() for name in face.wrong])
def test_requests_that_are_none_of_the_protocol(server: Server, face_name: str, name: str) -> None:
    face = FACES[face_name]
    body, word = face.wrong[name]
    refused(face, server.ask("POST", face.at(), body), word)
    unharmed(face, server)


@pytest.mark.parametrize("name", AMOUNTS)
def test_values_that_break_the_contract(face: Face, server: Server, name: str) -> None:
    value, word = AMOUNTS[name]
    body = json.dumps(face.amount(value)).encode()
    refused(face, server.ask("POST", face.at(), body), word)


@pytest.mark.parametrize("token", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
def test_numbers_that_are_not_finite(face: Face, server: Server, token: bytes) -> None:
    body = json.dumps(face.amount(123456.5)).encode().replace(b"123456.5", token)
    refused(face, server.ask("POST", face.at(), body))


def test_too_many_rows_and_as_many_as_there_may_be(face: Face, server: Server) -> None:
    refused(face, server.ask("POST", face.at(), face.rows(1001)), "1,000")
    assert server.ask("POST", face.at(), face.rows(1000)).status == 200


CROWDS: Final[dict[str, tuple[str, str, bytes]]] = {
    "tensorflow rows": ("tensorflow", "application/json", b'{"instances": [' + b"0," * 3_000_000 + b"0]}"),
    "tensorflow columns": (
        "tensorflow",
        "application/json",
        b'{"inputs": {"amount": [' + b"0," * 3_000_000 + b'0], "b": 1}}',
    ),
    "tensorflow examples": (
        "tensorflow classify",
        "application/json",
        b'{"examples": [' + b"{}," * 2_000_000 + b"{}]}",
    ),
    "mlflow table": (
        "mlflow",
        "application/json",
        b'{"dataframe_split": {"columns": ["amount"], "data": [' + b"0," * 3_000_000 + b"0]}}",
    ),
    "mlflow rows": ("mlflow", "application/json", b'{"instances": [' + b"0," * 3_000_000 + b"0]}"),
    "csv": ("mlflow", "text/csv", b"x\n" * 3_000_000),
    "json lines": ("mlflow", "application/jsonlines", b"x\n" * 3_000_000),
    "tensors": (
        "open inference",
        "application/json",
        b'{"inputs": [{"name": "a", "shape": [3000000], "datatype": "FP64", "data": [' + b"{}," * 2_000_000 + b"{}]}]}",
    ),
    "vertex": ("vertex", "application/json", b'{"instances": [' + b"0," * 3_000_000 + b"0]}"),
    "native": ("native", "application/json", b'{"inputs": [' + b"0," * 3_000_000 + b"0]}"),
}
"""Millions of rows, each of them broken: who speaks of a row has looked at it."""


@pytest.mark.parametrize("name", CROWDS)
def test_a_crowd_of_rows_is_refused_before_one_is_looked_at(server: Server, name: str) -> None:
    face, media, body = FACES[CROWDS[name][0]], *CROWDS[name][1:]
    told = server.ask("POST", face.at(), body, headers={"content-type": media})
    assert "row 0" not in refused(face, told, "1,000", status=(400,))
    unharmed(face, server)


def test_a_context_that_every_row_repeats_is_small(server: Server) -> None:
    face = FACES["tensorflow classify"]
    examples, context = [{}] * 1000, {"email": "x" * 8192}
    refused(face, server.ask("POST", face.at(), {"examples": examples, "context": context}), "8,192", status=(400,))
    unharmed(face, server)


def test_a_request_that_is_cut_anywhere(face: Face, server: Server) -> None:
    whole = json.dumps(face.good).encode()
    for at in range(0, len(whole), 29):
        refused(face, server.ask("POST", face.at(), whole[:at]))
    unharmed(face, server)


@pytest.mark.parametrize("media", ["application/xml", "multipart/form-data; boundary=x", "application/x-pickle"])
def test_another_content_type(face: Face, server: Server, media: str) -> None:
    body = json.dumps(face.good).encode()
    told = server.ask("POST", face.at(), body, headers={"content-type": media})
    refused(face, told, "application/json", status=(415,))


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_compressed_bodies_are_not_unpacked(face: Face, server: Server, coding: str) -> None:
    refused(face, server.ask("POST", face.at(), BOMB, headers={"content-encoding": coding}), status=(415,))
    unharmed(face, server)


def test_an_unknown_model(face: Face, server: Server) -> None:
    refused(face, server.ask("POST", face.at("boats"), face.good), "loans, parcels, fruit, handbook", status=(404,))


def test_two_systems_in_one_request(face: Face, server: Server) -> None:
    told = server.ask("POST", face.at(), face.good, headers={"x-kring-system": "parcels"})
    refused(face, told, "loans", "parcels", "names two systems", status=(400,))
    assert server.ask("POST", face.at(), face.good, headers={"x-kring-system": "loans"}).status == 200


@pytest.mark.parametrize("model", ["..%2F..%2Fetc", "loans%00", "%2e%2e", "x" * 5000, "<script>", "lo%0aans", "ℓoans"])
def test_a_model_that_is_no_name(face: Face, server: Server, model: str) -> None:
    path = face.at("MODEL").replace("MODEL", model.encode("ascii", "xmlcharrefreplace").decode().replace("#", "%23"))
    reply = server.ask("POST", path, face.good)
    assert reply.status in (400, 404), reply.body[:300]
    assert b"root:" not in reply.body
    unharmed(face, server)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("open inference", "/v2/models/loans/versions/1/infer"),
        ("tensorflow", "/v1/models/loans/versions/1:predict"),
        ("tensorflow", "/v1/models/loans/labels/stable:predict"),
        ("tensorflow classify", "/v1/models/loans/versions/1:classify"),
    ],
)
def test_an_unknown_version(server: Server, name: str, path: str) -> None:
    refused(FACES[name], server.ask("POST", path, FACES[name].good), "loans ", status=(404,))


def head(face: Face, server: Server, *lines: str) -> bytes:
    always = (f"POST {face.at()} HTTP/1.1", f"host: {server.address}", f"authorization: Bearer {server.key}")
    return "\r\n".join([*always, "content-type: application/json", *lines, "", ""]).encode()


def parsed(raw: bytes) -> Reply:
    """A whole answer out of raw bytes."""
    top, _, body = raw.partition(b"\r\n\r\n")
    first, *rest = top.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
    return Reply(int(first.split()[1]), body, headers)


@pytest.mark.parametrize("length", [9 << 20, 1 << 40])
def test_a_body_that_says_it_is_huge_is_refused_before_it_comes(face: Face, server: Server, length: int) -> None:
    got = server.raw(head(face, server, f"content-length: {length}", "connection: close"), seconds=5)
    refused(face, parsed(got), "8,388,608", status=(413,))
    unharmed(face, server)


def test_a_body_that_does_not_end_is_refused_on_the_way(face: Face, server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(head(face, server, "transfer-encoding: chunked", "connection: close"))
        part = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        try:
            for _ in range(400):
                connection.sendall(part)
        except OSError:
            pass
        else:
            raise AssertionError("26 MB were taken")
    unharmed(face, server)


def test_bodies_that_come_slowly_are_ended_all_at_once(server: Server) -> None:
    """All protocols wait together, so that the test does not wait for each."""

    def crawl(face: Face) -> tuple[float, bytes]:
        began, got = time.monotonic(), b""
        with socket.create_connection(("127.0.0.1", server.port), timeout=0.5) as connection:
            connection.sendall(head(face, server, "content-length: 5000", "connection: close"))
            while time.monotonic() - began < SLOW_S:
                try:
                    connection.sendall(b" ")
                    part = connection.recv(65536)
                except TimeoutError:
                    continue
                except OSError:
                    break
                if not part:
                    break
                got += part
        return time.monotonic() - began, got

    with ThreadPoolExecutor(len(FACES)) as pool:
        for face, (seconds, got) in zip(FACES.values(), pool.map(crawl, FACES.values()), strict=True):
            assert seconds < SLOW_S
            said = face.said(parsed(got))
            assert "in time" in said
            unharmed(face, server)


def test_somebody_slow_keeps_nobody_else_waiting(server: Server) -> None:
    face = FACES["open inference"]
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(head(face, server, "content-length: 5000"))
        connection.sendall(b"{")
        unharmed(face, server)
