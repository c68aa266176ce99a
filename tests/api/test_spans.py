"""What a collector is told of a real server's requests, in the trace of who asks; and a collector that is no good."""

from __future__ import annotations

import http.client
import re
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

import collector
from collector import Collector, collecting
from served import Server, serving

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
ROW = {"email": "a@b.org", "region": "north", "amount": 1.0, "income": 2.0}
LOANS = {"x-kring-system": "loans"}
SERVER, INTERNAL = 2, 1


@pytest.fixture(scope="module")
def told(released: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Collector]]:
    base = tmp_path_factory.mktemp("spans")
    copies = [Path(shutil.copytree(released[name], base / name)) for name in ("loans", "handbook")]
    environ = {"OTEL_SERVICE_NAME": "desk", "OTEL_EXPORTER_OTLP_HEADERS": "x-team=7"}
    with collecting() as listening, serving(copies, "--otel", listening.url, grpc=True, environ=environ) as server:
        yield server, listening


def parent(trace: str, *, flags: str = "01") -> dict[str, str]:
    return {"traceparent": f"00-{trace}-{CALLER}-{flags}"}


def fresh(number: int) -> str:
    return f"{number:032x}"


def test_a_request_is_a_span_in_the_trace_of_who_asks_and_its_group_a_child(told: tuple[Server, Collector]):
    server, listening = told
    asked = {**LOANS, **parent(TRACE), "tracestate": "rojo=1,congo=t61"}
    reply = server.ask("POST", "/api/decisions", {"inputs": ROW}, headers=asked)
    assert reply.status == 200, reply.body
    spans = {span.kind: span for span in listening.of(TRACE, n=2)}
    span, group = spans[SERVER], spans[INTERNAL]
    assert (span.name, span.parent, span.state) == ("POST /api/decisions", CALLER, "rojo=1,congo=t61")
    assert reply.headers["traceparent"] == f"00-{TRACE}-{span.id}-01"
    version = reply.json["version"]
    assert span.attributes == {
        "http.request.method": "POST",
        "http.route": "/api/decisions",
        "url.path": "/api/decisions",
        "url.scheme": "http",
        "http.response.status_code": 200,
        "kring.system": "loans",
        "kring.decision.id": reply.json["id"],
        "kring.decision.rows": 1,
        "kring.version": version,
        "kring.arm": "live",
        "kring.answered_by": version,
    }
    assert (group.name, group.parent, group.links) == ("decide and commit", span.id, ((TRACE, span.id),))
    assert group.attributes == {"kring.system": "loans", "kring.group.rows": 1, "kring.group.requests": 1}
    assert span.began <= group.began + 1000 < group.ended <= span.ended + 2000
    assert span.resource["service.name"] == "desk"
    assert span.resource["service.instance.id"] == "worker 0"
    assert listening.headers["x-team"] == "7"
    assert not listening.faults


def test_nothing_that_was_sent_in_is_told(told: tuple[Server, Collector]):
    server, listening = told
    trace = fresh(1)
    row = {**ROW, "email": "canary@person.example", "region": "canary-region"}
    server.ask("POST", "/api/decisions?explain=canary", {"inputs": row}, headers={**LOANS, **parent(trace)})
    server.ask("POST", "/api/decisions", {"inputs": row}, headers={**LOANS, **parent(trace), "user-agent": "canary"})
    server.ask("GET", "/canary/path", headers=parent(trace))
    text = repr(listening.of(trace, n=5))
    assert "canary" not in text
    assert server.key not in text


def test_without_a_parent_a_trace_begins_and_the_caller_is_told_which(told: tuple[Server, Collector]):
    server, listening = told
    reply = server.ask("POST", "/api/decisions", {"inputs": [ROW] * 30}, headers=LOANS)
    trace, span = re.fullmatch(r"00-([0-9a-f]{32})-([0-9a-f]{16})-01", reply.headers["traceparent"]).groups()
    found = {one.id: one for one in listening.of(trace, n=2)}
    assert found[span].parent == ""
    assert found[span].attributes["kring.decision.rows"] == 30
    assert found[span].attributes["kring.decision.id"] == [one["id"] for one in reply.json["decisions"][:20]]


