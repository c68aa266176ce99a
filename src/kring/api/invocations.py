"""`POST /invocations`, which MLflow and SageMaker both call: one handler, which goes by the content type.

JSON is MLflow's, in its four forms; CSV is the same for both, with or without a heading; JSON Lines is SageMaker's.
The answer is JSON unless the caller accepts something else. Errors are in MLflow's form: SageMaker has none of its own.
"""

from __future__ import annotations

from typing import Final

from kring.api import mlflow, sagemaker
from kring.api.bodies import require_media
from kring.api.exchange import JSON, Deciding, Request, Response, Route
from kring.api.tables import Raws, from_csv, predictions, read
from kring.record.answer import Answer
from kring.serve.line import Line


def invoke(request: Request) -> Deciding:
    """One prediction per row, durable before it is told."""
    media = require_media(request.headers, JSON, sagemaker.CSV, sagemaker.LINES)
    answered_in = sagemaker.media_of_answer(request.headers, asked=media)
    attributes = request.headers.get(sagemaker.ATTRIBUTES) is not None
    line = request.line(sagemaker.system_of(request.headers))

    def made(answers: list[Answer]) -> Response:
        shown = f"system={line.name};version={answers[0].version}"
        headers = ((sagemaker.ATTRIBUTES, shown),) if attributes else ()
        return Response(200, sagemaker.told(predictions(line, answers), answered_in), answered_in, headers)

    return request.decide(line, read(line, raws_of(line, media, request.body)), made)


def raws_of(line: Line, media: str, body: bytes) -> Raws:
    """The rows of a body of that content type."""
    if media == sagemaker.CSV:
        return from_csv(line, body)
    if media == sagemaker.LINES:
        return sagemaker.raws_of_lines(line, body)
    return mlflow.raws_of(line, body)


ROUTES: Final = (
    Route(
        method="POST",
        path="/invocations",
        handler=invoke,
        action="decide",
        fault=mlflow.fault,
        summary="Decide on rows as MLflow and SageMaker send them",
        takes=mlflow.Invocation,
        gives=mlflow.Predictions,
    ),
)
