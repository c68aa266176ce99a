"""Who shows no key, or the key of another system, gets nothing at any door: a walk over every route that there is."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator

import pytest
from doors import METHODS, PUBLIC, Keyring, Wire, ways
from faces import LOAN

from kring.console.serve import managed
from served import Reply, Server, wait_until_managed

WAYS = ways()
OPEN = [way for way in WAYS if way.public]
SHUT = [way for way in WAYS if not way.public]
PATHS = sorted({way.path for way in WAYS})
NOBODY = "d_00000000000000000000000000"
PARTS = {"system": "loans", "model": "loans", "key": "loans"}


@pytest.fixture
def wire(server: Server) -> Iterator[Wire]:
    wait_until_managed(server)
    made = Wire(server)
    yield made
    made.close()


@pytest.fixture(scope="session")
def decision(server: Server) -> str:
    """One decision of loans."""
    return server.ask("POST", "/systems/loans/api/decisions", {"inputs": LOAN}).json["id"]


def methods_of(path: str) -> set[str]:
    return {way.method for way in WAYS if way.path == path}


def empty(told: Reply) -> bool:
    """Whether nothing was told but which methods a path knows."""
    return told.status == 204 and not told.body


def test_the_tables_hold_what_is_served(server: Server) -> None:
    wait_until_managed(server)
    described = server.ask("GET", "/schema").json["paths"]
    told = {(method.upper(), path) for path, methods in described.items() for method in methods}
    pages = {(one.method, one.path) for one in managed(()) if one.page}
    own = {one for one in told if not one[1].startswith("/systems/")}
    assert own - {(way.method, way.path) for way in WAYS} == set()
    assert {(way.method, way.path) for way in WAYS} - own <= pages


def test_the_list_of_what_is_public_is_short_and_whole() -> None:
    assert {(way.method, way.path) for way in OPEN} <= PUBLIC
    assert all(way.action in ("observe", "decide") for way in OPEN)


@pytest.mark.parametrize("prefix", ["", "/systems/loans"])
def test_without_a_key_no_route_answers(wire: Wire, decision: str, prefix: str) -> None:
    for way in SHUT:
        if prefix and not way.prefixed:
            continue
        path = prefix + way.at(id=decision, **PARTS)
        for body in (b"", json.dumps(way.body()).encode()):
            told = wire.ask(way.method, path, body)
            assert told.status == 401, (way.method, path, told.body)
            assert told.headers["www-authenticate"] == "Bearer"
            assert decision.encode() not in told.body.replace(path.encode(), b"")


def test_without_a_key_no_method_answers(wire: Wire, decision: str) -> None:
    for path in PATHS:
        way = next(way for way in WAYS if way.path == path)
        for method in METHODS:
            if method in methods_of(path):
                continue
            told = wire.ask(method, way.at(id=decision, **PARTS))
            assert told.status == 405 or empty(told), (method, path, told.status, told.body)


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer"},
        {"authorization": "Bearer "},
        {"authorization": "Basic YWRtaW46YWRtaW4="},
        {"authorization": "Digest username=admin"},
        {"x-api-key": ""},
        {"cookie": "kring_session=admin"},
        {"x-kring-system": "loans"},
        {"x-forwarded-for": "127.0.0.1"},
        {"x-forwarded-user": "admin"},
        {"x-kring-path-system": "loans"},
        {"x-original-url": "/livez"},
        {"x-http-method-override": "GET"},
    ],
    ids=str,
)
def test_what_is_no_key_opens_nothing(wire: Wire, headers: dict[str, str]) -> None:
    for way in SHUT:
        told = wire.ask(way.method, way.at(id=NOBODY, **PARTS), headers=headers)
        assert told.status == 401, (way.method, way.path, told.body)


def test_a_key_in_the_address_is_none(wire: Wire, server: Server) -> None:
    for name in ("key", "api_key", "access_token", "authorization"):
        for path in ("/api/systems", "/metrics", "/"):
            assert wire.ask("GET", f"{path}?{name}={server.key}").status == 401


def test_nobody_is_switched_to_another_protocol(server: Server) -> None:
    wait_until_managed(server)
    upgrades = (
        "websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
        "h2c",
        "TLS/1.0",
    )
    for way in WAYS:
        if way.method != "GET":
            continue
        path = way.at(id=NOBODY, **PARTS)
        for upgrade in upgrades if path in ("/", "/livez", "/metrics", "/api/systems") else upgrades[:1]:
            lines = (
                f"GET {path} HTTP/1.1",
                f"host: {server.address}",
                "connection: upgrade, close",
                f"upgrade: {upgrade}",
            )
            got = server.raw("\r\n".join([*lines, "", ""]).encode(), seconds=5)
            assert int(got.split(b" ", 2)[1]) in ((200,) if way.public else (401, 404)), (path, got[:200])


def test_a_key_of_another_system_opens_none_of_this_one(wire: Wire, decision: str, keyring: Keyring) -> None:
    headers = {"authorization": f"Bearer {keyring('admin', 'fruit')}"}
    asked = 0
    for way in SHUT:
        named = any(part in way.path for part in ("{system}", "{model}", "{id}", "{key}"))
        for prefix in [""] * named + ["/systems/loans"] * way.prefixed:
            body = b"" if way.body() is None else json.dumps(way.body()).encode()
            sent = headers | ({"content-type": "application/json"} if body else {})
            told = wire.ask(way.method, prefix + way.at(id=decision, **PARTS), body, headers=sent)
            allowed = (404,) if body or (way.method == "GET" and named) else (400, 403, 404)
            assert told.status in allowed, (way.method, prefix, way.path, told.status, told.body)
            assert b"Lend to those" not in told.body
            asked += 1
    assert asked > len(SHUT)


@pytest.mark.parametrize("role", ["admin", "auditor", "developer", "viewer"])
def test_lists_hold_nothing_of_other_systems(wire: Wire, decision: str, keyring: Keyring, role: str) -> None:
    headers = {"authorization": f"Bearer {keyring(role, 'fruit')}"}
    for way in SHUT:
        if way.method != "GET" or "{" in way.path:
            continue
        told = wire.ask("GET", way.path, headers=headers)
        assert told.status in (200, 403), (way.path, told.body)
        for word in (b"loans", b"parcels", b"handbook", b"Lend to those", decision.encode()):
            assert word not in told.body, (way.path, word)


def anonymous(told: Reply, id: str) -> tuple[int, bytes]:
    return told.status, told.body.replace(id.encode(), b"ID")


def test_an_id_of_another_system_is_an_id_of_nothing(
    wire: Wire, server: Server, decision: str, keyring: Keyring
) -> None:
    """In the same words, so that nobody learns which ids there are."""
    headers = {"authorization": f"Bearer {keyring('admin', 'fruit')}", "content-type": "application/json"}
    key = keyring("viewer", "loans").split("_")[2]
    version = server.ask("GET", "/api/systems/loans").json["live"]
    version = version if isinstance(version, str) else version["id"]
    pairs = {"{id}": (decision, NOBODY)} | {part: ("loans", "boats") for part in ("{system}", "{model}", "{key}")}
    asked = 0
    for way in SHUT:
        for part, values in pairs.items():
            if part not in way.path:
                continue
            said = []
            for value in (key, "a" * 16) if way.path == "/api/keys/{id}" else values:
                body = b"" if way.body() is None else json.dumps(way.body()).encode()
                path = way.at(**PARTS | {part[1:-1]: value, "version": version})
                said.append(anonymous(wire.ask(way.method, path, body, headers=headers), value))
            assert said[0] == said[1], (way.method, way.path)
            assert said[0][0] == 404, (way.method, way.path, said[0])
            asked += 1
    assert asked > 20


@pytest.mark.parametrize("headers", [{"host": "evil.example"}, {"origin": "https://evil.example"}, {"origin": "null"}])
def test_borrowed_browsers_are_refused_everywhere(wire: Wire, server: Server, headers: dict[str, str]) -> None:
    for way in WAYS:
        for method in {way.method, "OPTIONS"}:
            told = wire.ask(method, way.at(id=NOBODY, **PARTS), headers=headers | server.bearer)
            assert told.status == 403, (method, way.path, told.body)
            assert not [name for name in told.headers if name.startswith("access-control")]


def test_a_path_that_nobody_knows_is_not_said_again(wire: Wire) -> None:
    for path in ("/%3Cscript%3Ealert(1)%3C/script%3E", "/nothing?x=%3Cscript%3E", "/systems/loans/%3Cscript%3E"):
        told = wire.ask("GET", path, headers={"accept": "text/html"})
        assert (told.status, told.media) == (404, "application/json")
        assert b"script" not in told.body
        assert told.headers["x-content-type-options"] == "nosniff"


def test_every_answer_is_taken_for_what_it_says(wire: Wire, server: Server) -> None:
    for way in WAYS:
        told = wire.ask(way.method, way.at(id=NOBODY, **PARTS), headers=server.bearer)
        assert told.status < 500 or way.path == "/readyz", (way.method, way.path, told.body)
        assert told.headers["x-content-type-options"] == "nosniff", way.path


def test_strangers_can_not_tie_up_a_connection_with_a_method(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        connection.request("CONNECT", "evil.example:80")
        assert connection.getresponse().status in (400, 403, 404, 405)
    finally:
        connection.close()