@pytest.mark.parametrize(
    "value",
    [
        "", "x", "00", f"00-{TRACE}-{CALLER}", f"00-{TRACE.upper()}-{CALLER}-01", f"00-{'0' * 32}-{CALLER}-01",
        f"00-{TRACE}-{'0' * 16}-01", f"ff-{TRACE}-{CALLER}-01", f"00-{TRACE}-{CALLER}-01-more",
        f"00-{TRACE}-{CALLER}-zz", f"00-{TRACE}-{CALLER}-0",
        f"00-{TRACE}-{CALLER}-01" + "-x" * 5000, "é" * 55, f"00-{TRACE}-{CALLER}-01, 00-{TRACE}-{CALLER}-01",
    ],
)  # fmt: skip
def test_a_parent_that_is_none_is_passed_over(told: tuple[Server, Collector], value: str):
    server, _ = told
    headers = {**LOANS, "traceparent": value.encode(), "tracestate": "a=1"}
    reply = server.ask("POST", "/api/decisions", {"inputs": ROW}, headers=headers)
    assert reply.status == 200
    assert TRACE not in reply.headers["traceparent"]
    assert reply.headers["traceparent"].endswith("-01")


def test_two_parents_are_none(told: tuple[Server, Collector]):
    server, _ = told
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.putrequest("GET", "/metrics")
    for id in ("1" * 16, "2" * 16):
        connection.putheader("traceparent", f"00-{TRACE}-{id}-01")
    connection.putheader("authorization", f"Bearer {server.key}")
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 200
    assert TRACE not in answer.headers["traceparent"]
    connection.close()


def test_who_is_not_to_be_told_of_is_not(told: tuple[Server, Collector]):
    server, listening = told
    silent, heard = fresh(2), fresh(3)
    reply = server.ask("POST", "/api/decisions", {"inputs": ROW}, headers={**LOANS, **parent(silent, flags="00")})
    assert reply.headers["traceparent"].startswith(f"00-{silent}-")
    assert reply.headers["traceparent"].endswith("-00")
    server.ask("POST", "/api/decisions", {"inputs": ROW}, headers={**LOANS, **parent(heard)})
    listening.of(heard, n=2)
    assert silent not in {span.trace for span in listening.spans}


def test_the_management_side_goes_on_with_the_trace(told: tuple[Server, Collector]):
    server, listening = told
    trace = fresh(4)
    reply = server.ask("GET", "/api/systems/loans", headers=parent(trace))
    assert reply.status == 200, reply.body
    found = {span.resource["service.instance.id"]: span for span in listening.of(trace, n=2)}
    assert found["worker 0"].parent == CALLER
    assert found["worker 0"].id in reply.headers["traceparent"]
    assert found["control"].parent == found["worker 0"].id
    assert (found["worker 0"].name, found["control"].name) == ("GET", "GET /api/systems/{system}")
    assert found["control"].attributes["http.response.status_code"] == 200


def test_faults_of_callers_are_not_ours(told: tuple[Server, Collector]):
    server, listening = told
    trace = fresh(5)
    assert server.ask("POST", "/api/decisions", {"inputs": 7}, headers={**LOANS, **parent(trace)}).status == 400
    (span,) = listening.of(trace, n=1)
    assert span.attributes["http.response.status_code"] == 400
    assert not span.is_error
    assert "error.type" not in span.attributes


def test_a_call_over_grpc_is_a_span_in_the_trace_of_who_asks(told: tuple[Server, Collector]):
    server, listening = told
    trace, inputs = fresh(8), []
    for name, value in ROW.items():
        array = np.array([value], dtype=object if isinstance(value, str) else np.float64)
        one = triton.InferInput(name, [1], "BYTES" if array.dtype == object else "FP64")
        inputs.append(one.set_data_from_numpy(array))
    client = triton.InferenceServerClient(f"127.0.0.1:{server.grpc_port}")
    reply = client.infer("loans", inputs, headers={**server.bearer, **parent(trace)}).get_response()
    spans = {span.kind: span for span in listening.of(trace, n=2)}
    assert (spans[SERVER].name, spans[SERVER].parent) == ("inference.GRPCInferenceService/ModelInfer", CALLER)
    said = spans[SERVER].attributes
    assert {name: said[name] for name in said if name.startswith("rpc.")} == {
        "rpc.system": "grpc",
        "rpc.service": "inference.GRPCInferenceService",
        "rpc.method": "ModelInfer",
        "rpc.grpc.status_code": 0,
    }
    assert said["kring.decision.id"] == reply.parameters["decision_ids"].string_param
    assert not any(name.startswith(("http.", "url.")) for name in said)
    assert spans[INTERNAL].parent == spans[SERVER].id
    with pytest.raises(InferenceServerException):
        client.infer("loans", inputs, headers=parent(fresh(9)))
    (refused,) = listening.of(fresh(9), n=1)
    assert (refused.attributes["rpc.grpc.status_code"], refused.is_error) == (16, False)
    assert client.is_server_live(headers=parent(fresh(10)))
    client.close()
    assert fresh(10) not in {span.trace for span in listening.spans}


