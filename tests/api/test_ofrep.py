"""Flags through the official provider, held against the specification and against the router itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from official import flag_client
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

from kring.metrics.assignment import DAY_US, assigned, units
from kring.record.batch import Batch
from served import Server

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "spec_ofrep" / "openapi.yaml"
ONE = "/ofrep/v1/evaluate/flags/loans"
ALL = "/ofrep/v1/evaluate/flags"
ASKED = {"context": {"targetingKey": "customer-7"}}


@pytest.fixture
def client(server: Server):
    with flag_client(server) as made:
        yield made


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    if not SHARED.exists():
        pytest.skip("the specification of OFREP is not here")
    return yaml.safe_load(SHARED.read_text())["components"]


def validator(components: dict[str, Any], name: str) -> jsonschema.Draft202012Validator:
    """`oneOf` of the kinds of values can hold for none: the kind without a value takes everything. It means anyOf."""
    loose = json.loads(json.dumps(components).replace('"oneOf"', '"anyOf"'))
    return jsonschema.Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": loose})


def test_the_official_provider_reads_version_and_arm(client):
    context = EvaluationContext(targeting_key="customer-7")
    version = client.get_string_details("loans", "none", context)
    assert version.value.startswith("v_")
    assert (version.variant, version.reason) == ("live", Reason.STATIC)
    assert version.flag_metadata["system"] == "loans"
    assert client.get_string_value("loans.arm", "?", context) == "live"
    assert client.get_boolean_value("loans.canary", True, context) is False


def test_the_official_provider_is_told_what_is_wrong(client):
    context = EvaluationContext(targeting_key="customer-7")
    assert client.get_string_details("nothing", "mine", context).error_code == ErrorCode.FLAG_NOT_FOUND
    assert client.get_string_details("loans", "mine").error_code == ErrorCode.TARGETING_KEY_MISSING
    assert client.get_string_details("loans.canary", "mine", context).error_code == ErrorCode.TYPE_MISMATCH
    assert client.get_string_value("nothing", "mine", context) == "mine"


def test_all_flags_come_with_an_etag_that_spares_the_next_answer(server: Server, schema: dict[str, Any]):
    told = server.ask("POST", ALL, ASKED)
    validator(schema, "bulkEvaluationSuccess").validate(told.json)
    systems = ("fruit", "handbook", "loans", "parcels")
    assert {flag["key"] for flag in told.json["flags"]} == {
        name + end for name in systems for end in ("", ".arm", ".canary")
    }
    etag = told.headers["etag"]
    for given_ in (etag, f"W/{etag}", f'"other", {etag}'):
        again = server.ask("POST", ALL, ASKED, headers={"if-none-match": given_})
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", etag)
    assert server.ask("POST", ALL, ASKED, headers={"if-none-match": '"other"'}).status == 200


def test_one_flag_has_the_form_of_the_specification(server: Server, schema: dict[str, Any]):
    told = server.ask("POST", ONE, ASKED)
    assert told.status == 200
    validator(schema, "serverEvaluationSuccess").validate(told.json)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "PARSE_ERROR"),
        (b"{", "PARSE_ERROR"),
        (b"[" * 100_000, "PARSE_ERROR"),
        (b"\xff", "PARSE_ERROR"),
        (b"[]", "INVALID_CONTEXT"),
        (b"{}", "INVALID_CONTEXT"),
        (b'{"context": 5}', "INVALID_CONTEXT"),
        (b'{"context": null}', "INVALID_CONTEXT"),
        (b'{"context": {}}', "TARGETING_KEY_MISSING"),
        (b'{"context": {"targetingKey": ""}}', "TARGETING_KEY_MISSING"),
        (b'{"context": {"targetingKey": null}}', "TARGETING_KEY_MISSING"),
        (b'{"context": {"targetingKey": 5}}', "INVALID_CONTEXT"),
        (b'{"context": {"targetingKey": ["a"]}}', "INVALID_CONTEXT"),
        (json.dumps({"context": {"targetingKey": "x" * 1001}}).encode(), "INVALID_CONTEXT"),
    ],
)
def test_wrong_questions_are_told_by_the_protocols_codes(
    server: Server, schema: dict[str, Any], body: bytes, code: str
):
    one = server.ask("POST", ONE, body)
    assert (one.status, one.json["errorCode"], one.json["key"]) == (400, code, "loans")
    validator(schema, "evaluationFailure").validate(one.json)
    every = server.ask("POST", ALL, body)
    assert (every.status, every.json["errorCode"]) == (400, code)
    validator(schema, "bulkEvaluationFailure").validate(every.json)


@pytest.mark.parametrize("key", ["nobody", "loans.", "loans.arms", "loans%20", "%00", "x" * 3000, "loans.arm.arm"])
def test_a_flag_that_is_none(server: Server, schema: dict[str, Any], key: str):
    told = server.ask("POST", f"{ALL}/{key}", ASKED)
    assert (told.status, told.json["errorCode"]) == (404, "FLAG_NOT_FOUND")
    validator(schema, "flagNotFound").validate(told.json)


def test_nobody_and_the_wrong_kind_of_body(server: Server):
    assert server.ask("POST", ONE, ASKED, key="").status == 401
    assert server.ask("POST", ALL, ASKED, key="kring_live_x").status == 401
    assert server.ask("POST", ONE, b"a=1", headers={"content-type": "text/plain"}).status == 400


@settings(max_examples=50)
@given(st.lists(st.text(max_size=12), min_size=1, max_size=20), st.floats(0, 1), st.integers(0, 4_000_000_000_000_000))
def test_flags_and_router_assign_alike(subjects: list[str], share: float, at: int):
    """Both go through `units`, so that a flag for one subject is what a batch of many would be told."""
    batch = Batch(len(subjects), {"who": subjects})
    together = assigned(units([str(one) for one in batch.columns["who"]], at=at), salt="s", share=share)
    alone = [bool(assigned(units([one], at=at), salt="s", share=share)[0]) for one in subjects]
    assert np.array_equal(together, alone)
    assert units(subjects, at=at) == units(subjects, at=at // DAY_US * DAY_US)
