"""The native protocol: named fields in; decision, reasons and the id of the record out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import parse_qs, quote

import msgspec

from kring.api.bodies import json_of, require_media
from kring.api.exchange import Request, Response, Route
from kring.api.faults import native
from kring.errors import KringError, UserError
from kring.record.answer import Answer
from kring.serve.line import Line
from kring.serve.reading import Rows, named_rows

MOST_ROWS: Final = 1000
MOST_FIELDS: Final = 20
METHODS: Final = ("shap", "lime")
_encode: Final = msgspec.json.Encoder().encode


class Inputs(msgspec.Struct):
    """One row of named fields, or several."""

    inputs: dict[str, Any] | list[dict[str, Any]]


class Explained(msgspec.Struct):
    """What is read of an explanation."""

    reasons: list[str]


class Fault(msgspec.Struct):
    message: str


class Told(msgspec.Struct):
    """What is read of an error of the control process."""

    error: Fault


class Decisions(msgspec.Struct):
    """The answers to several rows, in their order."""

    decisions: list[Answer]


def decide(request: Request) -> Awaitable[Response]:
    """One answer for one row, a list of them for a list; with reasons, when they are asked for."""
    line = request.line()
    rows = line.reader.quick(request.body)
    if rows is not None and not request.query:
        return request.decide(line, rows, one)
    method = explained_by(request.query)
    rows, several = (rows, False) if rows is not None else read(line, request)
    if method and len(rows.values) > 1:
        raise UserError("one decision is explained at a time", got=f"{len(rows.values)} rows", key="explain")
    made = many if several else one
    if method:
        return reasoned(request, line.ask(rows, key=request.key(line)), method, made=made)
    return request.decide(line, rows, made)


def one(answers: list[Answer]) -> Response:
    """The answer to a row."""
    return Response(200, _encode(answers[0]))


def many(answers: list[Answer]) -> Response:
    """The answers to a list of rows."""
    return Response(200, _encode(Decisions(answers)))


async def reasoned(
    request: Request, told: Awaitable[list[Answer]], method: str, *, made: Callable[[list[Answer]], Response]
) -> Response:
    """The answer to one row, with its reasons."""
    (answer,) = await told
    return made([await explained(request, answer, method)])


def explained_by(query: str) -> str:
    """The method of `?explain=`; none without it."""
    try:
        asked = parse_qs(query, keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError as error:
        raise UserError(
            "the query has too many fields", got=f"more than {MOST_FIELDS}", allowed="explain", key="explain"
        ) from error
    unknown = sorted(asked.keys() - {"explain"})
    method = asked.get("explain", [""])[-1]
    if unknown or ((method or "explain" in asked) and method not in METHODS):
        raise UserError(
            "this is not read here" if unknown else "there is no such way to explain",
            got=unknown[0][:80] if unknown else repr(method)[:80],
            allowed=" or ".join(f"explain={name}" for name in METHODS),
            key=unknown[0][:80] if unknown else "explain",
        )
    return method


async def explained(request: Request, answer: Answer, method: str) -> Answer:
    """The answer with the reasons that the control process finds; what keeps it from finding any is the last reason."""
    if request.beyond is None:
        return answer
    target = f"/api/decisions/{answer.id}/explanation?method={method}"
    try:
        status, body = await request.beyond(f"/systems/{quote(request.line().name)}{target}")
        told = "" if status == 200 else msgspec.json.decode(body, type=Told).error.message
    except KringError as error:  # the decision stands, and its id is worth more than its reasons
        told = error.message
    reasons = [f"not explained: {told}"] if told else msgspec.json.decode(body, type=Explained).reasons
    return msgspec.structs.replace(answer, reasons=[*answer.reasons, *reasons])


def read(line: Line, request: Request) -> tuple[Rows, bool]:
    """The rows of the body, and whether they came as a list."""
    require_media(request.headers)
    body = json_of(request.body)
    if not isinstance(body, dict) or body.keys() != {"inputs"}:
        got = ", ".join(map(str, body))[:80] if isinstance(body, dict) else type(body).__name__
        raise UserError(
            "the body holds one key, inputs", got=got or "{}", allowed='{"inputs": {"field": value, …}}', key="inputs"
        )
    return line.reader.read(named_rows(body["inputs"], most=MOST_ROWS)), isinstance(body["inputs"], list)


ROUTES: Final = (
    Route(
        method="POST",
        path="/api/decisions",
        handler=decide,
        action="decide",
        fault=native,
        summary="Decide on one row of named fields, or on several",
        takes=Inputs,
        gives=Answer | Decisions,
    ),
)
