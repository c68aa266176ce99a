"""Models that others serve, watched: the events of KServe's payload logger become decisions on record."""

from __future__ import annotations

import base64
import json
import uuid
from typing import Any

import pytest
from doors import Keyring
from faces import LOAN

from served import Reply, Server, wait_until_managed

PATH = "/systems/loans/api/events/kserve"
TYPE = "org.kubeflow.serving.inference."
ROW = dict(LOAN)


@pytest.fixture(autouse=True)
def managed(server: Server) -> None:
    wait_until_managed(server)


def fresh() -> str:
    return str(uuid.uuid4())


def binary(server: Server, id: str, what: str, data: Any, **more: Any) -> Reply:
    """As KServe's logger sends it."""
    headers = {
        "ce-id": id, "ce-source": "http://localhost:9081/", "ce-specversion": "1.0", "ce-type": TYPE + what,
        "ce-time": "2026-01-31T12:00:00.250Z" if what == "response" else "2026-01-31T12:00:00Z",
        "ce-inferenceservicename": "loans", "ce-namespace": "bank", "ce-component": "predictor",
    }  # fmt: skip
    return server.ask("POST", PATH + more.pop("query", ""), data, headers=headers | more.pop("headers", {}), **more)


def structured(server: Server, id: str, what: str, data: dict[str, Any]) -> Reply:
    event = {"id": id, "source": "s", "specversion": "1.0", "type": TYPE + what, "datacontenttype": "application/json"}
    media = {"content-type": "application/cloudevents+json; charset=utf-8"}
    return server.ask("POST", PATH, event | data, headers=media)


def v2(rows: list[dict[str, Any]]) -> dict[str, Any]:
    types = {bool: "BOOL", int: "FP64", float: "FP64", str: "BYTES"}
    return {
        "inputs": [
            {"name": name, "shape": [len(rows)], "datatype": types[type(value)], "data": [row[name] for row in rows]}
            for name, value in rows[0].items()
        ]
    }


def decision(server: Server, told: Reply) -> dict[str, Any]:
    assert (told.status, told.json["heard"]) == (200, "recorded"), told.body
    return server.ask("GET", f"/api/decisions/{told.json['decisions'][0]}").json


def test_a_request_and_its_answer_are_a_decision(server: Server) -> None:
    id = fresh()
    first = binary(server, id, "request", {"instances": [ROW]})
    assert (first.status, first.json) == (200, {"heard": "waiting", "decisions": []})
    found = decision(server, binary(server, id, "response", {"predictions": [0.93]}))
    live = server.ask("GET", "/api/systems/loans").json["live"]
    assert (found["version"], found["answered_by"], found["arm"], found["kind"]) == (live, live, "live", "online")
    assert (found["outputs"]["probability"], found["decision"]) == (0.93, "true")
    assert (found["latency_us"], found["inputs"]["amount"]) == (250_000, ROW["amount"])
    again = binary(server, id, "response", {"predictions": [0.93]})
    assert again.json == {"heard": "known", "decisions": []}
    assert server.ask("POST", f"/api/decisions/{found['id']}/outcome", {"value": True}).json["heard"] == "recorded"


def test_the_answer_may_come_first_and_the_request_twice(server: Server) -> None:
    id = fresh()
    assert binary(server, id, "response", {"predictions": [0.1, 0.9]}).json["heard"] == "waiting"
    assert binary(server, id, "response", {"predictions": [0.1, 0.9]}).json["heard"] == "waiting"
    told = binary(server, id, "request", {"instances": [ROW, ROW]})
    assert len(told.json["decisions"]) == 2
    assert decision(server, told)["outputs"]["probability"] == 0.1


def test_tensors_in_structured_events(server: Server) -> None:
    id = fresh()
    assert structured(server, id, "request", {"data": v2([ROW])}).json["heard"] == "waiting"
    outputs = {"outputs": [{"name": "predict", "shape": [1], "datatype": "FP64", "data": [0.25]}]}
    raw = base64.b64encode(json.dumps(outputs).encode()).decode()
    found = decision(server, structured(server, id, "response", {"data_base64": raw}))
    assert (found["outputs"]["probability"], found["decision"]) == (0.25, found["decision"])