def test_probes_are_not_told(told: tuple[Server, Collector]):
    server, _ = told
    assert "traceparent" not in server.ask("GET", "/livez", headers=parent(TRACE)).headers


def test_requests_at_once_each_have_their_own_span_and_groups_link_them(told: tuple[Server, Collector]):
    server, listening = told
    traces = [fresh(100 + number) for number in range(40)]

    def ask(trace: str) -> tuple[str, str]:
        reply = server.ask("POST", "/api/decisions", {"inputs": ROW}, headers={**LOANS, **parent(trace)})
        return reply.json["id"], reply.headers["traceparent"].split("-")[2]

    with ThreadPoolExecutor(16) as pool:
        answers = dict(zip(traces, pool.map(ask, traces), strict=True))
    for trace, (decision, id) in answers.items():
        spans = listening.of(trace, n=1, kind=SERVER)
        assert [(span.id, span.attributes["kring.decision.id"]) for span in spans] == [(id, decision)]
    groups = [span for span in listening.spans if span.kind == INTERNAL and span.trace in answers]
    linked = [link for group in groups for link in group.links]
    assert sorted(linked) == sorted((trace, id) for trace, (_, id) in answers.items())
    for group in groups:
        for trace, id in group.links[1:]:
            (asked,) = (span for span in listening.spans if (span.trace, span.id) == (trace, id))
            assert asked.links == ((group.trace, group.id),)


def test_the_same_key_again_names_the_same_decision(told: tuple[Server, Collector]):
    server, listening = told
    for trace in (fresh(6), fresh(7)):
        headers = {**LOANS, **parent(trace), "idempotency-key": "span-1"}
        assert server.ask("POST", "/api/decisions", {"inputs": ROW}, headers=headers).status == 200
    (first,) = listening.of(fresh(6), n=1, kind=SERVER)
    (again,) = listening.of(fresh(7), n=1)
    assert again.attributes["kring.decision.id"] == first.attributes["kring.decision.id"]


@pytest.mark.parametrize("streamed", [False, True])
def test_answers_in_words_have_the_names_that_others_give_them(told: tuple[Server, Collector], streamed: bool):
    server, listening = told
    trace = fresh(20 + streamed)
    question = "When does the canary lock close"
    chat = {"model": "handbook", "messages": [{"role": "user", "content": question}], "stream": streamed}
    reply = server.ask("POST", "/v1/chat/completions", chat, headers=parent(trace))
    assert reply.status == 200, reply.body
    (span,) = listening.of(trace, n=1, kind=SERVER)
    said = span.attributes
    assert said["gen_ai.operation.name"] == "chat"
    assert said["gen_ai.provider.name"] == "kring"
    assert said["gen_ai.request.model"] == "handbook"
    assert said["gen_ai.response.model"] == said["kring.version"]
    assert said["gen_ai.response.id"] == said["kring.decision.id"]
    assert said["kring.decision.id"].encode() in reply.body
    assert "canary" not in repr(span)
    assert not [name for name in said if "messages" in name or "documents" in name]


@pytest.mark.parametrize("mood", ["refuses", "hangs", "away"])
def test_a_collector_that_is_no_good_harms_nobody_and_what_is_lost_is_counted(
    released: dict[str, Path], tmp_path: Path, mood: str
):
    folder = Path(shutil.copytree(released["loans"], tmp_path / "loans"))
    with collecting("refuses" if mood == "away" else mood) as listening:
        url = "http://127.0.0.1:9" if mood == "away" else listening.url
        with serving(
            [folder], environ={"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
        ) as server:
            longest = 0.0
            lost = 0.0
            end = time.monotonic() + collector.TOLD_S
            while lost == 0 and time.monotonic() < end:
                began = time.monotonic()
                assert server.ask("POST", "/api/decisions", {"inputs": ROW}).status == 200
                longest = max(longest, time.monotonic() - began)
                told = server.ask("GET", "/metrics").body.decode()
                lost = sum(map(float, re.findall(r"kring_spans_dropped_total\{.*\} (\S+)", told)))
            assert lost > 0
            assert longest < 10.0
            assert (listening.asked > 0) is (mood != "away")
            assert server.stop() == 0
        said = server.log.read_text()
        assert said.count(f"spans are not taken, and dropped at {url}/v1/traces") >= 1
        assert "Traceback" not in said
