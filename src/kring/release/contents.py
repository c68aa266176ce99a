"""What a version folder may hold: JSON, YAML, text, ONNX and tables of SQLite, and each is what its name says.

Python, and tables as text, only where the files of a code link lie. Everything is parsed, nothing is run. An ONNX
model is complete in itself: no data in other files, no operators outside the standard, no bytes that no field of the
format names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

import msgspec
import onnx
import yaml
from google.protobuf.message import DecodeError

from kring.errors import Refused
from kring.record.version import CODE_FOLDER
from kring.release.folder import shown
from kring.release.pickles import CURE, refuse_pickle

STANDARD_DOMAINS: Final = ("", "ai.onnx", "ai.onnx.ml")
MAX_YAML: Final = 1 << 20
SQLITE: Final = b"SQLite format 3\x00"
CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def check_contents(name: str, data: bytes) -> None:
    """`Refused` unless `data` is of a kind a version may hold and what the name's ending says."""
    refuse_pickle(name, data)
    ending = name[name.rfind(".") :] if "." in name else ""
    kinds = {**KINDS, **OF_CODE} if name.removeprefix("baseline/").startswith(CODE_FOLDER) else KINDS
    check = kinds.get(ending)
    if check is None:
        raise refused(name, got=f"a file ending with {ending or 'nothing'}", allowed=f"{', '.join(kinds)} files")
    check(name, data)


def check_json(name: str, data: bytes) -> None:
    try:
        msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise refused(name, got=str(error), allowed="JSON in UTF-8") from error


def check_yaml(name: str, data: bytes) -> None:
    """One YAML mapping of plain values; the parser in Python bears deep nesting, the one in C does not."""
    if len(data) > MAX_YAML:
        raise refused(name, got=f"{len(data)} bytes", allowed=f"YAML of at most {MAX_YAML} bytes")
    check_text(name, data)
    try:
        read = yaml.safe_load(data.decode())
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise refused(name, got=" ".join(str(error).split()), allowed="YAML with plain values") from error
    if not isinstance(read, dict):
        raise refused(name, got=type(read).__name__, allowed="a YAML mapping")


def check_text(name: str, data: bytes) -> None:
    try:
        control = CONTROL.search(data.decode())
    except UnicodeDecodeError as error:
        raise refused(name, got=str(error), allowed="text in UTF-8") from error
    if control:
        raise refused(name, got=f"the control character {control[0]!r}", allowed="text in UTF-8")


def check_onnx(name: str, data: bytes) -> None:
    """A whole ONNX model of standard operators; `Refused` names what is not."""
    try:
        model = onnx.load_model_from_string(data)
    except DecodeError as error:
        raise refused(name, got="bytes that are no protobuf message", allowed="an ONNX model", next=CURE) from error
    if not (model.ir_version and model.opset_import and model.graph.output):
        raise refused(name, got="a message without a graph", allowed="an ONNX model", next=CURE)
    if model.functions or model.training_info:
        raise refused(
            name,
            got="functions or training steps of its own",
            allowed="a model of standard operators only",
            next="inline them before exporting (onnx.inliner.inline_local_functions)",
        )
    domains = {opset.domain for opset in model.opset_import} | {node.domain for node in nodes(model.graph)}
    foreign = sorted(domains - set(STANDARD_DOMAINS))
    if foreign:
        raise refused(
            name,
            got=f"operators of {', '.join(foreign)}",
            allowed="operators of ai.onnx and ai.onnx.ml",
            next="export without custom operators and before any optimisation for one machine",
        )
    if any(tensor.external_data or tensor.data_location for tensor in tensors(model.graph)):
        raise refused(
            name,
            got="data that lies in another file",
            allowed="a model with all of its data inside",
            next="save it with save_as_external_data=False",
        )
    model.DiscardUnknownFields()
    if model.ByteSize() != len(data):
        raise refused(
            name, got="bytes that no field of ONNX names", allowed="an ONNX model and nothing else", next=CURE
        )


def check_sqlite(name: str, data: bytes) -> None:
    """One whole database: its header, and as many pages as that says. Which tables it may hold is said where it is
    opened."""
    size = int.from_bytes(data[16:18], "big")
    size = 65536 if size == 1 else size
    pages = int.from_bytes(data[28:32], "big")
    if not data.startswith(SQLITE) or len(data) != size * pages or size < 512:
        raise refused(name, got=f"{len(data)} bytes that begin with {data[:16]!r}", allowed="a database of SQLite")


def nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Every node of `graph` and of the graphs inside it."""
    for node in graph.node:
        yield node
        for inner in subgraphs(node):
            yield from nodes(inner)


def tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Every tensor of `graph` and of the graphs inside it: initialisers and attributes."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in nodes(graph):
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
        for inner in subgraphs(node):
            yield from inner.initializer
            for sparse in inner.sparse_initializer:
                yield from (sparse.values, sparse.indices)


def subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def refused(name: str, *, got: str, allowed: str, next: str = "") -> Refused:
    return Refused(
        f"{shown(name)} does not belong into a version",
        got=got[:300],
        allowed=allowed,
        next=next or "leave it out, or give it in one of these forms",
        file=shown(name),
    )


KINDS: Final[dict[str, Callable[[str, bytes], None]]] = {
    ".json": check_json,
    ".onnx": check_onnx,
    ".sqlite": check_sqlite,
    ".yaml": check_yaml,
    ".toml": check_text,
    ".txt": check_text,
    ".md": check_text,
}
OF_CODE: Final[dict[str, Callable[[str, bytes], None]]] = dict.fromkeys((".py", ".csv", ".tsv"), check_text)
