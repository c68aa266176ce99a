"""Systems, decisions, outcomes and keys, looked up and changed by people who may, and by people who may not."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from faces import LOAN

from kring.access.sessions import Sessions
from kring.api.protocols import routes_of
from kring.errors import Unauthenticated
from kring.host.random import SystemRandom
from served import Reply, Server, wait_until_managed

PUBLIC = {
    *("/livez", "/readyz", "/ping", "/health", "/version", "/vertex/health"),
    *("/v2", "/v2/", "/v2/health/live", "/v2/health/ready"),
}
ELSEWHERE = "d_00000000000000000000000000"


@pytest.fixture(autouse=True)
def managed(server: Server) -> None:
    wait_until_managed(server)


def key_for(server: Server, role: str, *systems: str, **more: Any) -> str:
    told = server.ask("POST", "/api/keys", {"label": f"{role} of {systems}", "role": role, "systems": systems, **more})
    assert told.status == 201, told.body
    return told.json["secret"]


def decided(server: Server, **changes: Any) -> str:
    told = server.ask("POST", "/systems/loans/api/decisions", {"inputs": LOAN | changes})
    assert told.status == 200, told.body
    return told.json["id"]


def error(told: Reply) -> tuple[int, str]:
    return told.status, told.json["error"]["code"]


def test_a_decision_is_looked_up_with_what_it_rests_on(server: Server):
    id = decided(server, amount=77.25)
    told = server.ask("GET", f"/api/decisions/{id}").json
    assert (told["id"], told["system"], told["inputs"]["amount"], told["outcome"]) == (id, "loans", 77.25, None)
    assert told["inputs"]["asked_at"].endswith("Z")
    lineage = server.ask("GET", f"/api/decisions/{id}/trace").json
    kinds = [node["kind"] for node in lineage["nodes"]]
    assert kinds == ["decision", "version", "verdict", "evidence", "run", "snapshot", "contract", "source"]
    assert all(node["owner"] for node in lineage["nodes"])
    newest = server.ask("GET", "/api/systems/loans/decisions?most=5").json["decisions"]
    assert len(newest) <= 5
    assert newest[0]["at"] >= newest[-1]["at"]
    why = server.ask("GET", f"/api/decisions/{id}/explanation").json
    assert sum(one["effect"] for one in why["contributions"]) == pytest.approx(why["value"] - why["base"], abs=1e-6)


def test_the_last_word_on_an_outcome_counts_and_all_are_kept(server: Server):
    id = decided(server)
    path = f"/api/decisions/{id}/outcome"
    assert [server.ask("POST", path, {"value": value}).json["heard"] for value in (True, False, False)] == [
        "recorded",
        "corrected",
        "known",
    ]
    told = server.ask("GET", f"/api/decisions/{id}").json
    assert [one["value"] for one in told["outcomes"]] == [True, False]
    assert told["outcome"]["value"] is False
    many = {"outcomes": [{"id": id, "value": True}, {"id": ELSEWHERE, "value": True}, {"id": "x" * 500, "value": 1}]}
    heard = server.ask("POST", "/api/outcomes", many).json["outcomes"]
    assert [one["heard"] for one in heard] == ["corrected", "refused", "refused"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b"{}", 400),
        (b'{"value": true, "role": "admin"}', 400),
        (b'{"value": true, "at": 5}', 400),
        (b'{"value": true, "at": "yesterday"}', 400),
        (b'{"value": true, "at": "2026-01-01T00:00:00"}', 400),
        (b'{"value": true, "at": "9999-12-31T23:59:59-23:59"}', 422),
        (b'{"value": true, "at": "1970-01-01T00:00:00Z"}', 400),
        (b'{"value": true, "at": "2001-01-01T00:00:00Z"}', 422),
        (b'{"value": "perhaps"}', 422),
        (b'{"value": {"deep": [1]}}', 422),
        (b'{"value": NaN}', 400),
        (b"[" * 100_000, 400),
    ],
)
def test_outcomes_that_are_none(server: Server, body: bytes, status: int):
    id = decided(server)
    told = server.ask("POST", f"/api/decisions/{id}/outcome", body)
    assert told.status == status, told.body
    assert told.json["error"]["message"]
    assert server.ask("GET", f"/api/decisions/{id}").json["outcomes"] == []


@pytest.mark.parametrize(
    "id", ["x", ELSEWHERE, "d_" + "Z" * 26, "d_" + "7" * 26, "%00", "..%2f..", "d_%3Cscript%3E", "%C3%A9", "%FF"]
)
def test_a_decision_that_nobody_made(server: Server, id: str):
    for path in (f"/api/decisions/{id}", f"/api/decisions/{id}/trace", f"/api/decisions/{id}/explanation"):
        told = server.ask("GET", path)
        assert error(told) == (404, "not_found"), path


def test_what_belongs_to_another_system_is_not_there(server: Server):
    id = decided(server)
    stranger = key_for(server, "admin", "fruit")
    for path in (f"/api/decisions/{id}", f"/api/decisions/{id}/trace", "/api/systems/loans", "/api/systems/nobody"):
        told = server.ask("GET", path, key=stranger)
        assert error(told) == (404, "not_found"), path
    assert error(server.ask("POST", f"/api/decisions/{id}/outcome", {"value": True}, key=stranger))[0] == 404
    heard = server.ask("POST", "/api/outcomes", {"outcomes": [{"id": id, "value": True}]}, key=stranger).json
    assert heard["outcomes"][0]["heard"] == "refused"
    names = [one["name"] for one in server.ask("GET", "/api/systems", key=stranger).json["systems"]]
    assert names == ["fruit"]
    assert "loans" not in server.ask("GET", "/schema", key=stranger).body.decode()
    for headers in ({"x-kring-system": "loans"}, {"x-kring-system": "nobody"}):
        assert error(server.ask("GET", "/api/systems", key=stranger, headers=headers)) == (404, "not_found")


def test_roles_hold_on_this_side_too(server: Server):
    id = decided(server)
    caller, viewer = key_for(server, "caller", "loans"), key_for(server, "viewer", "loans")
    assert server.ask("POST", f"/api/decisions/{id}/outcome", {"value": True}, key=caller).status == 200
    assert error(server.ask("GET", f"/api/decisions/{id}", key=caller)) == (403, "forbidden")
    assert error(server.ask("GET", "/api/systems", key=caller)) == (403, "forbidden")
    assert server.ask("GET", f"/api/decisions/{id}", key=viewer).status == 200
    assert error(server.ask("POST", f"/api/decisions/{id}/outcome", {"value": True}, key=viewer)) == (403, "forbidden")
    assert error(server.ask("GET", f"/api/decisions/{id}/explanation", key=viewer)) == (403, "forbidden")
    assert error(server.ask("GET", "/api/keys", key=viewer)) == (403, "forbidden")
    assert error(
        server.ask("POST", "/api/keys", {"label": "x", "role": "viewer", "systems": ["loans"]}, key=viewer)
    ) == (
        403,
        "forbidden",
    )


def test_nobody_makes_a_wider_key(server: Server):
    narrow = key_for(server, "admin", "loans", days=1)
    for asked, status in (
        ({"systems": ["fruit"]}, 404),
        ({"systems": ["loans", "fruit"]}, 404),
        ({"systems": ["loans"]}, 403),
        ({"systems": ["loans"], "days": 30}, 403),
        ({"systems": []}, 400),
        ({"systems": ["loans"], "role": "king"}, 400),
        ({"systems": ["loans"], "env": "dev"}, 400),
        ({"systems": ["loans"], "digest": "0" * 64}, 400),
        ({"systems": ["loans"], "owner": "me"}, 400),
        ({"systems": ["loans"], "days": -1}, 400),
        ({"systems": ["loans"], "days": 10**9}, 400),
        ({"systems": ["loans", "loans"], "days": 1}, 400),
    ):
        told = server.ask("POST", "/api/keys", {"label": "x", "role": "viewer"} | asked, key=narrow)
        assert told.status == status, (asked, told.body)
    assert key_for(server, "viewer", "loans", days=1)


def test_a_key_is_shown_once_and_dead_within_a_second(server: Server):
    secret = key_for(server, "viewer", "loans")
    listed = server.ask("GET", "/api/keys")
    assert secret not in listed.body.decode()
    assert "digest" not in listed.json["keys"][0]
    id = secret.split("_")[2]
    session = (
        server.ask(
            "POST", "/sign-in", f"key={secret}".encode(), headers={"content-type": "application/x-www-form-urlencoded"}
        )
        .headers["set-cookie"]
        .partition(";")[0]
    )
    assert server.ask("GET", "/", key="", headers={"cookie": session}).status == 200
    wait_for(lambda: server.ask("GET", "/metrics", key=secret).status == 200)
    assert server.ask("DELETE", f"/api/keys/{id}").json["revoked"] > 0
    assert server.ask("GET", "/api/systems", key=secret).status == 401
    assert server.ask("GET", "/", key="", headers={"cookie": session}).status == 401
    wait_for(lambda: server.ask("GET", "/metrics", key=secret).status == 401)
    assert error(server.ask("DELETE", "/api/keys/aaaaaaaaaaaaaaaa")) == (404, "not_found")


def wait_for(true, seconds: float = 10.0) -> None:
    """The bound of a second is measured elsewhere; here it is only told from never."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_every_route_asks_who_comes(server: Server):
    described = server.ask("GET", "/schema").json
    asked = 0
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            if operation.get("security") == []:
                assert path in PUBLIC, path
                continue
            told = server.ask(method.upper(), path.replace("{", "").replace("}", ""), key="")
            assert told.status == 401, (method, path, told.body)
            asked += 1
    assert asked > 40
    for page in ("/", "/systems/loans", "/decisions/x", "/schema/docs"):
        assert server.ask("GET", page, key="").status == 401


