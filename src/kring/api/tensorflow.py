"""TensorFlow Serving's REST interface: status, metadata, predict, classify, regress. A model is a system; its one
version is the live one, which the label `live` names, too.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any, Final

import msgspec

from kring.api.bodies import require_media
from kring.api.exchange import Deciding, Handler, Request, Response, Route
from kring.api.faults import headers_of, sentence
from kring.api.mlflow import from_inputs, from_instances, single
from kring.api.tables import (
    Column,
    Kind,
    Raws,
    decoded,
    few,
    inputs_of,
    known,
    outputs_of,
    policy_of,
    predictions,
    read,
    require_version,
)
from kring.errors import KringError, NotFound, Unavailable, Unsupported, UserError
from kring.record.answer import Answer
from kring.serve.line import Line

SIGNATURE: Final = "serving_default"
LABEL: Final = "live"
DTYPES: Final[dict[Kind, str]] = {
    "number": "DT_DOUBLE",
    "integer": "DT_INT64",
    "boolean": "DT_BOOL",
    "text": "DT_STRING",
}
MOST_CONTEXT: Final = 8192
"""Bytes of a context, which every row repeats."""

ROWS: Final = {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}
_encode: Final = msgspec.json.Encoder().encode


class Fault(msgspec.Struct):
    error: str


class Predict(msgspec.Struct):
    """Rows as `instances`, or columns as `inputs`: exactly one of the two."""

    instances: list[Any] | msgspec.UnsetType = msgspec.UNSET
    inputs: Any = msgspec.UNSET
    signature_name: str = ""


class Examples(msgspec.Struct):
    """Rows of named features; what `context` holds is the same in each, and therefore small."""

    examples: list[dict[str, Any]]
    context: dict[str, Any] = {}
    signature_name: str = ""


_predict: Final = msgspec.json.Decoder(Predict)
_examples: Final = msgspec.json.Decoder(Examples)


def fault(error: KringError, status: int) -> Response:
    """`{"error": "…"}`."""
    return Response(status, _encode(Fault(sentence(error))), headers=headers_of(error, status))


async def status(request: Request) -> Response:
    """The state of the live version."""
    line = line_of(request)
    reason = {"error_code": "UNAVAILABLE" if line.stopped else "OK", "error_message": line.stopped}
    state = {"version": line.served.pointer.live, "state": "UNLOADING" if line.stopped else "AVAILABLE"}
    return Response(200, _encode({"model_version_status": [state | {"status": reason}]}))


async def metadata(request: Request) -> Response:
    """The signature of a system: its fields, and what it answers."""
    line = line_of(request)
    signature = {
        "inputs": _signed(inputs_of(line)),
        "outputs": _signed([*outputs_of(line), Column("id", "text"), Column("version", "text")]),
        "method_name": "tensorflow/serving/predict",
        "defaults": {},
    }
    told = {
        "model_spec": {"name": line.name, "signature_name": "", "version": line.served.pointer.live},
        "metadata": {"signature_def": {"signature_def": {SIGNATURE: signature}}},
    }
    return Response(200, _encode(told))


def predict(request: Request) -> Deciding:
    """Rows are answered by rows, columns by columns."""
    line = line_of(request)
    require_media(request.headers)
    asked = decoded(request.body, _predict)
    require_signature(asked.signature_name)
    if (asked.instances is msgspec.UNSET) is (asked.inputs is msgspec.UNSET):
        raise UserError(
            "the body holds rows or columns",
            got="both instances and inputs" if asked.inputs is not msgspec.UNSET else "neither instances nor inputs",
            allowed="instances (rows) or inputs (columns)",
        )

    def made(answers: list[Answer]) -> Response:
        rows = predictions(line, answers)
        if asked.inputs is msgspec.UNSET:
            return Response(200, _encode({"predictions": rows}))
        return Response(200, _encode({"outputs": {name: [row[name] for row in rows] for name in rows[0]}}))

    return request.decide(line, read(line, raws_of(line, asked)), made)


def classify(request: Request) -> Deciding:
    """For each example its labels, each with its probability."""
    line = line_of(request)
    if policy_of(line).output not in ("probability", "probabilities"):
        raise Unsupported(f"{line.name} has no labels", got=policy_of(line).output, next="ask :predict or :regress")
    return each(line, request, lambda answer: scores(line, answer))


def regress(request: Request) -> Deciding:
    """For each example one number."""
    line = line_of(request)
    if policy_of(line).output != "value":
        raise Unsupported(
            f"{line.name} answers no plain number", got=policy_of(line).output, next="ask :predict or :classify"
        )
    return each(line, request, number)


def each(line: Line, request: Request, made: Callable[[Answer], object]) -> Deciding:
    """What is made of the answer to each example."""

    def told(answers: list[Answer]) -> Response:
        return Response(200, _encode({"results": [made(one) for one in answers]}))

    return request.decide(line, read(line, examples_of(request)), told)


def line_of(request: Request) -> Line:
    """The line of the system that the path names, and of its live version."""
    line = request.line(request.params["model"])
    require_version(line, request.params.get("version", ""))
    label = request.params.get("label", LABEL)
    if label != LABEL:
        raise NotFound(f"{line.name} has no such label", got=label[:80], allowed=LABEL)
    return line


def require_signature(name: str) -> None:
    """`UserError` for any signature but the one there is."""
    if name not in ("", SIGNATURE):
        raise UserError("there is no such signature", got=name[:80], allowed=SIGNATURE, key="signature_name")


def raws_of(line: Line, asked: Predict) -> Raws:
    """The rows of a request to predict."""
    if isinstance(asked.instances, list):
        rows = from_instances(line, [plain(one) for one in few(asked.instances)])
    else:
        rows = from_inputs(line, decoded_columns(line, asked.inputs))
    return [{name: single(plain(value)) for name, value in row.items()} for row in rows]


def decoded_columns(line: Line, inputs: object) -> object:
    """Columns, or one value, with base64 read."""
    found = plain(inputs)
    if not isinstance(found, dict):
        return found
    return {
        name: [plain(one) for one in few(column)] if isinstance(column, list) else plain(column)
        for name, column in known(line, found).items()
    }


def examples_of(request: Request) -> Raws:
    """The rows of a request to classify or regress."""
    require_media(request.headers)
    asked = decoded(request.body, _examples)
    require_signature(asked.signature_name)
    size = len(_encode(asked.context))
    if size > MOST_CONTEXT:
        raise UserError("the context is too large", got=f"{size:,} bytes", allowed=f"{MOST_CONTEXT:,}", key="context")
    return [
        {name: single(plain(value)) for name, value in (asked.context | example).items()}
        for example in few(asked.examples)
    ]


def plain(value: object) -> object:
    """A text out of `{"b64": "…"}`, which is how this protocol writes bytes; anything else as it is."""
    if not isinstance(value, dict) or value.keys() != {"b64"}:
        return value
    try:
        return base64.b64decode(value["b64"], validate=True).decode()
    except (TypeError, ValueError, binascii.Error) as error:
        raise UserError("this is no text in base64", got=repr(value["b64"])[:80], allowed="base64 of UTF-8") from error


def scores(line: Line, answer: Answer) -> list[tuple[str, float]]:
    """The labels of one answer with their probabilities. `Unavailable` where a fallback had none."""
    labels, outputs = policy_of(line).labels, answer.outputs
    if policy_of(line).output == "probability":
        yes = outputs.get("probability")
        found = [1 - yes, yes] if isinstance(yes, float) else []
    else:
        given = [outputs.get(f"probability.{label}") for label in labels]
        found = [one for one in given if isinstance(one, float)]
    if len(found) != len(labels):
        raise _without("probabilities", answer)
    return list(zip(labels, found, strict=True))


def number(answer: Answer) -> float:
    """The decision as a number. `Unsupported` where it is none, since a person decides."""
    decision = answer.decision
    if isinstance(decision, bool) or not isinstance(decision, int | float):
        raise _without("a number", answer)
    return float(decision)


def _without(what: str, answer: Answer) -> KringError:
    """Worth another try when somebody stood in for the version; else not to be told in this form at all."""
    kind = Unavailable if answer.fallback else Unsupported
    return kind(
        f"a row was answered without {what}",
        got=f"{answer.decision} ({answer.fallback or ', '.join(answer.guards) or 'a business rule'}), {answer.id}",
        next="ask :predict, which tells the decision itself; this one is on record",
    )


def _signed(columns: list[Column]) -> dict[str, dict[str, Any]]:
    return {one.name: {"dtype": DTYPES[one.kind], "tensor_shape": ROWS, "name": one.name} for one in columns}


def _routes() -> tuple[Route, ...]:
    made: list[Route] = []
    for named in ("", "/versions/{version}", "/labels/{label}"):
        path = f"/v1/models/{{model}}{named}"
        if named:
            made.append(_route("GET", path, status, "The state of the live version, as TensorFlow Serving tells it"))
        made.append(_route("GET", f"{path}/metadata", metadata, "The signature of a system"))
        made.append(_route("POST", f"{path}:predict", predict, "Decide on rows or columns", takes=Predict))
        made.append(_route("POST", f"{path}:classify", classify, "Labels with probabilities", takes=Examples))
        made.append(_route("POST", f"{path}:regress", regress, "One number per example", takes=Examples))
    return tuple(made)


def _route(method: Any, path: str, handler: Handler, summary: str, *, takes: Any = None) -> Route:
    return Route(method=method, path=path, handler=handler, action="decide", fault=fault, summary=summary, takes=takes)


ROUTES: Final = _routes()
