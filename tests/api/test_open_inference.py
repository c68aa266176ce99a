"""The Open Inference Protocol over HTTP, by the official client and against the official description."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import tritonclient.http as triton
import yaml
from tritonclient.utils import InferenceServerException

from served import Server
from systems import kring

LOAN: dict[str, Any] = {"email": "ada@example.org", "region": "north", "amount": 120.0, "income": 61.5}
FRUIT: dict[str, Any] = {"width": [[7.5], [9.9]], "weight": [[130], [180]], "orchard": [["hill"], ["valley"]]}


def tensors(row: dict[str, Any]) -> list[dict[str, Any]]:
    """One row, a tensor for each field."""
    return [
        {"name": name, "shape": [1], "datatype": "BYTES" if isinstance(one, str) else "FP64", "data": [one]}
        for name, one in row.items()
    ]


def fitting(name: str, array: np.ndarray, *, binary: bool) -> triton.InferInput:
    datatype = "BYTES" if array.dtype == object else {"float64": "FP64", "int64": "INT64"}[str(array.dtype)]
    made = triton.InferInput(name, list(array.shape), datatype)
    return made.set_data_from_numpy(array, binary_data=binary)


@pytest.fixture
def client(server: Server) -> Any:
    made = triton.InferenceServerClient(server.address)
    yield made
    made.close()


def test_the_official_client_finds_its_way(client: Any, server: Server) -> None:
    key = server.bearer
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.get_server_metadata(headers=key)["extensions"] == ["binary_tensor_data"]
    described = client.get_model_metadata("loans", headers=key)
    assert {"name": "amount", "datatype": "FP64", "shape": [-1]} in described["inputs"]
    assert [one["name"] for one in described["outputs"]] == ["decision", "probability"]
    (version,) = described["versions"]
    assert client.get_model_metadata("loans", model_version=version, headers=key) == described
    assert client.is_model_ready("loans", model_version=version, headers=key)
    assert not client.is_model_ready("boats", headers=key)
    with pytest.raises(InferenceServerException, match="no such system"):
        client.get_model_metadata("boats", headers=key)


@pytest.mark.parametrize("binary_in", [False, True])
@pytest.mark.parametrize("binary_out", [False, True])
def test_the_official_client_is_answered_in_json_and_raw(
    client: Any, server: Server, binary_in: bool, binary_out: bool
) -> None:
    inputs = [
        fitting(name, np.array([one, one], dtype=object if isinstance(one, str) else np.float64), binary=binary_in)
        for name, one in LOAN.items()
    ]
    wanted = [triton.InferRequestedOutput(name, binary_data=binary_out) for name in ("probability", "decision")]
    told = client.infer("loans", inputs, outputs=wanted, request_id="mine", headers=server.bearer)
    assert told.as_numpy("decision").tolist() in ([b"true"] * 2, ["true"] * 2)
    assert told.as_numpy("probability").shape == (2,)
    assert told.get_response()["id"] == "mine"
    parameters = told.get_response()["parameters"]
    ids = parameters["decision_ids"].split(",")
    assert len(set(ids)) == 2
    assert parameters["versions"] == told.get_response()["model_version"]


def test_an_answer_is_on_record(server: Server) -> None:
    told = server.ask("POST", "/v2/models/loans/infer", {"inputs": tensors(LOAN)}).json
    seen = kring(
        "trace", told["parameters"]["decision_ids"], next(one for one in server.folders if one.name == "loans")
    )
    assert seen.code == 0, seen.err


def test_all_protocols_say_the_same_of_the_same_row(server: Server) -> None:
    native = server.ask("POST", "/systems/loans/api/decisions", {"inputs": LOAN}).json
    told = server.ask("POST", "/v2/models/loans/infer", {"inputs": tensors(LOAN)}).json
    tensor = {one["name"]: one["data"] for one in told["outputs"]}
    assert tensor == {"decision": [native["decision"]], "probability": [native["outputs"]["probability"]]}


def test_an_input_may_be_a_column_in_the_manner_of_pandas(server: Server) -> None:
    body = {
        "inputs": [
            {**one, "parameters": {"content_type": "pd"}}
            for one in (
                {"name": "width", "shape": [2, 1], "datatype": "FP32", "data": FRUIT["width"]},
                {"name": "weight", "shape": [2, 1], "datatype": "INT16", "data": FRUIT["weight"]},
                {"name": "orchard", "shape": [2, 1], "datatype": "BYTES", "data": FRUIT["orchard"]},
            )
        ],
        "parameters": {"content_type": "pd"},
    }
    told = server.ask("POST", "/v2/models/fruit/infer", body).json
    assert [one["shape"] for one in told["outputs"]] == [[2]] * 4
    shares = [one["data"] for one in told["outputs"][1:]]
    assert np.allclose(np.sum(shares, axis=0), 1, atol=1e-3)


def test_one_tensor_of_texts_is_a_table_without_a_heading(server: Server) -> None:
    whole = {"name": "input-0", "shape": [2, 4], "datatype": "BYTES", "data": ["a@b", "north", "120", "61.5"] * 2}
    told = server.ask("POST", "/v2/models/loans/infer", {"inputs": [whole]}).json
    alone = server.ask("POST", "/v2/models/loans/infer", {"inputs": tensors(LOAN)}).json
    assert told["outputs"][1]["data"] == alone["outputs"][1]["data"] * 2


def test_a_question_in_words_is_answered_in_words(server: Server) -> None:
    asked = {"name": "question", "shape": [1], "datatype": "BYTES", "data": ["Do dogs stay for free"]}
    told = server.ask("POST", "/v2/models/handbook/infer", {"inputs": [asked]}).json
    outputs = {one["name"]: one["data"][0] for one in told["outputs"]}
    assert outputs["decision"] == "Dogs stay for free on every pontoon."
    assert outputs["citations"] == "docs/fees.md#dogs"


def test_health_needs_no_key_and_all_else_does(server: Server) -> None:
    assert server.ask("GET", "/v2/health/live", key="").json["live"] is True
    assert server.ask("GET", "/v2/health/ready", key="").json["live"] is True
    for method, path in (("GET", "/v2"), ("GET", "/v2/models/loans"), ("POST", "/v2/models/loans/infer")):
        told = server.ask(method, path, {} if method == "POST" else None, key="")
        assert told.status == 401
        assert set(told.json) == {"error"}


@pytest.fixture(scope="module")
def description(shared: Path) -> dict[str, Any]:
    return yaml.safe_load((shared / "data/spec_open_inference/open_inference_rest.yaml").read_text())


def test_answers_are_as_the_official_description_says(description: dict[str, Any], server: Server) -> None:
    version = server.ask("GET", "/v2/models/loans").json["versions"][0]
    requests = {
        "metadata_server_response": server.ask("GET", "/v2/"),
        "metadata_model_response": server.ask("GET", f"/v2/models/loans/versions/{version}"),
        "inference_response": server.ask(
            "POST", f"/v2/models/loans/versions/{version}/infer", {"inputs": tensors(LOAN), "id": "42"}
        ),
        "inference_error_response": server.ask("POST", "/v2/models/loans/infer", {"inputs": [{}]}),
        "metadata_model_error_response": server.ask("GET", "/v2/models/boats"),
    }
    for name, told in requests.items():
        schema = {"$ref": f"#/components/schemas/{name}", "components": description["components"]}
        jsonschema.validate(told.json, schema)
        assert told.media == "application/json"
    assert requests["inference_response"].json["id"] == "42"


def test_every_path_of_the_official_description_is_there(description: dict[str, Any], server: Server) -> None:
    version = server.ask("GET", "/v2/models/loans").json["versions"][0]
    for path, methods in description["paths"].items():
        real = path.replace("${MODEL_NAME}", "loans").replace("${MODEL_VERSION}", version)
        for method in methods.keys() & {"get", "post"}:
            body = {"inputs": tensors(LOAN)} if method == "post" else None
            assert server.ask(method.upper(), real, body).status == 200, path
