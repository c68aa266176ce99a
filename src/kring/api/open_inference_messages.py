"""The messages of the Open Inference Protocol for gRPC, made from a table when this file is read: no generated code.

Names and numbers of fields are those of the protocol; a test holds them against its own file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

PACKAGE: Final = "inference"
SERVICE: Final = f"{PACKAGE}.GRPCInferenceService"
RPCS: Final = ("ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer")

TABLE: Final[dict[str, str]] = {
    "ServerLiveRequest": "",
    "ServerLiveResponse": "bool live=1",
    "ServerReadyRequest": "",
    "ServerReadyResponse": "bool ready=1",
    "ModelReadyRequest": "string name=1; string version=2",
    "ModelReadyResponse": "bool ready=1",
    "ServerMetadataRequest": "",
    "ServerMetadataResponse": "string name=1; string version=2; repeated string extensions=3",
    "ModelMetadataRequest": "string name=1; string version=2",
    "ModelMetadataResponse.TensorMetadata": "string name=1; string datatype=2; repeated int64 shape=3",
    "ModelMetadataResponse": "string name=1; repeated string versions=2; string platform=3; "
    "repeated ModelMetadataResponse.TensorMetadata inputs=4; "
    "repeated ModelMetadataResponse.TensorMetadata outputs=5; map string properties=6",
    "ModelInferRequest.InferInputTensor": "string name=1; string datatype=2; repeated int64 shape=3; "
    "map InferParameter parameters=4; InferTensorContents contents=5",
    "ModelInferRequest.InferRequestedOutputTensor": "string name=1; map InferParameter parameters=2",
    "ModelInferRequest": "string model_name=1; string model_version=2; string id=3; "
    "map InferParameter parameters=4; repeated ModelInferRequest.InferInputTensor inputs=5; "
    "repeated ModelInferRequest.InferRequestedOutputTensor outputs=6; repeated bytes raw_input_contents=7",
    "ModelInferResponse.InferOutputTensor": "string name=1; string datatype=2; repeated int64 shape=3; "
    "map InferParameter parameters=4; InferTensorContents contents=5",
    "ModelInferResponse": "string model_name=1; string model_version=2; string id=3; "
    "map InferParameter parameters=4; repeated ModelInferResponse.InferOutputTensor outputs=5; "
    "repeated bytes raw_output_contents=6",
    "InferParameter": "one bool bool_param=1; one int64 int64_param=2; one string string_param=3; "
    "one double double_param=4; one uint64 uint64_param=5",
    "InferTensorContents": "repeated bool bool_contents=1; repeated int32 int_contents=2; "
    "repeated int64 int64_contents=3; repeated uint32 uint_contents=4; repeated uint64 uint64_contents=5; "
    "repeated float fp32_contents=6; repeated double fp64_contents=7; repeated bytes bytes_contents=8",
}
"""Message → its fields: `[repeated|map|one] type name=number`. A map has texts as keys; `one` is of the one oneof."""

ONE_OF: Final = "parameter_choice"
_BASIC: Final = ("bool", "int32", "int64", "uint32", "uint64", "float", "double", "string", "bytes")


def file() -> FileDescriptorProto:
    """The table as a descriptor."""
    described = FileDescriptorProto(name="kring/open_inference.proto", package=PACKAGE, syntax="proto3")
    for full_name, fields in TABLE.items():
        outer, _, inner = full_name.rpartition(".")
        name = inner or full_name
        message = _message(described, outer).nested_type.add() if outer else _message(described, name)
        message.name = name
        _fill(message, fields, full_name)
    return described


def classes() -> dict[str, Any]:
    """The class of every message, by name."""
    pool = DescriptorPool()
    pool.Add(file())
    return {name: GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}")) for name in TABLE}


def _message(described: FileDescriptorProto, name: str) -> Any:
    """The outer message of that name, which its inner ones may have made before."""
    found = next((one for one in described.message_type if one.name == name), None)
    if found is None:
        found = described.message_type.add()
        found.name = name
    return found


def _fill(message: DescriptorProto, fields: str, full_name: str) -> None:
    for label, value, name, number in _parsed(fields):
        made = message.field.add(name=name, number=number, label=FieldDescriptorProto.LABEL_OPTIONAL)
        if label == "repeated":
            made.label = FieldDescriptorProto.LABEL_REPEATED
        if label == "one":
            if not message.oneof_decl:
                message.oneof_decl.add(name=ONE_OF)
            made.oneof_index = 0
        if label == "map":
            entry = message.nested_type.add(name=f"{name.title()}Entry")
            entry.options.map_entry = True
            entry.field.add(name="key", number=1, label=1, type=FieldDescriptorProto.TYPE_STRING)
            _typed(entry.field.add(name="value", number=2, label=1), value)
            made.label = FieldDescriptorProto.LABEL_REPEATED
            _typed(made, f"{full_name}.{entry.name}")
        else:
            _typed(made, value)


def _parsed(fields: str) -> Iterator[tuple[str, str, str, int]]:
    for field in filter(None, fields.split("; ")):
        declared, _, number = field.partition("=")
        *label, type, name = declared.split()
        yield "".join(label), type, name, int(number)


def _typed(field: FieldDescriptorProto, type: str) -> None:
    if type in _BASIC:
        field.type = FieldDescriptorProto.Type.Value(f"TYPE_{type.upper()}")
    else:
        field.type = FieldDescriptorProto.TYPE_MESSAGE
        field.type_name = f".{PACKAGE}.{type}"