def test_unknown_paths_and_methods(server: Server):
    for method in ("PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"):
        told = server.ask(method, "/api/decisions")
        assert told.status == 405, method
        assert told.headers["allow"] == "POST"
    for path in ("/nothing", "/api", "/api/systems/loans/../../x", "/%2e%2e/%2e%2e/etc/passwd", "/%3Cscript%3E"):
        told = server.ask("GET", path)
        assert (told.status, told.media) == (404, "application/json"), path
        assert b"script" not in told.body
    assert server.ask("GET", "/api/systems/loans/decisions?most=0").status == 400
    assert server.ask("GET", "/api/systems/loans/decisions?most=" + "9" * 5000).status == 400


def test_a_session_is_only_what_we_signed():
    sessions, others = Sessions(SystemRandom()), Sessions(SystemRandom())
    text = sessions.begin("abcdefgh234567ab", now=5_000_000)
    assert sessions.key_of(text, now=5_000_000) == "abcdefgh234567ab"
    head, end, seal = text.split(".")
    wrong = [
        "",
        "x",
        others.begin("abcdefgh234567ab", now=5_000_000),
        f"{head}.{end}f.{seal}",
        f"b{head[1:]}.{end}.{seal}",
    ]
    for each in [*wrong, text.upper(), text[:-1], text + "0", f"{head}.{end}.{'0' * 64}"]:
        with pytest.raises(Unauthenticated):
            sessions.key_of(each, now=5_000_000)
    with pytest.raises(Unauthenticated, match="ended"):
        sessions.key_of(text, now=10**15)


def test_the_description_is_a_valid_one(server: Server):
    import schemathesis

    description = server.ask("GET", "/schema").json
    schema = schemathesis.openapi.from_dict(description)
    schema.validate()
    row = description["components"]["schemas"]["loans.row"]
    assert row["properties"]["amount"]["minimum"] == 0
    assert set(row["required"]) == {"email", "region", "amount"}
    assert json.dumps(description).count('"operationId"') == len(list(schema.get_all_operations()))
    known = {route.path for route in routes_of(lambda: (True, {}), environ={})}
    assert known <= set(description["paths"])
