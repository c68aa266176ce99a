"""The native protocol: named fields in; decision, reasons and the id of the record out."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from kring.api.bodies import json_of, require_media
from kring.api.exchange import Request, Response, Route
from kring.api.faults import native
from kring.errors import UserError
from kring.record.answer import Answer
from kring.serve.line import Line
from kring.serve.reading import Rows, named_rows

MOST_ROWS: Final = 1000
_encode: Final = msgspec.json.Encoder().encode


class Inputs(msgspec.Struct):
    """One row of named fields, or several."""

    inputs: dict[str, Any] | list[dict[str, Any]]


class Decisions(msgspec.Struct):
    """The answers to several rows, in their order."""

    decisions: list[Answer]


async def decide(request: Request) -> Response:
    """One answer for one row, a list of them for a list."""
    line = request.line()
    rows = line.reader.quick(request.body)
    if rows is not None:
        return Response(200, _encode((await line.ask(rows))[0]))
    rows, several = read(line, request)
    answers = await line.ask(rows)
    return Response(200, _encode(Decisions(answers) if several else answers[0]))


def read(line: Line, request: Request) -> tuple[Rows, bool]:
    """The rows of the body, and whether they came as a list."""
    require_media(request.headers)
    body = json_of(request.body)
    if not isinstance(body, dict) or body.keys() != {"inputs"}:
        got = ", ".join(map(str, body))[:80] if isinstance(body, dict) else type(body).__name__
        raise UserError(
            "the body holds one key, inputs", got=got or "{}", allowed='{"inputs": {"field": value, …}}', key="inputs"
        )
    return line.read(named_rows(body["inputs"], most=MOST_ROWS)), isinstance(body["inputs"], list)


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
