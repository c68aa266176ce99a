"""Open Inference Protocol v2 over HTTP. A model is a system, its version the live one; tensors are fields and outputs.

The binary tensor extension is spoken both ways: the JSON comes first, its length in a header, then the raw data of the
tensors that name a `binary_data_size`.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

import kring
from kring.api.bodies import require_media
from kring.api.exchange import JSON, Deciding, Handler, Request, Response, Route
from kring.api.faults import headers_of, sentence
from kring.api.health import Readiness
from kring.api.tables import Column, decoded, inputs_of, outputs_of, read, require_version
from kring.api.tensors import (
    OF_KIND,
    Tensor,
    outputs,
    packed,
    parameters,
    require_content_type,
    require_rows,
    rows_of,
    tensor,
    unpacked,
)
from kring.errors import KringError, UserError
from kring.record.answer import Answer
from kring.serve.line import Line

EXTENSIONS: Final = ("binary_tensor_data",)
PLATFORM: Final = "kring_version"
LENGTH: Final = "inference-header-content-length"
OCTETS: Final = "application/octet-stream"
_encode: Final = msgspec.json.Encoder().encode


class Fault(msgspec.Struct):
    error: str


class Live(msgspec.Struct):
    """What both questions for health are answered with; `ready` is what clients of other servers look for."""

    live: bool
    ready: bool


class Ready(msgspec.Struct):
    name: str
    ready: bool


class Server(msgspec.Struct):
    name: str
    version: str
    extensions: tuple[str, ...] = EXTENSIONS


class TensorForm(msgspec.Struct):
    """A tensor as it is described; -1 stands for the number of rows."""

    name: str
    datatype: str
    shape: tuple[int, ...] = (-1,)


class Model(msgspec.Struct):
    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorForm]
    outputs: list[TensorForm]


class InputTensor(msgspec.Struct):
    """One field of all rows; or all fields, see `kring.api.tensors.rows_of`."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any] | None = None
    parameters: dict[str, Any] = {}


class RequestedOutput(msgspec.Struct):
    name: str
    parameters: dict[str, Any] = {}


class Infer(msgspec.Struct):
    """A request; of its parameters, `binary_data_output` is read."""

    inputs: list[InputTensor]
    id: str | None = None
    parameters: dict[str, Any] = {}
    outputs: list[RequestedOutput] = []


class OutputTensor(msgspec.Struct, omit_defaults=True):
    name: str
    shape: tuple[int, ...]
    datatype: str
    data: list[Any] | None = None
    parameters: dict[str, Any] = {}


class Inferred(msgspec.Struct, omit_defaults=True):
    """The answer. `parameters` hold the ids of the decisions on record and their versions."""

    model_name: str
    model_version: str
    outputs: list[OutputTensor]
    id: str | None = None
    parameters: dict[str, str] = {}


_infer: Final = msgspec.json.Decoder(Infer)


def fault(error: KringError, status: int) -> Response:
    """`{"error": "…"}`."""
    return Response(status, _encode(Fault(sentence(error))), headers=headers_of(error, status))


def routes(readiness: Readiness) -> tuple[Route, ...]:
    """Every path of the protocol."""

    async def live(_: Request) -> Response:
        return Response(200, _encode(Live(True, readiness()[0])))

    async def ready(_: Request) -> Response:
        is_ready = readiness()[0]
        return Response(200 if is_ready else 503, _encode(Live(is_ready, is_ready)))

    asked: list[tuple[str, Handler, str, Any]] = [
        ("", server, "The server, as the Open Inference Protocol describes it", Server),
        ("/", server, "The server, as the Open Inference Protocol describes it", Server),
        ("/health/live", live, "Whether the worker lives", Live),
        ("/health/ready", ready, "Whether all models can be asked", Live),
    ]
    for path in ("/models/{model}", "/models/{model}/versions/{version}"):
        asked.append((path, model, "What a system is asked and answers, as tensors", Model))
        asked.append((f"{path}/ready", model_ready, "Whether a system can be asked", Ready))
    return (
        *(_get(*one, public=one[1] in (live, ready)) for one in asked),
        _post("/models/{model}/infer"),
        _post("/models/{model}/versions/{version}/infer"),
    )


def _get(path: str, handler: Handler, summary: str, gives: Any, *, public: bool) -> Route:
    return Route(
        method="GET",
        path=f"/v2{path}",
        handler=handler,
        action="decide",
        fault=fault,
        summary=summary,
        public=public,
        gives=gives,
    )


