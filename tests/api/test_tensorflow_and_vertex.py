"""TensorFlow Serving's REST interface and Vertex AI's container contract."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from kring.api.tensorflow import number, plain
from kring.api.vertex import routes
from kring.errors import ConfigError, Unavailable, Unsupported, UserError
from kring.record.answer import Answer
from served import Server

LOAN: dict[str, Any] = {"email": "ada@example.org", "region": "north", "amount": 120.0, "income": 61.5}
PARCEL: dict[str, Any] = {"booked_on": "2024-02-01", "distance": 12.5, "weight": 3, "express": True}
FRUIT: dict[str, Any] = {"width": 7.5, "weight": 130.0, "orchard": "hill"}


def of(server: Server, system: str, verb: str, body: object, named: str = "") -> Any:
    return server.ask("POST", f"/v1/models/{system}{named}:{verb}", body).json


@pytest.fixture(scope="module")
def expected(server: Server) -> float:
    return float(server.ask("POST", "/systems/loans/api/decisions", {"inputs": LOAN}).json["outputs"]["probability"])


ROWS: dict[str, Any] = {
    "objects": [LOAN, LOAN],
    "objects of lists of one": [{name: [value] for name, value in LOAN.items()}] * 2,
    "lists": [list(LOAN.values())] * 2,
    "texts in base64": [{**LOAN, "region": {"b64": base64.b64encode(b"north").decode()}}] * 2,
}


@pytest.mark.parametrize("name", ROWS)
def test_rows_are_answered_by_rows(server: Server, expected: float, name: str) -> None:
    told = of(server, "loans", "predict", {"instances": ROWS[name], "signature_name": "serving_default"})
    assert [one["probability"] for one in told["predictions"]] == [expected] * 2


@pytest.mark.parametrize("wrap", [lambda one: one, lambda one: [one]])
def test_columns_are_answered_by_columns(server: Server, expected: float, wrap: Any) -> None:
    told = of(server, "loans", "predict", {"inputs": {name: [wrap(one)] * 2 for name, one in LOAN.items()}})
    assert told["outputs"]["probability"] == [expected] * 2
    assert told["outputs"].keys() == {"decision", "probability", "id", "version"}


def test_one_question_in_words(server: Server) -> None:
    told = of(server, "handbook", "predict", {"instances": ["Do dogs stay for free"]})
    assert told["predictions"][0]["decision"] == "Dogs stay for free on every pontoon."


def test_labels_have_probabilities(server: Server, expected: float) -> None:
    told = of(server, "loans", "classify", {"examples": [LOAN]})
    assert told == {"results": [[["false", pytest.approx(1 - expected)], ["true", expected]]]}
    shared = {"context": {"orchard": "hill"}, "examples": [{"width": 7.5, "weight": 130.0}, FRUIT]}
    first, second = of(server, "fruit", "classify", shared)["results"]
    assert first == second
    assert [label for label, _ in first] == ["apple", "pear", "quince, ripe"]


def test_a_number_for_each_example(server: Server) -> None:
    told = of(server, "parcels", "regress", {"examples": [PARCEL, PARCEL]})
    assert told["results"][0] == told["results"][1] == pytest.approx(12 + 2.2 * 12.5 + 0.8 * 3 - 10, abs=5)


def test_what_a_system_does_not_answer_is_told(server: Server) -> None:
    assert "no labels" in of(server, "parcels", "classify", {"examples": [PARCEL]})["error"]
    assert "no plain number" in of(server, "loans", "regress", {"examples": [LOAN]})["error"]
    assert "serving_default" in of(server, "loans", "predict", {"instances": [LOAN], "signature_name": "x"})["error"]
    assert "rows or columns" in of(server, "loans", "predict", {})["error"]
    assert "rows or columns" in of(server, "loans", "predict", {"instances": [LOAN], "inputs": LOAN})["error"]


def test_status_and_metadata_name_the_live_version(server: Server) -> None:
    state = server.ask("GET", "/v1/models/loans/labels/live").json["model_version_status"][0]
    version = state["version"]
    assert state == {"version": version, "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    assert server.ask("GET", f"/v1/models/loans/versions/{version}").json["model_version_status"] == [state]
    told = server.ask("GET", f"/v1/models/loans/versions/{version}/metadata").json
    assert told["model_spec"] == {"name": "loans", "signature_name": "", "version": version}
    signature = told["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["inputs"]["amount"]["dtype"] == "DT_DOUBLE"
    assert signature["outputs"].keys() == {"decision", "probability", "id", "version"}
    assert of(server, "loans", "predict", {"instances": [LOAN]}, f"/versions/{version}")["predictions"]
    assert of(server, "loans", "predict", {"instances": [LOAN]}, "/labels/live")["predictions"]
    for named in ("/versions/1", "/labels/stable"):
        assert server.ask("POST", f"/v1/models/loans{named}:predict", {"instances": [LOAN]}).status == 404


def test_one_path_is_told_as_the_system_is_asked(server: Server) -> None:
    assert server.ask("GET", "/v1/models/loans").json["model_version_status"][0]["state"] == "AVAILABLE"
    assert server.ask("GET", "/v1/models/handbook").json["object"] == "model"
    assert server.ask("GET", "/v1/models/boats").status == 404


def answer(decision: Any, **more: Any) -> Answer:
    return Answer(id="d_1", decision=decision, outputs={}, version="v_1", arm="live", answered_by="v_1", **more)


def test_a_decision_that_is_no_number_is_told_with_its_id() -> None:
    with pytest.raises(Unsupported, match="without a number") as caught:
        number(answer("review", guards=["abstained"]))
    assert caught.value.got == "review (abstained), d_1"
    with pytest.raises(Unavailable, match="without a number"):
        number(answer("none", fallback="v_1: too late"))
    assert number(answer(7)) == 7.0


def test_base64_that_is_none_is_told() -> None:
    assert plain({"b64": "ZMO2"}) == "dö"
    for wrong in ("?", "/w==", 7):
        with pytest.raises(UserError, match="base64"):
            plain({"b64": wrong})


def test_vertex_asks_on_its_own_paths(server: Server) -> None:
    assert server.ask("GET", "/vertex/health", key="").status == 200
    body = {"instances": [LOAN, LOAN], "parameters": {"system": "loans"}}
    told = server.ask("POST", "/vertex/predict", body).json
    assert told.keys() == {"predictions"}
    assert [one["decision"] for one in told["predictions"]] == ["true", "true"]
    lists = {"instances": [list(LOAN.values())], "parameters": {"system": "loans"}}
    assert server.ask("POST", "/vertex/predict", lists).json["predictions"][0]["decision"] == "true"
    without = server.ask("POST", "/vertex/predict", {"instances": [LOAN]})
    assert without.json["error"].keys() == {"code", "message", "status"}
    assert (without.status, without.json["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_vertex_has_no_routes_elsewhere() -> None:
    assert routes(lambda: (True, {}), environ={}) == ()
    for path in ("predict", "/{x}", "/a?b", ""):
        with pytest.raises(ConfigError, match="AIP_PREDICT_ROUTE"):
            routes(lambda: (True, {}), environ={"AIP_PREDICT_ROUTE": path})
