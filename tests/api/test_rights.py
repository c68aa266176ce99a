"""Every role with every action in every system, asked over HTTP; and what nobody gets by asking for more."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import product
from typing import Any, Final, get_args

import msgspec
import pytest
from doors import Keyring, Way, ways
from faces import FACES, LOAN

from kring.access.roles import MAY
from kring.flow import history
from kring.flow.keys import list_keys
from kring.flow.operating.operator import operating
from kring.flow.project import open_project
from kring.record.access import Action, Role
from kring.record.alarm import Breach
from kring.record.operator import Watched
from served import Reply, Server

ROLES: Final = get_args(Role)
ACTIONS: Final = get_args(Action)
NOT_YET: Final = {"approve", "audit"}
"""Actions of the command line alone: no route does them."""

FORM: Final = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def decision(server: Server, keyring: Keyring) -> str:
    return server.ask("POST", "/systems/loans/api/decisions", {"inputs": LOAN}).json["id"]


@pytest.fixture(scope="module")
def alarm(server: Server, keyring: Keyring) -> str:
    """One that rings in loans."""
    folder = next(folder for folder in server.folders if folder.name == "loans")
    found = Breach(metric="rights", value=None, low=None, high=None, allowed="", rows=0, since=1, what="it rings")
    with operating(open_project(folder), holder="test") as operator:
        operator.step([Watched(start=1, end=2, breaches=(found,), looked=())])
        return next(one.id for one in operator.state.alarms if one.metric == "rights")


SAMPLES: Final[dict[str, tuple[str, str, Any]]] = {
    "decide": ("POST", "/systems/loans/api/decisions", {"inputs": LOAN}),
    "outcome": ("POST", "/api/decisions/{id}/outcome", {"value": True}),
    "observe": ("GET", "/api/systems/loans", None),
    "explain": ("GET", "/api/decisions/{id}/explanation", None),
    "flag": ("POST", "/ofrep/v1/evaluate/flags/loans", {"context": {"targetingKey": "ada"}}),
    "manage": ("GET", "/systems/loans/api/keys", None),
    "release": ("POST", "/api/alarms/{alarm}/acknowledge", {}),
}


def test_every_action_that_a_route_does_has_a_sample() -> None:
    assert {way.action for way in ways()} == set(SAMPLES) == set(ACTIONS) - NOT_YET


@pytest.mark.parametrize(("role", "action"), list(product(ROLES, sorted(SAMPLES))))
def test_role_by_action_by_system(
    server: Server, keyring: Keyring, decision: str, alarm: str, *, role: Role, action: Action
) -> None:
    method, path, body = SAMPLES[action]
    for system in ("loans", "fruit"):
        told = server.ask(method, path.format(id=decision, alarm=alarm), body, key=keyring(role, system))
        unseen = 404 if action == "flag" else 403  # to who may not ask for flags there are none
        expected = 404 if system == "fruit" else 200 if action in MAY[role] else unseen
        assert told.status == expected, (role, action, system, told.body)


def changing() -> list[Way]:
    """Everything that leaves something behind; to ask for flags does not."""
    return [way for way in ways() if way.method != "GET" and not way.public and way.action != "flag"]


@pytest.mark.parametrize("role", ["viewer", "auditor", "approver", "releaser"])
def test_who_only_looks_changes_nothing(
    server: Server, keyring: Keyring, decision: str, alarm: str, *, role: Role
) -> None:
    id = keyring("caller", "loans").split("_")[2]
    before = server.ask("GET", f"/api/decisions/{decision}").json["outcomes"]
    for way in changing():
        if way.action in MAY[role]:
            continue
        named = id if "keys" in way.path else alarm if "alarms" in way.path else decision
        parts = {"model": "loans", "key": "loans", "id": named}
        path = way.at(**parts)
        said = {"id": decision, "value": True}
        own = {"/api/outcomes": {"outcomes": [said]}, "/api/review": said}
        body = own.get(way.path, way.body())
        path = f"/systems/loans{path}" if way.prefixed else path
        told = server.ask(way.method, path, body, key=keyring(role, "loans"))
        allowed = (403,) if body or way.method == "DELETE" else (400, 403)
        assert told.status in allowed, (way.method, way.path, told.status, told.body)
    assert server.ask("GET", f"/api/decisions/{decision}").json["outcomes"] == before
    assert server.ask("POST", "/api/decisions", {"inputs": LOAN}, key=keyring("caller", "loans")).status == 200


@pytest.mark.parametrize("role", ["developer", "caller", "viewer"])
def test_who_builds_or_asks_deletes_nothing(server: Server, keyring: Keyring, decision: str, role: Role) -> None:
    victim = keyring("viewer", "loans").split("_")[2]
    assert server.ask("DELETE", f"/api/keys/{victim}", key=keyring(role, "loans")).status == 403
    live = server.ask("GET", "/api/systems/loans").json["live"]
    version = live if isinstance(live, str) else live["id"]
    for path in (
        f"/api/decisions/{decision}",
        "/api/systems/loans",
        f"/api/systems/loans/versions/{version}",
        "/api/systems/loans/versions",
        f"/v2/models/loans/versions/{version}",
    ):
        assert server.ask("DELETE", path, key=keyring(role, "loans")).status in (404, 405), path
    assert server.ask("GET", f"/api/decisions/{decision}").status == 200
    assert server.ask("GET", "/api/systems/loans", key=keyring("viewer", "loans")).status == 200


@pytest.mark.parametrize(("maker", "role"), list(product(ROLES, ROLES)))
def test_only_who_manages_makes_keys_and_only_here(server: Server, keyring: Keyring, maker: Role, role: Role) -> None:
    if maker == "admin":
        asked = {"label": "x", "role": role, "systems": ["loans", "fruit"]}
        assert server.ask("POST", "/api/keys", asked, key=keyring("admin", "loans")).status == 404
        return
    asked = {"label": "x", "role": role, "systems": ["loans"]}
    assert server.ask("POST", "/api/keys", asked, key=keyring(maker, "loans")).status == 403


WIDER: Final = {
    "role": "admin",
    "roles": {"fruit": ["admin"]},
    "owner": "me",
    "system": "fruit",
    "stage": "live",
    "arm": "canary",
    "version": "v_00000000000000000000000000",
    "sha256": "0" * 64,
    "id": "d_00000000000000000000000000",
    "principal": "admin",
    "__class__": "x",
    "__proto__": {"role": "admin"},
}


@pytest.mark.parametrize("name", WIDER)
def test_what_a_body_adds_is_refused_or_passed_over(server: Server, keyring: Keyring, decision: str, name: str) -> None:
    more = {name: WIDER[name]}
    key = {"label": "x", "systems": ["loans"], "role": "viewer", "days": 1}
    if name not in key:
        assert server.ask("POST", "/api/keys", key | more).status == 400
    assert server.ask("POST", "/systems/loans/api/decisions", {"inputs": LOAN} | more).status == 400
    assert server.ask("POST", "/systems/loans/api/decisions", {"inputs": LOAN | more}).status == 400
    assert server.ask("POST", f"/api/decisions/{decision}/outcome", {"value": True} | more).status == 400
    for face in FACES.values():
        told = server.ask("POST", face.at(), face.good | more, key=keyring("caller", "loans"))
        assert told.status in (200, 400, 422), (face.path, told.body)
        if told.status == 200:
            assert told.body.count(b"v_0000") == 0
    newest = server.ask("GET", "/api/systems/loans/decisions?most=1").json["decisions"][0]
    assert (newest["arm"], newest["version"] != WIDER["version"]) == ("live", True)
    assert server.ask("GET", "/api/systems/fruit", key=keyring("caller", "loans")).status == 404


@pytest.mark.parametrize("name", FACES)
def test_a_system_is_named_once(server: Server, name: str) -> None:
    """Header, path and body of one request mean one system."""
    face = FACES[name]
    told = server.ask("POST", face.at(), face.good, headers={"x-kring-system": "fruit"})
    assert (told.status, "two systems" in face.said(told)) == (400, True), told.body
    assert server.ask("POST", face.at(), face.good, headers={"x-kring-system": "loans"}).status == 200
    inside = face.at() if face.at().startswith("/systems/") else f"/systems/fruit{face.at()}"
    assert server.ask("POST", f"/systems/fruit{inside}", face.good).status in (400, 404)


@pytest.mark.parametrize(
    ("path", "header", "status"),
    [
        ("/systems/loans/api/systems", "fruit", 400),
        ("/api/systems/loans", "fruit", 400),
        ("/systems/fruit/api/systems/loans", "", 400),
        ("/systems/fruit/api/systems/loans/decisions", "", 400),
        ("/systems/loans", "fruit", 400),
        ("/systems/fruit/systems/loans", "", 404),
        ("/api/systems", "boats", 404),
        ("/systems/boats/metrics", "", 404),
        ("/systems/%2e%2e/api/systems", "", 404),
        ("/systems/loans%00/api/systems", "", 404),
    ],
)
def test_the_management_side_is_as_strict(server: Server, path: str, header: str, status: int) -> None:
    told = server.ask("GET", path, headers={"x-kring-system": header, "accept": "application/json"} if header else {})
    assert told.status == status, told.body


def test_a_decision_is_looked_for_in_the_system_that_was_chosen(server: Server, decision: str) -> None:
    body = {"label": "x", "role": "viewer", "systems": ["loans"]}
    assert server.ask("POST", "/systems/fruit/api/keys", body).status == 400
    assert server.ask("GET", f"/systems/fruit/api/decisions/{decision}").status == 404
    assert server.ask("POST", f"/systems/fruit/api/decisions/{decision}/outcome", {"value": True}).status == 404
    heard = server.ask("POST", "/systems/fruit/api/outcomes", {"outcomes": [{"id": decision, "value": True}]}).json
    assert heard["outcomes"][0]["heard"] == "refused"


def twice(server: Server, name: str, *values: str) -> int:
    """The status of a request that has a header several times."""
    lines = [f"{name}: {value}" for value in values]
    head = ("POST /systems/loans/api/decisions HTTP/1.1", f"authorization: Bearer {server.key}", "connection: close")
    host = [] if name == "host" else [f"host: {server.address}"]
    raw = "\r\n".join([*head, *host, *lines, "content-length: 2", "", "{}"]).encode("latin-1")
    return int(server.raw(raw).split(b" ", 2)[1])


def test_a_header_that_decides_comes_once_and_can_be_read(server: Server) -> None:
    assert twice(server, "x-kring-system", "loans", "fruit") == 400
    assert twice(server, "x-kring-system", "loans", "loans") == 400
    assert twice(server, "host", server.address, "evil.example") == 400
    assert twice(server, "origin", server.url, "https://evil.example") == 400
    assert twice(server, "idempotency-key", "a", "b") == 400
    for name in ("x-kring-system", "idempotency-key", "origin", "host"):
        assert twice(server, name, "\xe9") == 400, name
    told = server.ask("GET", "/api/systems", headers={"x-kring-system": "loa\xe9ns"})
    assert (told.status, told.json["error"]["key"]) == (400, "x-kring-system")


def until(what: Callable[[], Reply], status: int, *, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while what().status != status:
        assert time.monotonic() < end, what()
        time.sleep(0.05)


def test_a_changed_role_counts_for_keys_and_sessions_that_are_open(server: Server, keyring: Keyring) -> None:
    """The last word on a key is the one on the ledger."""
    made = server.ask("POST", "/api/keys", {"label": "she", "role": "developer", "systems": ["loans"]}).json
    id, secret = made["key"]["id"], made["secret"]
    signed = server.ask("POST", "/sign-in", f"key={secret}".encode(), key="", headers=FORM)
    session = {"cookie": signed.headers["set-cookie"].partition(";")[0]}

    def look() -> Reply:
        return server.ask("GET", "/systems/loans", key="", headers=session)

    def decide() -> Reply:
        return server.ask("POST", "/api/decisions", {"inputs": LOAN}, key=secret)

    until(decide, 200)
    assert look().status == 200
    project = open_project(next(one for one in server.folders if one.name == "loans"))
    key = next(one for one in list_keys([project]) if one.id == id)
    for role, may_look, may_decide in (("caller", 403, 200), ("viewer", 200, 403)):
        key = msgspec.structs.replace(key, role=role)
        with project.ledger() as ledger:
            ledger.append([history.entry(key, id=id, actor="test", at=project.clock.now())])
        until(look, may_look)
        until(decide, may_decide)
    assert server.ask("DELETE", f"/api/keys/{id}").status == 200
    assert look().status == 401
    until(decide, 401)


def test_every_protocol_refuses_who_may_only_look_in_its_own_words(server: Server, keyring: Keyring) -> None:
    for face in FACES.values():
        told = server.ask("POST", face.at(), face.good, key=keyring("viewer", "loans"))
        assert (told.status, "may not decide" in face.said(told)) == (403, True), face.path
