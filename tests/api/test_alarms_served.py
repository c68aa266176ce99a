"""Alarms over HTTP: looked up, seen, silenced and ended by who may; and the gate's word for whoever moves traffic."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from doors import Keyring
from faces import LOAN

from kring.errors import Conflict
from kring.flow.operating.operator import operating
from kring.flow.project import open_project
from kring.record.alarm import AlarmKind, Breach
from kring.record.operator import AlarmHandled, Watched
from served import Reply, Server, wait_until_managed

HOUR = 3_600_000_000
HTML = {"accept": "text/html"}
EVIL = "<script>alert(1)</script>"


@pytest.fixture(autouse=True)
def managed(server: Server) -> None:
    wait_until_managed(server)


def loans(server: Server) -> Path:
    return next(folder for folder in server.folders if folder.name == "loans")


def step(server: Server, *events: Any) -> None:
    """As the operator does, on the ledger of the served system."""
    for last in (False, False, True):
        try:
            with operating(open_project(loans(server)), holder="test") as operator:
                operator.step(events)
                return
        except Conflict:
            if last:
                raise


def ring(server: Server, *features: str, kind: AlarmKind = "drift", **more: Any) -> list[dict[str, Any]]:
    """Alarms of these features, found just now."""
    now = open_project(loans(server)).clock.now()
    found = tuple(
        Breach(
            kind=kind, metric="share", feature=name, value=0.2, low=0.1, high=0.3, allowed="share <= 0.02", rows=500,
            since=now - HOUR, what=f"{name} moved", **more,
        )
        for name in features
    )  # fmt: skip
    step(server, Watched(start=now - HOUR, end=now, breaches=found, looked=tuple(one.key for one in found)))
    listed = server.ask("GET", "/systems/loans/api/alarms").json["alarms"]
    return [one for one in listed if one["feature"] in features and one["kind"] == kind]


def end(server: Server, *found: dict[str, Any]) -> None:
    step(server, *(AlarmHandled(alarm=one["id"], how="resolve", actor="test", reason="done") for one in found))


def error(told: Reply) -> tuple[int, str]:
    return told.status, told.json["error"]["code"]


def test_an_alarm_is_seen_silenced_and_ended(server: Server, keyring: Keyring) -> None:
    (one,) = ring(server, "age")
    assert (one["state"], one["tier"], one["since"][-1]) == ("open", "ticket", "Z")
    assert {fact["label"] for fact in one["facts"]} >= {"since", "sure", "effect", "owner", "do"}
    path, key = f"/api/alarms/{one['id']}", keyring("releaser", "loans")
    seen = server.ask("POST", f"{path}/acknowledge", {"reason": "on it"}, key=key)
    assert [(a["state"], a["action"]) for a in seen.json["alarms"]] == [("acknowledged", "on it")]
    assert seen.json["alarms"][0]["by"]
    silent = server.ask("POST", f"{path}/silence", {"for": "2h"}, key=key).json["alarms"][0]
    assert (silent["state"], bool(silent["until"])) == ("silenced", True)
    over = server.ask("POST", f"{path}/resolve", {"reason": "mended"}, key=key).json["alarms"][0]
    assert (over["state"], bool(over["ended"])) == ("resolved", True)
    assert error(server.ask("POST", f"{path}/acknowledge", {}, key=key)) == (422, "refused")
    assert one["id"] not in {a["id"] for a in server.ask("GET", "/api/alarms").json["alarms"]}
    assert one["id"] in {a["id"] for a in server.ask("GET", "/api/alarms?all=1").json["alarms"]}
    assert server.ask("GET", path).json["alarms"][0]["action"] == "mended"


def test_a_group_is_handled_at_once(server: Server) -> None:
    found = ring(server, "g1", "g2", "g3")
    (group,) = {one["group"] for one in found}
    told = server.ask("POST", f"/api/alarms/{group}/acknowledge", {}).json["alarms"]
    assert {one["id"] for one in told} == {one["id"] for one in found}
    end(server, *found)


def test_who_only_looks_handles_nothing_and_strangers_see_nothing(server: Server, keyring: Keyring) -> None:
    (one,) = ring(server, "amount")
    path = f"/api/alarms/{one['id']}"
    for role in ("viewer", "auditor", "developer", "approver"):
        assert server.ask("GET", path, key=keyring(role, "loans")).status == 200  # type: ignore[arg-type]
        for what, body in (("acknowledge", {}), ("silence", {"for": "1h"}), ("resolve", {"reason": "x"})):
            told = server.ask("POST", f"{path}/{what}", body, key=keyring(role, "loans"))  # type: ignore[arg-type]
            assert error(told) == (403, "forbidden")
    stranger = keyring("admin", "fruit")
    assert error(server.ask("GET", path, key=stranger)) == (404, "not_found")
    assert error(server.ask("POST", f"{path}/resolve", {"reason": "x"}, key=stranger)) == (404, "not_found")
    assert server.ask("GET", "/api/alarms", key=stranger).json["alarms"] == []
    assert server.ask("GET", path).json["alarms"][0]["state"] == "open"
    end(server, one)


@pytest.mark.parametrize(
    ("what", "body", "status"),
    [
        ("acknowledge", b"", 400),
        ("acknowledge", b"[]", 400),
        ("acknowledge", b'{"reason": 5}', 400),
        ("acknowledge", b'{"reason": "x", "by": "root"}', 400),
        ("acknowledge", b'{"reason": "\\u001b[2J"}', 400),
        ("silence", b"{}", 400),
        ("silence", b'{"for": ""}', 400),
        ("silence", b'{"for": "0s"}', 400),
        ("silence", b'{"for": "-2h"}', 400),
        ("silence", b'{"for": "91d"}', 400),
        ("silence", b'{"for": "99999999999999999999d"}', 400),
        ("silence", b'{"for": 2}', 400),
        ("resolve", b"{}", 400),
        ("resolve", b'{"reason": "  "}', 400),
        ("resolve", b"[" * 100_000, 400),
        ("delete", b"{}", 404),
    ],
)
def test_what_can_not_be_done_to_an_alarm(server: Server, what: str, body: bytes, status: int) -> None:
    (one,) = ring(server, "region")
    told = server.ask("POST", f"/api/alarms/{one['id']}/{what}", body)
    assert told.status == status, told.body
    assert server.ask("GET", f"/api/alarms/{one['id']}").json["alarms"][0]["state"] == "open"
    end(server, one)


@pytest.mark.parametrize("id", ["x", "a_" + "0" * 26, "%00", "..%2f..", "%3Cscript%3E", "a" * 5000, "g_1"])
def test_an_alarm_that_never_rang(server: Server, id: str) -> None:
    assert error(server.ask("GET", f"/api/alarms/{id}")) == (404, "not_found")
    assert error(server.ask("POST", f"/api/alarms/{id}/acknowledge", {})) == (404, "not_found")


@pytest.mark.parametrize("text", ["maybe", "2", "yes;drop"])
def test_all_is_yes_or_no(server: Server, text: str) -> None:
    assert error(server.ask("GET", f"/api/alarms?all={text}"))[0] == 400


def test_the_page_of_the_system_shows_what_rings_and_runs_none_of_it(server: Server) -> None:
    (one,) = ring(server, EVIL)
    page = server.ask("GET", "/systems/loans", headers=HTML).body.decode()
    twin = server.ask("GET", "/systems/loans.json").json["alarms"]
    assert one["id"] in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; moved" in page
    assert EVIL not in page
    assert one["id"] in {alarm["id"] for alarm in twin}
    assert server.ask("GET", "/api/systems").json["systems"][0]["alarms"] >= 0
    end(server, one)


def verdict(server: Server, query: str = "") -> dict[str, Any]:
    told = server.ask("GET", f"/api/gates/loans/verdict{query}")
    assert told.status == 200, told.body
    return told.json["data"]


def quiet(server: Server) -> None:
    """Whatever other tests have let ring is over."""
    while open_ := server.ask("GET", "/systems/loans/api/alarms").json["alarms"]:
        end(server, *open_)


def test_without_enough_decisions_a_version_is_to_be_looked_at(server: Server) -> None:
    quiet(server)
    time.sleep(1.1)  # what others asked of this server is older than the window
    found = verdict(server, "?window=1s")
    assert (found["verdict"], found["ok"]) == ("investigate", False)
    assert any("are needed" in why for why in found["reasons"])
    assert set(found) == {"verdict", "ok", "samples", "reasons", "version"}


def test_a_version_that_nobody_knows_never_passes(server: Server) -> None:
    for version in ("v_00000000000000000000000000", "x", "%00", "..%2f.."):
        found = verdict(server, f"?version={version}")
        assert (found["verdict"], found["ok"], found["samples"]) == ("investigate", False, 0)


def test_a_good_version_passes_and_a_paging_alarm_fails_it(server: Server) -> None:
    quiet(server)
    for _ in range(2):
        told = server.ask("POST", "/systems/loans/api/decisions", {"inputs": [LOAN] * 100})
        assert told.status == 200, told.body
    good = verdict(server, "?window=1h")
    live = server.ask("GET", "/api/systems/loans").json["live"]
    assert good["version"] == live
    assert good["samples"] >= 200
    assert (good["verdict"], good["ok"], good["reasons"]) == ("pass", True, [])
    (drift,) = ring(server, "age")
    assert verdict(server, "?window=1h")["verdict"] == "investigate"
    (bad,) = ring(server, "", kind="quality")
    failed = verdict(server, f"?window=1h&version={live}")
    assert (failed["verdict"], failed["ok"]) == ("fail", False)
    assert any(bad["id"] in why for why in failed["reasons"])
    server.ask("POST", f"/api/alarms/{bad['id']}/acknowledge", {})
    assert verdict(server, "?window=1h")["verdict"] == "fail", "that somebody knows does not make it good"
    end(server, drift, bad)
    assert verdict(server, "?window=1h")["verdict"] == "pass"


@pytest.mark.parametrize("window", ["0s", "x", "-1h", "91d", "1e9d", "%00"])
def test_a_window_that_is_none(server: Server, window: str) -> None:
    assert server.ask("GET", f"/api/gates/loans/verdict?window={window}").status == 400


def test_no_gate_of_a_system_that_is_not_there(server: Server, keyring: Keyring) -> None:
    assert error(server.ask("GET", "/api/gates/nobody/verdict"))[0] == 404
    assert error(server.ask("GET", "/api/gates/loans/verdict", key=keyring("viewer", "fruit")))[0] == 404
    assert server.ask("GET", "/api/gates/loans/verdict", key="").status == 401
