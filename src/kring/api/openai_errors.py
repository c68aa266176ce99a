"""Errors in the form that clients of OpenAI's interface know."""

from __future__ import annotations

from typing import Final

import msgspec

from kring.api.exchange import Response
from kring.api.faults import headers_of, sentence
from kring.errors import KringError

KINDS: Final[dict[int, tuple[str, str]]] = {
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("permission_error", "permission_denied"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
    503: ("server_error", "overloaded"),
}
"""Type and code where theirs differ from ours."""


class Told(msgspec.Struct):
    """One error. `param` names the part of the body that it is about."""

    message: str
    type: str
    param: str | None
    code: str


class Fault(msgspec.Struct):
    error: Told


def fault(error: KringError, status: int) -> Response:
    """`{"error": {"message", "type", "param", "code"}}`, with what was got and what is allowed in the message."""
    kind, code = KINDS.get(status, ("server_error" if status >= 500 else "invalid_request_error", error.code))
    told = Told(sentence(error), kind, error.key or None, code)
    return Response(status, msgspec.json.encode(Fault(told)), headers=headers_of(error, status))
