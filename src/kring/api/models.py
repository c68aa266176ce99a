"""`GET /v1/models/{model}`, which two protocols know: OpenAI's model for systems that answer in words, TensorFlow
Serving's status for all others.
"""

from __future__ import annotations

from typing import Final

from kring.api import openai, openai_errors, tensorflow
from kring.api.exchange import Request, Response, Route


async def one(request: Request) -> Response:
    """The model in the form of the protocol that such a system is asked by."""
    line = request.line(request.params["model"])
    return await (openai.retrieve if openai.is_asked_in_words(line) else tensorflow.status)(request)


ROUTES: Final = (
    Route(
        method="GET",
        path="/v1/models/{model}",
        handler=one,
        action="decide",
        fault=openai_errors.fault,
        summary="One system: as OpenAI retrieves a model, or as TensorFlow Serving tells its status",
    ),
)
