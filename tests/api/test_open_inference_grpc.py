"""The Open Inference Protocol over gRPC, by the official client, and its messages against the official file."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from shutil import copytree
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Fields
from tritonclient.utils import InferenceServerException

from kring.api.open_inference_grpc import address_of
from kring.api.open_inference_messages import RPCS, SERVICE, classes, file
from served import Server, serving

MESSAGES = classes()
INVALID, MISSING = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND


def described(message: Any, prefix: str = "") -> Iterator[tuple[str, str, str, int]]:
    """(message, label, field, number) of our table, entries of maps as `map`."""
    maps = {f".{prefix}{message.name}.{one.name}" for one in message.nested_type if one.options.map_entry}
    for field in message.field:
        label = "repeated" if field.label == Fields.LABEL_REPEATED else ""
        kind = Fields.Type.Name(field.type).removeprefix("TYPE_").lower()
        if kind == "message":
            kind = field.type_name.rpartition(".")[2]
        if field.type_name.removeprefix(".inference") in maps:
            label, kind = "", "map"
        yield message.name, f"{label} {kind}".strip(), field.name, field.number
    for inner in message.nested_type:
        if not inner.options.map_entry:
            yield from described(inner, f"{prefix}{message.name}.")


def official(text: str) -> Iterator[tuple[str, str, str, int]]:
    """The same out of a .proto file."""
    text = re.sub(r"//[^\n]*", "", text)
    text = text[text.index("message ") :]
    inside: list[str] = []
    for found in re.finditer(r"message (\w+)\s*\{|(oneof) \w+\s*\{|(\})|([\w<>, ]+?) (\w+) = (\d+);", text):
        message, oneof, closed, kind, name, number = found.groups()
        if message or oneof:
            inside.append(message or inside[-1])
        elif closed:
            inside.pop()
        else:
            yield inside[-1], "map" if kind.strip().startswith("map") else kind.strip(), name, int(number)


def test_our_messages_are_those_of_the_official_file(shared: Path) -> None:
    text = (shared / "data/spec_open_inference/open_inference_grpc.proto").read_text()
    ours = {one for message in file().message_type for one in described(message)}
    assert ours == set(official(text))
    assert re.findall(r"rpc (\w+)\(", text) == list(RPCS)


def test_bytes_of_the_official_client_are_read_by_ours() -> None:
    sent = triton.service_pb2.ModelInferRequest(model_name="m", id="7", raw_input_contents=[b"\0"])
    sent.inputs.add(name="x", datatype="BOOL", shape=[1]).parameters["content_type"].string_param = "np"
    read = MESSAGES["ModelInferRequest"].FromString(sent.SerializeToString())
    assert (read.model_name, read.id, read.inputs[0].name, list(read.inputs[0].shape)) == ("m", "7", "x", [1])
    assert read.inputs[0].parameters["content_type"].string_param == "np"
    assert triton.service_pb2.ModelInferRequest.FromString(read.SerializeToString()) == sent


@pytest.fixture
def client(server: Server) -> Any:
    made = triton.InferenceServerClient(f"127.0.0.1:{server.grpc_port}")
    yield made
    made.close()


@pytest.fixture
def channel(server: Server) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as opened:
        yield opened


def call(channel: grpc.Channel, name: str, asked: Any, key: str, *more: tuple[str, str]) -> Any:
    made = channel.unary_unary(
        f"/{SERVICE}/{name}",
        request_serializer=lambda one: one if isinstance(one, bytes) else one.SerializeToString(),
        response_deserializer=MESSAGES[f"{name}Response"].FromString,
    )
    return made(asked, metadata=[*([("authorization", f"Bearer {key}")] if key else []), *more], timeout=20)


def inputs(*names: str) -> list[triton.InferInput]:
    row = {"email": "a@b", "region": "north", "amount": 120.0, "income": 61.5}
    made = []
    for name in names or row:
        array = np.array([row[name]] * 2, dtype=object if isinstance(row[name], str) else np.float64)
        one = triton.InferInput(name, [2], "BYTES" if array.dtype == object else "FP64")
        made.append(one.set_data_from_numpy(array))
    return made


def test_the_official_client_is_answered(client: Any, server: Server) -> None:
    key = server.bearer
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("loans", headers=key)
    assert client.get_server_metadata(headers=key).name == "kring"
    described = client.get_model_metadata("loans", headers=key)
    assert [one.name for one in described.outputs] == ["decision", "probability"]
    told = client.infer("loans", inputs(), request_id="mine", headers=key)
    assert told.as_numpy("decision").tolist() == [b"true", b"true"]
    assert told.get_response().id == "mine"
    assert len(told.get_response().parameters["decision_ids"].string_param.split(",")) == 2
    only = client.infer("loans", inputs(), outputs=[triton.InferRequestedOutput("probability")], headers=key)
    assert only.as_numpy("decision") is None
    assert only.as_numpy("probability").tolist() == told.as_numpy("probability").tolist()


def request(**changes: Any) -> Any:
    made = MESSAGES["ModelInferRequest"](model_name=changes.get("model", "fruit"))
    for name, datatype, values in changes.get(
        "inputs", (("width", "FP32", [7.5]), ("weight", "INT64", [130]), ("orchard", "BYTES", [b"hill"]))
    ):
        one = made.inputs.add(name=name, datatype=datatype, shape=changes.get("shape", [len(values)]))
        contents = {"FP32": "fp32", "FP64": "fp64", "INT64": "int64", "INT8": "int", "UINT8": "uint", "BYTES": "bytes"}
        getattr(one.contents, f"{contents.get(datatype, 'fp64')}_contents").extend(values)
    return made


def test_typed_contents_are_answered_by_typed_contents(channel: grpc.Channel, server: Server) -> None:
    told = call(channel, "ModelInfer", request(), server.key)
    assert list(told.outputs[0].contents.bytes_contents) == [b"pear"]
    assert sum(one.contents.fp64_contents[0] for one in told.outputs[1:]) == pytest.approx(1, abs=1e-3)
    assert not told.raw_output_contents


def test_asked_twice_with_one_key_it_is_decided_once(channel: grpc.Channel, server: Server) -> None:
    def ids(asked: Any, key: str) -> str:
        told = call(channel, "ModelInfer", asked, server.key, ("idempotency-key", key))
        return str(told.parameters["decision_ids"].string_param)

    asked = request()
    asked.parameters["b"].string_param, asked.parameters["a"].string_param = "1", "2"
    again = request()
    again.parameters["a"].string_param, again.parameters["b"].string_param = "2", "1"
    once = ids(asked, "pear 7")
    assert ids(asked, "pear 7") == ids(again, "pear 7") == once
    assert ids(asked, "pear 8") != once
    with pytest.raises(grpc.RpcError) as other:
        ids(
            request(inputs=(("width", "FP32", [6.5]), ("weight", "INT64", [130]), ("orchard", "BYTES", [b"hill"]))),
            "pear 7",
        )
    assert other.value.code() == grpc.StatusCode.ABORTED
    two = [("idempotency-key", "a"), ("idempotency-key", "b")]
    with pytest.raises(grpc.RpcError) as twice:
        call(channel, "ModelInfer", asked, server.key, *two)
    assert (twice.value.code(), "more than once" in twice.value.details()) == (INVALID, True)


NAN = float("nan")
WRONG: dict[str, tuple[Any, grpc.StatusCode, str]] = {
    "no message": (b"\xff\xff\xff\xff", INVALID, "no such message"),
    "unknown model": (request(model="boats"), MISSING, "no such system"),
    "no inputs": (request(inputs=()), INVALID, "no inputs"),
    "unknown field": (request(inputs=(("width", "FP32", [7.5]), ("wdth", "FP32", [7.5]))), INVALID, "does not know"),
    "unknown datatype": (request(inputs=(("width", "FP8", [7.5]),)), INVALID, "allowed: BOOL"),
    "half floats": (request(inputs=(("width", "FP16", [7.5]),)), INVALID, "raw_input_contents"),
    "out of its range": (request(inputs=(("weight", "INT8", [300]),)), INVALID, "INT8"),
    "another shape": (request(shape=[2]), INVALID, "does not fit"),
    "a shape below 1": (request(shape=[-1]), INVALID, "does not fit"),
    "a huge shape": (request(shape=[1 << 62]), INVALID, "does not fit"),
    "a deep shape": (request(shape=[1, 1, 1, 2]), INVALID, "does not fit"),
    "not equally long": (request(inputs=(("width", "FP32", [7.5, 8]), ("orchard", "BYTES", [b"x"]))), INVALID, "long"),
    "twice": (request(inputs=(("width", "FP32", [7.5]), ("width", "FP32", [7.5]))), INVALID, "same name"),
    "no rows, and no text": (
        request(inputs=(("orchard", "BYTES", [b"\xff\xfe"] * 3),), shape=[1, 3]),
        INVALID,
        "[n] or [n, 1]",
    ),
    "no fields, and no text": (
        request(inputs=(("all", "BYTES", [b"\xff\xfe"] * 5),), shape=[1, 5]),
        INVALID,
        "one [n, 3]",
    ),
    "not as many as it says, and no text": (
        request(inputs=(("orchard", "BYTES", [b"\xff\xfe"] * 5),), shape=[1]),
        INVALID,
        "1 for shape [1]",
    ),
    "more inputs than fields": (
        request(inputs=tuple((f"f{number}", "FP32", [1.0]) for number in range(9))),
        INVALID,
        "more inputs than the contract has fields",
    ),
    "no text": (request(inputs=(("orchard", "BYTES", [b"\xff\xfe"]),)), INVALID, "UTF-8"),
    "too many rows": (request(inputs=(("width", "FP32", [1.0] * 1001),)), INVALID, "1,000"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_call_has_a_status_and_our_words(channel: grpc.Channel, server: Server, name: str) -> None:
    asked, code, word = WRONG[name]
    with pytest.raises(grpc.RpcError) as caught:
        call(channel, "ModelInfer", asked, server.key)
    assert caught.value.code() is code
    assert word in caught.value.details()
    assert "got: " in caught.value.details()
    assert "allowed: " in caught.value.details()
    assert call(channel, "ModelInfer", request(), server.key).outputs


def test_raw_contents_are_not_read_before_their_shape(channel: grpc.Channel, server: Server) -> None:
    """A byte that is neither true nor false would be found in the first of two million elements."""
    asked = MESSAGES["ModelInferRequest"](model_name="fruit", raw_input_contents=[b"\7" * 2_000_000])
    asked.inputs.add(name="width", datatype="BOOL", shape=[1, 2_000_000])
    with pytest.raises(grpc.RpcError, match=r"\[n\] or \[n, 1\]"):
        call(channel, "ModelInfer", asked, server.key)


def test_raw_contents_that_do_not_fit_are_told(channel: grpc.Channel, server: Server) -> None:
    for raw, word in (([b"\0"] * 3, "bytes for shape"), ([b"\0" * 4], "raw contents do not fit the inputs")):
        asked = request()
        for one in asked.inputs:
            one.ClearField("contents")
        asked.raw_input_contents.extend(raw)
        with pytest.raises(grpc.RpcError, match=word) as caught:
            call(channel, "ModelInfer", asked, server.key)
        assert caught.value.code() is INVALID
    both = request()
    both.raw_input_contents.extend([b"\0" * 4] * 3)
    with pytest.raises(grpc.RpcError, match="raw and typed"):
        call(channel, "ModelInfer", both, server.key)


def test_a_message_beyond_the_limit_is_refused(channel: grpc.Channel, server: Server) -> None:
    asked = request(inputs=(("orchard", "BYTES", [b"x" * (9 << 20)]),))
    with pytest.raises(grpc.RpcError) as caught:
        call(channel, "ModelInfer", asked, server.key)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert call(channel, "ModelInfer", request(), server.key).outputs


@pytest.mark.parametrize("name", [one for one in RPCS if one not in ("ServerLive", "ServerReady")])
def test_nobody_without_a_key(channel: grpc.Channel, name: str) -> None:
    for key in ("", "kring_dev_nobody_nothing"):
        with pytest.raises(grpc.RpcError) as caught:
            call(channel, name, MESSAGES[f"{name}Request"](), key)
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_a_version_that_is_not_live_is_not_asked(client: Any, server: Server) -> None:
    with pytest.raises(InferenceServerException, match="can't be asked by this version"):
        client.infer("loans", inputs(), model_version="v_1", headers=server.bearer)


def test_the_address_of_a_peer() -> None:
    assert address_of("ipv4:127.0.0.1:50051") == "127.0.0.1"
    assert address_of("ipv6:[::1]:50051") == "::1"


def holding(channel: grpc.Channel, name: str, key: str, ended: threading.Event) -> Any:
    """A call whose message does not come before `ended`."""

    def never() -> Iterator[bytes]:
        ended.wait(60)
        yield from ()

    made = channel.stream_unary(
        f"/{SERVICE}/{name}", request_serializer=bytes, response_deserializer=MESSAGES[f"{name}Response"].FromString
    )
    return made.future(never(), metadata=[("authorization", f"Bearer {key}")] if key else [])


def test_strangers_hold_no_call_open(released: dict[str, Path], tmp_path: Path) -> None:
    """More calls than there may be at once, on several connections, none of which ever brings its message: who shows
    no key is told at once, who does is waited for, and a call about health needs none."""
    ended = threading.Event()
    with serving([Path(copytree(released["fruit"], tmp_path / "fruit"))], grpc=True) as server, ExitStack() as stack:
        stack.callback(ended.set)
        private = [("grpc.use_local_subchannel_pool", 1)]
        channels = [
            stack.enter_context(grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}", options=private))
            for _ in range(4)
        ]
        held = [holding(one, "ModelInfer", "", ended) for one in channels[1:] for _ in range(95)]
        asked_live = [holding(one, "ServerLive", "", ended) for one in channels[1:]]
        for one in held:
            with pytest.raises(grpc.RpcError) as told:
                one.result(timeout=30)
            assert told.value.code() in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.RESOURCE_EXHAUSTED)
        assert all(one.result(timeout=30).live for one in asked_live)
        known = holding(channels[0], "ModelInfer", server.key, ended)
        assert call(channels[0], "ModelInfer", request(), server.key).outputs
        with pytest.raises(grpc.RpcError) as late:
            known.result(timeout=30)
        assert (late.value.code(), "did not arrive in time" in late.value.details()) == (INVALID, True)


def test_a_call_without_a_message_is_told_so(channel: grpc.Channel, server: Server) -> None:
    ended = threading.Event()
    ended.set()
    with pytest.raises(grpc.RpcError) as told:
        holding(channel, "ModelInfer", server.key, ended).result(timeout=30)
    assert (told.value.code(), "no message" in told.value.details()) == (INVALID, True)