def _post(path: str) -> Route:
    return Route(
        method="POST",
        path=f"/v2{path}",
        handler=infer,
        action="decide",
        fault=fault,
        summary="Decide on rows that come as tensors",
        takes=Infer,
        gives=Inferred,
    )


async def server(_: Request) -> Response:
    """Name, version and extensions of this server."""
    return Response(200, _encode(Server("kring", kring.__version__)))


async def model(request: Request) -> Response:
    """The tensors of one system."""
    return Response(200, _encode(model_of(line_of(request))))


async def model_ready(request: Request) -> Response:
    """Whether the system acknowledges decisions."""
    line = line_of(request)
    return Response(503 if line.stopped else 200, _encode(Ready(line.name, not line.stopped)))


def infer(request: Request) -> Deciding:
    """One answer per row, durable before it is told."""
    line = line_of(request)
    require_media(request.headers, JSON, OCTETS)
    asked, raw = split(request)
    require_rows(line, asked.inputs)
    tensors = tensors_of(asked, raw)
    names = [one.name for one in asked.outputs]
    outputs(line, (), asked=names)

    def made(answers: list[Answer]) -> Response:
        told = Inferred(line.name, line.served.pointer.live, [], id=asked.id, parameters=parameters(answers))
        return response(told, outputs(line, answers, asked=names), binary=binary_outputs(asked, line))

    return request.decide(line, read(line, rows_of(line, tensors)), made)


def line_of(request: Request) -> Line:
    """The line of the system and version that the path names."""
    line = request.line(request.params["model"])
    require_version(line, request.params.get("version", ""))
    return line


def model_of(line: Line) -> Model:
    """What is told of a system."""
    return Model(line.name, [line.served.pointer.live], PLATFORM, forms_of(inputs_of(line)), forms_of(outputs_of(line)))


def forms_of(columns: list[Column]) -> list[TensorForm]:
    """Columns as tensors of one value per row."""
    return [TensorForm(column.name, OF_KIND[column.kind]) for column in columns]


def split(request: Request) -> tuple[Infer, bytes]:
    """The JSON of a body, and the raw data behind it."""
    length = request.headers.get(LENGTH)
    if length is None:
        return decoded(request.body, _infer), b""
    if not (str(length).isdecimal() and len(str(length)) < 12 and int(length) <= len(request.body)):
        raise UserError(
            "the header Inference-Header-Content-Length does not fit the body",
            got=str(length)[:80],
            allowed=f"a number of bytes up to {len(request.body):,}",
        )
    at = int(length)
    return decoded(request.body[:at], _infer), request.body[at:]


def tensors_of(asked: Infer, raw: bytes) -> list[Tensor]:
    """The tensors of a request, out of JSON or out of the raw data behind it."""
    tensors, at = [], 0
    for one in asked.inputs:
        require_content_type(one.name, one.parameters.get("content_type"))
        size = one.parameters.get("binary_data_size")
        if size is None:
            tensors.append(tensor(one.name, one.shape, one.datatype, one.data))
            continue
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= len(raw) - at:
            raise UserError(
                f"the raw data of input {one.name[:80]!r} is not there",
                got=f"binary_data_size {size!r}"[:80],
                allowed=f"up to the {len(raw) - at:,} bytes that are left behind the JSON",
            )
        tensors.append(unpacked(one.name, one.shape, one.datatype, raw[at : at + size]))
        at += size
    if at != len(raw):
        raise UserError("raw data is left that no input names", got=f"{len(raw) - at:,} bytes", allowed="none")
    return tensors


def binary_outputs(asked: Infer, line: Line) -> frozenset[str]:
    """The names of the outputs that are asked for as raw data."""
    all_of_them = asked.parameters.get("binary_data_output") is True
    if not asked.outputs:
        return frozenset(column.name for column in outputs_of(line)) if all_of_them else frozenset()
    return frozenset(one.name for one in asked.outputs if one.parameters.get("binary_data", all_of_them) is True)


def response(told: Inferred, tensors: list[Tensor], *, binary: frozenset[str]) -> Response:
    """The answer as JSON; with raw data behind it when some of the outputs are `binary`."""
    parts = []
    for one in tensors:
        if one.name in binary:
            parts.append(packed(one))
            size = {"binary_data_size": len(parts[-1])}
            told.outputs.append(OutputTensor(one.name, one.shape, one.datatype, parameters=size))
        else:
            told.outputs.append(OutputTensor(one.name, one.shape, one.datatype, one.data))
    body = _encode(told)
    if not parts:
        return Response(200, body)
    return Response(200, b"".join([body, *parts]), OCTETS, ((LENGTH, str(len(body))),))
