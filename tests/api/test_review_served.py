"""Reviews over HTTP: who may see what waits, who may say something of it, and what is none."""

from __future__ import annotations

from typing import Any

import pytest
from doors import Keyring
from faces import LOAN

from served import Server, wait_until_managed

ELSEWHERE = "d_00000000000000000000000000"


@pytest.fixture(autouse=True)
def managed(server: Server) -> None:
    wait_until_managed(server)


def decided(server: Server) -> str:
    return server.ask("POST", "/systems/loans/api/decisions", {"inputs": LOAN}).json["id"]


def test_two_people_review_and_contradict_each_other(server: Server, keyring: Keyring) -> None:
    id = decided(server)
    ada, bo = keyring("developer", "loans"), keyring("admin", "loans")
    assert server.ask("POST", "/api/review", {"id": id, "value": True}, key=ada).json["heard"] == "recorded"
    assert server.ask("POST", "/api/review", {"id": id, "value": True}, key=ada).json["heard"] == "known"
    assert server.ask("POST", "/api/review", {"id": id, "value": False}, key=bo).json["heard"] == "recorded"
    outcomes = server.ask("GET", f"/api/decisions/{id}").json["outcomes"]
    assert [one["source"].startswith("review: ") for one in outcomes] == [True, True]
    (queue,) = server.ask("GET", "/api/review", key=ada).json["queues"]
    assert queue["system"] == "loans"
    assert [one["id"] for one in queue["contradictions"]] == [id]
    assert sorted(queue["contradictions"][0]["said"].values()) == [False, True]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{}", 400),
        ({"id": "x", "value": True}, 404),
        ({"id": ELSEWHERE, "value": True}, 404),
        ({"id": "", "value": "perhaps"}, 400),
        ({"id": "", "value": {"deep": [1]}}, 400),
        ({"id": "", "value": None}, 400),
        ({"id": "", "value": True, "by": "ada"}, 400),
    ],
)
def test_what_is_no_review(server: Server, body: Any, status: int) -> None:
    if isinstance(body, dict) and not body["id"]:
        status = 400 if "by" in body else 422
        body = body | {"id": decided(server)}
    told = server.ask("POST", "/api/review", body)
    assert told.status == status, told.body
    assert told.json["error"]["message"]


def test_a_stranger_sees_and_says_nothing(server: Server, keyring: Keyring) -> None:
    id = decided(server)
    assert server.ask("GET", "/api/review", key=keyring("admin", "fruit")).json["queues"][0]["system"] == "fruit"
    assert server.ask("POST", "/api/review", {"id": id, "value": True}, key=keyring("admin", "fruit")).status == 404
    assert server.ask("POST", "/api/review", {"id": id, "value": True}, key=keyring("viewer", "loans")).status == 403
    assert server.ask("GET", "/api/review", key=keyring("caller", "loans")).status == 403
    for most in ("0", "101", "x", "-1"):
        assert server.ask("GET", f"/api/review?most={most}").status == 400
