"""Errors as HTTP tells them."""

from __future__ import annotations

import math
from typing import Final

import msgspec

from kring.api.exchange import Header, Response
from kring.errors import (
    Busy,
    Conflict,
    Forbidden,
    KringError,
    NotFound,
    Refused,
    TooMuch,
    Unauthenticated,
    Unavailable,
    UserError,
)

STATUS: Final[tuple[tuple[type[KringError], int], ...]] = (
    (Unauthenticated, 401),
    (Forbidden, 403),
    (NotFound, 404),
    (Conflict, 409),
    (Refused, 422),
    (UserError, 400),
    (Busy, 503),
    (Unavailable, 503),
)
"""The first kind that fits says the status."""

RETRY_S: Final = 1


def status_of(error: KringError) -> int:
    """413 and 415 are told by the key of the error, which names what was too large or of a wrong kind."""
    if isinstance(error, TooMuch):
        return 429 if error.after_s else 413
    if isinstance(error, UserError) and error.key == "content-type":
        return 415
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def headers_of(error: KringError, status: int) -> tuple[Header, ...]:
    """What tells the caller when to come back, or how to say who they are."""
    if status in (429, 503):
        after = getattr(error, "after_s", 0) or RETRY_S
        return (("retry-after", str(math.ceil(after))),)
    return (("www-authenticate", "Bearer"),) if status == 401 else ()


def told(error: KringError) -> dict[str, str]:
    """An error without what a caller has no business to know: where it happened on this machine."""
    facts = {"code": error.code, "message": error.message, "got": error.got, "allowed": error.allowed}
    return {name: text for name, text in (facts | {"next": error.next, "key": error.key}).items() if text}


def sentence(error: KringError) -> str:
    """An error in one line, for protocols whose errors are one text."""
    parts = (("got", error.got), ("allowed", error.allowed), ("next", error.next))
    said = "; ".join(f"{label}: {text}" for label, text in parts if text)
    return f"{error.message} ({said})" if said else error.message


def native(error: KringError, status: int) -> Response:
    """`{"error": {…}}`: the native form."""
    return Response(status, msgspec.json.encode({"error": told(error)}), headers=headers_of(error, status))
