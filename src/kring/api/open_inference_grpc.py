"""Open Inference Protocol v2 over gRPC, on a port of its own: the same tensors and lines as over HTTP.

The key comes as metadata (`authorization: Bearer …` or `x-api-key`), an error goes as a status with our message. What
HTTP says in headers is metadata too: `idempotency-key`, `traceparent`, `tracestate`.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

import kring
from kring.api.exchange import Action, Headers, Lines, key_of
from kring.api.faults import sentence
from kring.api.health import Readiness
from kring.api.open_inference import EXTENSIONS, PLATFORM, forms_of
from kring.api.open_inference_messages import RPCS, SERVICE, classes
from kring.api.tables import inputs_of, outputs_of, read, require_version
from kring.api.tensors import (
    DATATYPES,
    Tensor,
    outputs,
    packed,
    parameters,
    require_content_type,
    require_rows,
    require_size,
    rows_of,
    tensor,
    unpacked,
)
from kring.api.traced import ANSWERED, STATE, single
from kring.errors import (
    Conflict,
    Forbidden,
    KringError,
    NotFound,
    Refused,
    StorageError,
    TooMuch,
    Unauthenticated,
    Unavailable,
    UserError,
    way_of,
)
from kring.ports.spans import ASKED_IN, GRPC, Spans
from kring.serve.line import Line

MOST_BYTES: Final = 8 << 20
ONCE: Final = "idempotency-key"
PUBLIC: Final = frozenset({"ServerLive", "ServerReady"})
"""Load balancers ask these all day, without a key: no span is told of them, and no message of theirs is waited for."""

MOST_CALLS: Final = 256
"""Calls at once; more are told to come back."""

SLOWEST_S: Final = 10.0
"""How long the message of a call may take to arrive, once it is known who calls."""

CODES: Final = (
    (Unauthenticated, grpc.StatusCode.UNAUTHENTICATED),
    (Forbidden, grpc.StatusCode.PERMISSION_DENIED),
    (NotFound, grpc.StatusCode.NOT_FOUND),
    (TooMuch, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (Conflict, grpc.StatusCode.ABORTED),
    (Refused, grpc.StatusCode.INVALID_ARGUMENT),
    (UserError, grpc.StatusCode.INVALID_ARGUMENT),
    (Unavailable, grpc.StatusCode.UNAVAILABLE),
)
"""The first kind that fits says the code."""

CONTENTS: Final = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
PARAMETERS: Final = {bool: "bool_param", int: "int64_param", str: "string_param", float: "double_param"}

LinesFor = Callable[[Headers, Action, str], AbstractContextManager[Lines]]
"""(metadata, action, address of the caller) → the systems that the caller may come to, left when the call is answered;
`Unauthenticated` for nobody we know."""

_log: Final = logging.getLogger("kring.api")
_messages: Final = classes()


async def serve_grpc(
    lines_for: LinesFor,
    *,
    readiness: Readiness,
    host: str,
    port: int,
    spans: Spans | None = None,
    credentials: tuple[bytes, bytes] | None = None,
    most_bytes: int = MOST_BYTES,
) -> tuple[grpc.aio.Server, int]:
    """A started server on this loop and its port; `await server.stop(grace)` ends it. Several processes may share the
    port. `credentials` are a private key and a certificate chain (PEM); without them it speaks in clear. `spans` are
    told of each call but those about health.

    `StorageError` when the port can't be had.
    """
    limits = [
        ("grpc.max_receive_message_length", most_bytes),
        ("grpc.so_reuseport", 1),
        ("grpc.max_metadata_size", 16 << 10),
    ]
    server = grpc.aio.server(options=limits, maximum_concurrent_rpcs=MOST_CALLS)
    server.add_generic_rpc_handlers((Calls(lines_for, readiness, spans).handlers(),))
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        if credentials is None:
            bound = server.add_insecure_port(address)
        else:
            bound = server.add_secure_port(address, grpc.ssl_server_credentials([credentials]))
    except RuntimeError as error:
        raise StorageError("the port for gRPC can't be had", got=address, next="choose another one") from error
    await server.start()
    return server, bound


class Calls:
    """The six calls of the service. To callers each takes one message; here it is read as a stream of one, so that who
    calls is looked at first: strangers hold no call open."""

    def __init__(self, lines_for: LinesFor, readiness: Readiness, spans: Spans | None = None) -> None:
        self._lines_for = lines_for
        self._readiness = readiness
        self._spans = spans

    def handlers(self) -> grpc.GenericRpcHandler:
        """What a gRPC server dispatches to."""
        calls: dict[str, Callable[..., Awaitable[Any]]] = {
            "ServerLive": self.server_live,
            "ServerReady": self.server_ready,
            "ModelReady": self.model_ready,
            "ServerMetadata": self.server_metadata,
            "ModelMetadata": self.model_metadata,
            "ModelInfer": self.model_infer,
        }
        made = {
            name: grpc.stream_unary_rpc_method_handler(
                functools.partial(self._called, name, calls[name]),
                response_serializer=lambda message: message.SerializeToString(),
            )
            for name in RPCS
        }
        return grpc.method_handlers_generic_handler(SERVICE, made)

    async def server_live(self) -> Any:
        """Whether the worker lives; nobody needs a key."""
        return _messages["ServerLiveResponse"](live=True)

    async def server_ready(self) -> Any:
        """Whether all models can be asked; nobody needs a key."""
        return _messages["ServerReadyResponse"](ready=self._readiness()[0])

    async def server_metadata(self, asked: Any, lines: Lines, context: Any) -> Any:
        """Name, version and extensions."""
        del asked, lines, context
        return _messages["ServerMetadataResponse"](name="kring", version=kring.__version__, extensions=EXTENSIONS)

    async def model_ready(self, asked: Any, lines: Lines, context: Any) -> Any:
        """Whether the system acknowledges decisions."""
        del context
        return _messages["ModelReadyResponse"](ready=not line_of(lines, asked.name, asked.version).stopped)

    async def model_metadata(self, asked: Any, lines: Lines, context: Any) -> Any:
        """The tensors of one system."""
        del context
        line = line_of(lines, asked.name, asked.version)
        told = _messages["ModelMetadataResponse"](
            name=line.name, versions=[line.served.pointer.live], platform=PLATFORM
        )
        for tensors, columns in ((told.inputs, inputs_of(line)), (told.outputs, outputs_of(line))):
            for form in forms_of(columns):
                tensors.add(name=form.name, datatype=form.datatype, shape=form.shape)
        return told

    async def model_infer(self, asked: Any, lines: Lines, context: Any) -> Any:
        """One answer per row, durable before it is told; raw where the request is raw."""
        line = line_of(lines, asked.model_name, asked.model_version)
        names = [one.name for one in asked.outputs]
        outputs(line, (), asked=names)
        text = single_of(context, ONCE)
        rows = read(line, rows_of(line, tensors_of(line, asked)))
        body = asked.SerializeToString(deterministic=True) if text else b""
        answers = await line.ask(rows, key=key_of(line, text, by=lines.principal, body=body) if text else None)
        told = _messages["ModelInferResponse"](
            model_name=line.name, model_version=line.served.pointer.live, id=asked.id
        )
        for name, value in parameters(answers).items():
            told.parameters[name].string_param = value
        _tell(told, outputs(line, answers, asked=names), raw=bool(asked.raw_input_contents))
        return told

    def _lines(self, context: Any) -> AbstractContextManager[Lines]:
        metadata = {name.lower(): value for name, value in context.invocation_metadata() or ()}
        return self._lines_for(metadata, "decide", address_of(context.peer()))

    async def _called(
        self, name: str, call: Callable[..., Awaitable[Any]], sent: AsyncIterator[bytes], context: Any
    ) -> Any:
        """The answer of a call, told as a span where spans are told."""
        if self._spans is None or name in PUBLIC:
            return await self._answered(name, call, sent, context)
        span = self._spans.request(
            name,
            f"{SERVICE}/{name}",
            scheme=GRPC,
            parent=single(all_of(context, ANSWERED)),
            state=",".join(all_of(context, STATE)),
        )
        context.set_trailing_metadata(((ANSWERED, span.parental),))
        before = ASKED_IN.set(span)
        try:
            return await self._answered(name, call, sent, context)
        finally:
            ASKED_IN.reset(before)
            span.status = context.code().value[0] if context.code() else 0
            self._spans.end(span)

    async def _answered(
        self, name: str, call: Callable[..., Awaitable[Any]], sent: AsyncIterator[bytes], context: Any
    ) -> Any:
        """What a call came to, or its error as gRPC tells one."""
        try:
            if name in PUBLIC:
                return await call()
            with self._lines(context) as lines:
                return await call(message(_messages[f"{name}Request"], await only(sent)), lines, context)
        except KringError as error:
            await context.abort(code_of(error), sentence(error)[:4000])
        except Exception as error:  # noqa: BLE001  the edge: nobody above can tell it
            _log.error("a fault of Kring's own in a gRPC call\n%s", way_of(error))
            await context.abort(grpc.StatusCode.INTERNAL, "a fault of Kring's own (next: look at the server's log)")


async def only(sent: AsyncIterator[bytes]) -> bytes:
    """The one message of a call. `UserError` when it does not come, or not in time."""
    try:
        async with asyncio.timeout(SLOWEST_S):
            return await anext(sent)
    except TimeoutError:
        raise UserError("the message did not arrive in time", allowed=f"{SLOWEST_S:.0f} s") from None
    except StopAsyncIteration:
        raise UserError("there is no message", got="an empty call", allowed="one message") from None


def all_of(context: Any, name: str) -> list[str]:
    """Every value that the metadata holds under a name."""
    return [value for key, value in context.invocation_metadata() or () if key == name]


def single_of(context: Any, name: str) -> str | None:
    """The one value, if there is any; `UserError` when there are two, since to choose would be to answer another
    question."""
    values = all_of(context, name)
    if len(values) > 1:
        raise UserError(f"the metadata {name} can't be read", got="it comes more than once", allowed="once", key=name)
    return values[0] if values else None


def message(kind: Any, raw: bytes) -> Any:
    """The message that `raw` holds; `UserError` for bytes that hold none."""
    try:
        return kind.FromString(raw)
    except DecodeError as error:
        raise UserError("this is no such message", got=str(error)[:200], allowed=kind.DESCRIPTOR.full_name) from error


def address_of(peer: str) -> str:
    """The address in what gRPC calls a peer: `ipv4:127.0.0.1:50051`, `ipv6:[::1]:50051`."""
    return peer.partition(":")[2].rpartition(":")[0].removeprefix("[").removesuffix("]")


def code_of(error: KringError) -> grpc.StatusCode:
    """The status that gRPC gives an error."""
    return next((code for kind, code in CODES if isinstance(error, kind)), grpc.StatusCode.INTERNAL)


def line_of(lines: Lines, name: str, version: str) -> Line:
    """The line of a system by its live version; of the only system for an empty name."""
    line = lines.line(name)
    require_version(line, version)
    return line


def tensors_of(line: Line, asked: Any) -> list[Tensor]:
    """The tensors of a request, typed or raw, never both. They are read once their shapes are those of rows."""
    raw: Sequence[bytes] = asked.raw_input_contents
    if raw and len(raw) != len(asked.inputs):
        raise UserError(
            "raw contents do not fit the inputs", got=f"{len(raw)} of {len(asked.inputs)}", allowed="one for each input"
        )
    if not asked.inputs:
        raise UserError("there are no inputs", got="none", allowed="one tensor per field")
    require_rows(line, asked.inputs)
    return [_tensor(one, raw[place] if raw else None) for place, one in enumerate(asked.inputs)]


def _tensor(one: Any, raw: bytes | None) -> Tensor:
    content_type = one.parameters["content_type"].string_param if "content_type" in one.parameters else None
    require_content_type(one.name, content_type)
    given = [descriptor.name for descriptor, _ in one.contents.ListFields()]
    if raw is not None:
        if given:
            raise UserError(
                f"input {one.name[:80]!r} has raw and typed contents", got=given[0], allowed="one of the two"
            )
        return unpacked(one.name, list(one.shape), one.datatype, raw)
    wanted = CONTENTS.get(one.datatype)
    if wanted is None:
        raise UserError(
            f"input {one.name[:80]!r} has no typed contents of this datatype",
            got=one.datatype[:80],
            allowed=", ".join(CONTENTS) if one.datatype not in DATATYPES else "raw_input_contents",
        )
    if given and given != [wanted]:
        raise UserError(f"the contents of input {one.name[:80]!r} do not fit", got=", ".join(given), allowed=wanted)
    require_size(one.name, one.shape, len(getattr(one.contents, wanted)))
    data = list(getattr(one.contents, wanted))
    return tensor(one.name, list(one.shape), one.datatype, _read(one.name, data) if one.datatype == "BYTES" else data)


def _read(name: str, data: list[bytes]) -> list[str]:
    try:
        return [one.decode() for one in data]
    except UnicodeDecodeError as error:
        raise UserError(f"input {name[:80]!r} holds no texts", got=str(error)[:200], allowed="UTF-8") from error


def _tell(told: Any, tensors: Sequence[Tensor], *, raw: bool) -> None:
    for one in tensors:
        made = told.outputs.add(name=one.name, datatype=one.datatype, shape=one.shape)
        if raw:
            told.raw_output_contents.append(packed(one))
        else:
            data = [text.encode() for text in one.data] if one.datatype == "BYTES" else one.data
            getattr(made.contents, CONTENTS[one.datatype]).extend(data)