@pytest.mark.parametrize(
    ("said", "probability", "said_back"),
    [
        ({"predictions": [0.75]}, 0.75, None),
        ({"predictions": [[0.25, 0.75]]}, 0.75, None),
        ({"predictions": [{"probability": 0.75, "anything": 5}]}, 0.75, None),
        ({"predictions": [{"probability": 0.75, "decision": "false"}]}, 0.75, "false"),
        ({"predictions": [1]}, None, "true"),
        ({"predictions": [True]}, None, "true"),
        ({"predictions": ["false"]}, None, "false"),
        ({"outputs": [{"name": "p", "shape": [1, 2], "datatype": "FP32", "data": [0.25, 0.75]}]}, 0.75, None),
        ({"outputs": [{"name": "decision", "shape": [1], "datatype": "BYTES", "data": ["true"]}]}, None, "true"),
    ],
)
def test_what_an_answer_means(
    server: Server, said: dict[str, Any], probability: float | None, said_back: str | None
) -> None:
    id = fresh()
    binary(server, id, "request", {"instances": [ROW]})
    found = decision(server, binary(server, id, "response", said))
    assert found["outputs"].get("probability") == probability
    if said_back:
        assert found["decision"] == said_back


def test_rows_outside_the_contract_are_flagged_not_refused(server: Server) -> None:
    """The system's own guard refuses them; here somebody else has answered already."""
    id = fresh()
    assert binary(server, id, "request", {"instances": [ROW | {"amount": -5}]}).status == 200
    assert decision(server, binary(server, id, "response", {"predictions": [0.5]}))["guards"]


def test_of_a_version_that_is_named(server: Server) -> None:
    live = server.ask("GET", "/api/systems/loans").json["live"]
    id, query = fresh(), f"?version={live}"
    binary(server, id, "request", {"instances": [ROW]}, query=query)
    assert decision(server, binary(server, id, "response", {"predictions": [0.5]}, query=query))["version"] == live
    told = binary(server, fresh(), "request", {"instances": [ROW]}, query="?version=v_00000000000000000000000000")
    assert (told.status, told.json["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", 400), (b"{", 400), (b"[]", 400), (b"5", 400), (b"{}", 400), (b'{"instances": []}', 400),
        (b'{"instances": 5}', 400), (b'{"instances": [5]}', 400), (b'{"instances": [{"nobody": 1}]}', 400),
        (b'{"instances": [[1, 2]]}', 400), (b'{"inputs": []}', 400), (b'{"inputs": [5]}', 400),
        (b'{"inputs": [{"name": "amount"}]}', 400), (b'{"instances": [{}], "inputs": []}', 400),
        (b'{"inputs": [{"name": "amount", "shape": [1], "datatype": "FP64", "data": ["x"]}]}', 400),
        (b'{"inputs": [{"name": "amount", "shape": ["x"], "datatype": "FP64", "data": [1]}]}', 400),
        (b'{"inputs": [{"name": "amount", "shape": [99999999], "datatype": "FP64", "data": [1]}]}', 400),
        (json.dumps({"instances": [{}] * 1001}).encode(), 400), (b"[" * 100_000, 400), (b'{"instances": [NaN]}', 400),
    ],
)  # fmt: skip
def test_requests_that_are_none(server: Server, data: bytes, status: int) -> None:
    told = binary(server, fresh(), "request", data)
    assert told.status == status, told.body
    assert told.json["error"]["message"]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ({}, 400), ({"predictions": []}, 400), ({"predictions": 1}, 400), ({"predictions": [1], "outputs": []}, 400),
        ({"predictions": [0.5, 0.5]}, 422), ({"predictions": ["perhaps"]}, 422), ({"predictions": [7]}, 422),
        ({"predictions": [{"x": 1}, {"y": 1}]}, 400), ({"predictions": [{"nothing": [1]}]}, 422),
        ({"predictions": [{"a": 1, "b": 2}]}, 422), ({"predictions": [[0.1, 0.2, 0.7]]}, 422),
        ({"predictions": [{"probability": {"deep": 1}}]}, 422), ({"predictions": [1.5]}, 422),
        ({"predictions": [-0.5]}, 422), ({"predictions": [{"probability": "0.5"}]}, 422),
        ({"predictions": [{"probability": True}]}, 422),
        ({"outputs": []}, 400),
        ({"outputs": [{"name": "x", "shape": [0], "datatype": "FP64", "data": []}]}, 400),
    ],
)  # fmt: skip
def test_answers_that_are_none(server: Server, data: Any, status: int) -> None:
    id = fresh()
    before = server.ask("GET", "/api/systems/loans/decisions?most=1").json["decisions"]
    binary(server, id, "request", {"instances": [ROW]})
    told = binary(server, id, "response", data)
    assert told.status == status, told.body
    assert server.ask("GET", "/api/systems/loans/decisions?most=1").json["decisions"] == before


