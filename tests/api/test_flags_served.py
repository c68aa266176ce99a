"""Declared flags on a server with two workers: the official provider, the kill switch without a ledger, a trial."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from official import flag_client
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason
from test_ofrep import SHARED, validator

from flagged import write_flagged
from served import Server, serving, wait_until_managed
from systems import kring

ALL = "/ofrep/v1/evaluate/flags"
PRO = {"targetingKey": "ada", "plan": "pro", "age": 30}


@pytest.fixture(scope="module")
def flagged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = write_flagged(tmp_path_factory.mktemp("flagged") / "loans")
    told = kring("go", folder)
    assert told.code == 0, told.err
    with serving([folder], workers=2) as server:
        wait_until_managed(server)
        yield server
        assert "Traceback" not in server.log.read_text()


@pytest.fixture
def client(flagged: Server) -> Iterator[Any]:
    with flag_client(flagged) as made:
        yield made


@pytest.fixture(autouse=True)
def as_it_was(flagged: Server) -> Iterator[None]:
    yield
    for name in ("greeting", "limit"):
        kring("flag", "on", name, flagged.folders[0])


def test_the_official_provider_reads_values_of_every_type(client: Any) -> None:
    pro = EvaluationContext(targeting_key="ada", attributes={"plan": "pro", "age": 30})
    warm = client.get_string_details("greeting", "none", pro)
    assert (warm.value, warm.variant, warm.reason) == ("Good to see you", "warm", Reason.TARGETING_MATCH)
    young = EvaluationContext(targeting_key="ada", attributes={"plan": "pro", "age": "thirty"})
    assert client.get_string_details("greeting", "none", young).value == "Hello"
    limit = client.get_float_details("limit", 0.0, pro)
    assert (limit.value, limit.reason) == (0.4, Reason.STATIC)
    several = [EvaluationContext(targeting_key=f"u{number}") for number in range(60)]
    chosen = [client.get_boolean_details("gradual", False, one) for one in several]
    assert {one.value for one in chosen} == {True, False}
    assert {one.reason for one in chosen if one.value} == {Reason.SPLIT}
    assert [client.get_boolean_value("gradual", False, one) for one in several] == [one.value for one in chosen]
    assert client.get_boolean_details("limit", True, pro).error_code == ErrorCode.TYPE_MISMATCH
    assert client.get_string_details("greetin", "mine", pro).error_code == ErrorCode.FLAG_NOT_FOUND


def test_all_flags_have_the_form_of_the_specification(flagged: Server) -> None:
    if not SHARED.exists():
        pytest.skip("the specification of OFREP is not here")
    components = yaml.safe_load(SHARED.read_text())["components"]
    told = flagged.ask("POST", ALL, {"context": PRO})
    validator(components, "bulkEvaluationSuccess").validate(told.json)
    values = {flag["key"]: flag["value"] for flag in told.json["flags"]}
    assert {"greeting", "limit", "gradual", "loans", "loans.arm", "loans.canary"} == set(values)
    same = flagged.ask("POST", ALL, {"context": PRO}, headers={"if-none-match": told.headers["etag"]})
    assert (same.status, same.body) == (304, b"")
    kring("flag", "off", "greeting", flagged.folders[0])
    other = flagged.ask("POST", ALL, {"context": PRO}, headers={"if-none-match": told.headers["etag"]})
    assert other.status == 200
    assert other.headers["etag"] != told.headers["etag"]
    one = flagged.ask("POST", f"{ALL}/greeting", {"context": PRO})
    validator(components, "serverEvaluationSuccess").validate(one.json)
    assert (one.json["value"], one.json["reason"]) == ("Yes?", "DISABLED")


@pytest.mark.parametrize("key", ["greeting", "loans.greeting"])
def test_contexts_of_any_kind_are_answered(flagged: Server, key: str) -> None:
    for more in ({"plan": ["pro"]}, {"plan": None}, {"age": 10**30}, {"plan": {"a": {"b": 1}}}, {"plan": "x" * 99_999}):
        told = flagged.ask("POST", f"{ALL}/{key}", {"context": {"targetingKey": "ada", **more}})
        assert (told.status, told.json["value"]) == (200, "Hello")
        assert told.json["metadata"]["reason"] == "DEFAULT"


def values_of(server: Server, n: int = 40) -> set[str]:
    """What many connections are told: the kernel gives them to both workers."""
    return {server.ask("POST", f"{ALL}/greeting", {"context": PRO}).json["value"] for _ in range(n)}


def test_the_kill_switch_holds_on_every_worker_with_the_ledger_gone(flagged: Server) -> None:
    folder = flagged.folders[0]
    assert values_of(flagged) == {"Good to see you"}
    home, away = folder / ".kring", folder / "away"
    away.mkdir()
    ledger = [path for path in home.glob("ledger.db*")]
    for path in ledger:
        path.rename(away / path.name)
    try:
        told = kring("flag", "off", "greeting", folder, "--json")
        assert (told.code, told.json["recorded"]) == (0, False)
        time.sleep(1)
        assert values_of(flagged) == {"Yes?"}
        kring("flag", "on", "greeting", folder)
        time.sleep(1)
        assert values_of(flagged) == {"Good to see you"}
        kring("flag", "off", "greeting", folder)
    finally:
        for path in ledger:
            (away / path.name).rename(path)
    told = kring("flag", "off", "limit", folder, "--json")
    assert told.json["recorded"]
    assert flagged.ask("POST", f"{ALL}/limit", {"context": PRO}).json["reason"] == "DISABLED"


def test_a_switch_over_http(flagged: Server) -> None:
    path = "/api/flags/greeting/switch"
    told = flagged.ask("POST", path, {"off": True, "reason": "it offends"})
    assert (told.status, told.json["recorded"]) == (200, True)
    assert values_of(flagged, 10) == {"Yes?"}
    seen = flagged.ask("GET", "/api/flags").json["flags"]
    assert [one["flag"]["name"] for one in seen if (one.get("switch") or {}).get("off")] == ["greeting"]
    for body in ({}, {"off": "yes"}, {"off": True, "more": 1}, [], b"{"):
        assert flagged.ask("POST", path, body).status == 400
    assert flagged.ask("POST", "/api/flags/nothing/switch", {"off": True}).status == 404
    asks = kring("key", "create", flagged.folders[0], "--role", "caller", "--name", "till", "--json").json["secret"]
    end = time.monotonic() + 20
    while flagged.ask("GET", "/api/flags", key=asks).status == 401:
        assert time.monotonic() < end
        time.sleep(0.1)
    assert flagged.ask("POST", path, {"off": False}, key=asks).status == 403
    assert values_of(flagged, 10) == {"Yes?"}


def test_a_trial_from_the_flag_to_its_outcomes(flagged: Server) -> None:
    folder = flagged.folders[0]
    assert kring("trial", "start", "greetings", folder).code == 0
    end = time.monotonic() + 20
    ask = {"context": {"targetingKey": "u0"}}
    while not all("arm" in flagged.ask("POST", f"{ALL}/greeting", ask).json["metadata"] for _ in range(20)):
        assert time.monotonic() < end, "each worker hears of it by itself"
        time.sleep(0.1)
    units = [f"u{number}" for number in range(80)]
    told = {unit: flagged.ask("POST", f"{ALL}/greeting", {"context": {"targetingKey": unit}}).json for unit in units}
    assert {one["reason"] for one in told.values()} == {"SPLIT"}
    arms = {unit: one["metadata"]["arm"] for unit, one in told.items()}
    assert {(one["metadata"]["arm"], one["value"]) for one in told.values()} == {
        ("a", "Hello"),
        ("b", "Good to see you"),
    }
    said = [{"unit": unit, "outcome": "bought", "value": arm == "b"} for unit, arm in arms.items()]
    said += [{"unit": "u1", "outcome": "bought", "value": 7}, {"unit": "u1", "outcome": "sold", "value": True}]
    heard = flagged.ask("POST", "/api/trials/greetings/outcomes", {"outcomes": said}).json["outcomes"]
    assert [one["heard"] for one in heard] == ["recorded"] * 80 + ["refused"] * 2
    split: dict[str, int] = {}
    while sum(split.values()) < 80:
        assert time.monotonic() < end + 20, split
        split = flagged.ask("GET", "/api/trials/greetings").json["seen"]["split"]["units"]
    assert split == {arm: list(arms.values()).count(arm) for arm in ("a", "b")}
    assert flagged.ask("GET", "/api/trials/nothing").status == 404
    for body in ({"outcomes": []}, {"outcomes": [{"unit": "u1"}]}, {"outcomes": 5}, [], b"{", b""):
        assert flagged.ask("POST", "/api/trials/greetings/outcomes", body).status == 400
    late = {"outcomes": [{"unit": "u1", "outcome": "bought", "value": True, "at": "yesterday"}]}
    assert flagged.ask("POST", "/api/trials/greetings/outcomes", late).status == 400
    assert kring("trial", "stop", "greetings", folder, "--reason", "seen enough").code == 0
    end = time.monotonic() + 20
    while any("arm" in flagged.ask("POST", f"{ALL}/greeting", ask).json["metadata"] for _ in range(20)):
        assert time.monotonic() < end
        time.sleep(0.1)
