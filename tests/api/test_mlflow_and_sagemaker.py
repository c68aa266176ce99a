"""`/invocations` in all its forms: MLflow's four of JSON, CSV, JSON Lines; the answers and what stands beside them."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from served import Reply, Server

ROW: dict[str, Any] = {"email": "ada@example.org", "region": "north", "amount": 120.0, "income": 61.5}
NAMES = list(ROW)
VALUES = list(ROW.values())
ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"
JSON_LINES = {"content-type": "application/jsonlines"}
CSV = {"content-type": "text/csv"}


def invoke(server: Server, body: object, system: str = "loans", **headers: str) -> Reply:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.ask("POST", f"/systems/{system}/invocations", body, headers=sent)


@pytest.fixture(scope="module")
def expected(server: Server) -> float:
    told = server.ask("POST", "/systems/loans/api/decisions", {"inputs": ROW}).json
    return float(told["outputs"]["probability"])


FORMS: dict[str, Any] = {
    "split": {"dataframe_split": {"columns": NAMES, "data": [VALUES, VALUES]}},
    "split with an index": {"dataframe_split": {"columns": NAMES, "data": [VALUES] * 2, "index": [7, 8]}},
    "records": {"dataframe_records": [ROW, ROW]},
    "instances as objects": {"instances": [ROW, ROW]},
    "instances as lists": {"instances": [VALUES, VALUES]},
    "inputs as columns": {"inputs": {name: [value, value] for name, value in ROW.items()}},
    "inputs as columns of one": {"inputs": {name: [[value], [value]] for name, value in ROW.items()}},
    "inputs as rows": {"inputs": [VALUES, VALUES]},
    "with params": {"dataframe_records": [ROW, ROW], "params": {"temperature": 1}},
}


@pytest.mark.parametrize("name", FORMS)
def test_each_form_of_json_is_read(server: Server, expected: float, name: str) -> None:
    told = invoke(server, FORMS[name])
    assert told.status == 200, told.body
    assert told.json.keys() == {"predictions"}
    assert [one["probability"] for one in told.json["predictions"]] == [expected] * 2
    assert len({one["id"] for one in told.json["predictions"]}) == 2


def test_one_row_of_named_inputs(server: Server, expected: float) -> None:
    assert [one["probability"] for one in invoke(server, {"inputs": ROW}).json["predictions"]] == [expected]


@pytest.mark.parametrize("heading", [True, False])
def test_csv_with_and_without_a_heading(server: Server, expected: float, heading: bool) -> None:
    file = io.StringIO()
    csv.writer(file).writerows([NAMES, VALUES, VALUES] if heading else [VALUES, VALUES])
    told = server.ask("POST", "/systems/loans/invocations", file.getvalue().encode(), headers=CSV)
    assert [one["probability"] for one in told.json["predictions"]] == [expected] * 2


def test_an_empty_cell_is_a_missing_value(server: Server) -> None:
    missing = b"email,region,amount,income\nada@example.org,north,120,\n"
    by_csv = server.ask("POST", "/systems/loans/invocations", missing, headers=CSV).json["predictions"][0]
    by_json = invoke(server, {"dataframe_records": [{**ROW, "income": None}]}).json["predictions"][0]
    assert by_csv["probability"] == by_json["probability"]


@pytest.mark.parametrize("rows", [[ROW, ROW], [VALUES, VALUES]])
def test_json_lines_are_answered_by_json_lines(server: Server, expected: float, rows: list[Any]) -> None:
    body = "".join(json.dumps(row) + "\n" for row in rows).encode()
    told = server.ask("POST", "/systems/loans/invocations", body, headers=JSON_LINES)
    assert told.media == "application/jsonlines"
    assert [json.loads(line)["probability"] for line in told.body.splitlines()] == [expected] * 2


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("application/json", "application/json"),
        ("text/csv", "text/csv"),
        ("application/jsonlines", "application/jsonlines"),
        ("*/*", "application/json"),
        ("image/png, text/csv;q=0.5", "text/csv"),
    ],
)
def test_the_answer_is_what_the_caller_accepts(server: Server, expected: float, accept: str, media: str) -> None:
    told = invoke(server, {"dataframe_records": [ROW]}, accept=accept)
    assert told.media == media
    if media == "text/csv":
        (row,) = csv.reader(io.StringIO(told.body.decode()))
        assert (row[0], float(row[1])) == ("true", expected)
        assert row[2].startswith("d_")


def test_no_other_kind_of_answer_can_be_had(server: Server) -> None:
    told = invoke(server, {"dataframe_records": [ROW]}, accept="image/png")
    assert told.status == 400
    assert "application/jsonlines" in told.json["message"]


def test_a_system_is_named_by_header_prefix_or_custom_attributes(server: Server) -> None:
    body = {"dataframe_records": [ROW]}
    by_header = server.ask("POST", "/invocations", body, headers={"x-kring-system": "loans"})
    by_attribute = server.ask("POST", "/invocations", body, headers={ATTRIBUTES: "trace=7;system=loans"})
    assert by_header.status == by_attribute.status == 200
    assert ATTRIBUTES not in by_header.headers
    assert by_attribute.headers[ATTRIBUTES].startswith("system=loans;version=v_")
    without = server.ask("POST", "/invocations", body)
    assert without.status == 400
    assert "loans, parcels, fruit, handbook" in without.json["message"]


def test_questions_in_words(server: Server) -> None:
    for body in ({"inputs": "Do dogs stay for free"}, {"inputs": ["Do dogs stay for free"]}):
        told = invoke(server, body, "handbook").json["predictions"]
        assert told[0]["decision"] == "Dogs stay for free on every pontoon."


def test_errors_are_as_mlflow_tells_them(server: Server) -> None:
    broken = invoke(server, {"dataframe_records": [{**ROW, "amount": -1}]})
    assert broken.status == 422
    assert broken.json["error_code"] == "INVALID_PARAMETER_VALUE"
    assert "amount" in broken.json["message"]
    assert invoke(server, {}, "boats").json["error_code"] == "RESOURCE_DOES_NOT_EXIST"
    assert server.ask("POST", "/invocations", {}, key="").json["error_code"] == "UNAUTHENTICATED"


def test_health_and_version(server: Server) -> None:
    for path in ("/ping", "/health"):
        assert server.ask("GET", path, key="").status == 200
    assert server.ask("GET", "/version").body.startswith(b"kring ")
    assert server.ask("GET", "/version", key="").status == 401