@pytest.mark.parametrize(
    "headers",
    [
        {"ce-id": ""}, {"ce-id": "x" * 513}, {"ce-source": ""}, {"ce-specversion": "0.3"}, {"ce-specversion": ""},
        {"ce-type": "org.kubeflow.serving.inference.logs"}, {"ce-type": "request"}, {"ce-type": ""},
        {"ce-time": "yesterday"}, {"ce-id": "%0a%1b"}, {"inference-header-content-length": "10"},
        {"content-type": "application/cloudevents-batch+json"}, {"content-type": "text/plain"},
        {"content-type": "application/octet-stream"},
    ],
)  # fmt: skip
def test_events_that_are_none(server: Server, headers: dict[str, str]) -> None:
    told = binary(server, fresh(), "request", {"instances": [ROW]}, headers=headers)
    assert told.status in (400, 415), told.body


@pytest.mark.parametrize(
    "event",
    [
        {"data_base64": "!!!"}, {"data_base64": 5}, {"data_base64": "e30="}, {"data": None}, {"data": "{"}, {},
        {"data": [1]}, {"data": {"instances": [{}]}, "specversion": 1.0}, {"data": {"instances": [{}]}, "id": 5},
    ],
)  # fmt: skip
def test_structured_events_that_are_none(server: Server, event: dict[str, Any]) -> None:
    told = structured(server, fresh(), "request", event)
    assert told.status == 400, told.body


def test_only_who_may_ask_decisions_of_the_system(server: Server, keyring: Keyring) -> None:
    data = {"instances": [ROW]}
    assert binary(server, fresh(), "request", data, key="").status == 401
    assert binary(server, fresh(), "request", data, key=keyring("viewer", "loans")).status == 403
    assert binary(server, fresh(), "request", data, key=keyring("caller", "fruit")).status == 404
    assert binary(server, fresh(), "request", data, key=keyring("caller", "loans")).status == 200
    bare = server.ask("POST", "/api/events/kserve", data)
    assert (bare.status, "several systems" in bare.json["error"]["message"]) == (400, True)


def test_a_system_that_answers_with_a_number(server: Server) -> None:
    id, path = fresh(), "/systems/parcels/api/events/kserve"
    row = {"booked_on": "2026-01-31", "distance": 3.5, "weight": 2, "express": True}
    headers = {"ce-id": id, "ce-source": "s", "ce-specversion": "1.0"}
    server.ask("POST", path, {"instances": [row]}, headers=headers | {"ce-type": TYPE + "request"})
    told = server.ask("POST", path, {"predictions": [3]}, headers=headers | {"ce-type": TYPE + "response"})
    found = decision(server, told)
    assert (found["decision"], found["outputs"]["value"]) == (3.0, 3.0)
