"""Vertex AI's container contract: paths come from the environment, as the port of `kring serve` does."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import msgspec

from kring.api.bodies import require_media
from kring.api.exchange import Deciding, Request, Response, Route
from kring.api.faults import headers_of, sentence
from kring.api.health import Readiness
from kring.api.mlflow import Predictions, from_instances
from kring.api.tables import decoded, predictions, read
from kring.errors import ConfigError, KringError, UserError
from kring.record.answer import Answer

HEALTH: Final = "AIP_HEALTH_ROUTE"
PREDICT: Final = "AIP_PREDICT_ROUTE"
STATUSES: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    415: "INVALID_ARGUMENT",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}


class Told(msgspec.Struct):
    code: int
    message: str
    status: str


class Fault(msgspec.Struct):
    """An error as Google's interfaces tell it."""

    error: Told


class Prediction(msgspec.Struct):
    """Rows as objects of fields or lists of values. Of the parameters `system` is read, which names one of several:
    Vertex passes on no header of a caller."""

    instances: list[Any]
    parameters: dict[str, Any] | None = None


_prediction: Final = msgspec.json.Decoder(Prediction)


def fault(error: KringError, status: int) -> Response:
    """`{"error": {"code", "message", "status"}}`."""
    told = Told(status, sentence(error), STATUSES.get(status, "INTERNAL"))
    return Response(status, msgspec.json.encode(Fault(told)), headers=headers_of(error, status))


def routes(readiness: Readiness, *, environ: Mapping[str, str]) -> tuple[Route, ...]:
    """The routes that the environment asks for; none outside of Vertex. `ConfigError` for what is no path."""

    async def health(_: Request) -> Response:
        return Response(200 if readiness()[0] else 503, b"{}")

    asked_for = partial(Route, action="decide", fault=fault)
    made: list[Route] = []
    if HEALTH in environ:
        path, summary = path_of(environ, HEALTH), "Whether requests can be answered, as Vertex AI asks"
        made.append(asked_for(method="GET", path=path, handler=health, summary=summary, public=True))
    if PREDICT in environ:
        path, summary = path_of(environ, PREDICT), "Decide on rows as Vertex AI sends them"
        made.append(
            asked_for(method="POST", path=path, handler=predict, summary=summary, takes=Prediction, gives=Predictions)
        )
    return tuple(made)


def path_of(environ: Mapping[str, str], name: str) -> str:
    """The path in an environment variable."""
    path = environ[name]
    if not path.startswith("/") or any(sign in path for sign in "{}?# "):
        raise ConfigError(f"{name} is no path", got=path[:80], allowed="a path that begins with /", next=f"set {name}")
    return path


def predict(request: Request) -> Deciding:
    """One prediction per instance, durable before it is told."""
    require_media(request.headers)
    asked = decoded(request.body, _prediction)
    named = (asked.parameters or {}).get("system", "")
    if not isinstance(named, str):
        raise UserError("parameters.system is no name", got=type(named).__name__, allowed="a text")
    line = request.line(named)

    def made(answers: list[Answer]) -> Response:
        return Response(200, msgspec.json.encode(Predictions(predictions(line, answers))))

    return request.decide(line, read(line, from_instances(line, asked.instances)), made)
