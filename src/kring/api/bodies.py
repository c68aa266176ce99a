"""Bodies of requests, read with care: whatever they hold, the worst that happens is a refusal."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from kring.api.exchange import Headers
from kring.errors import UserError

JSON_TYPES: Final = ("application/json", "text/json", "application/x-www-form-urlencoded", "")
"""The form type is what curl says when nobody tells it otherwise; no form brings a key, so it opens nothing."""


def json_of(body: bytes) -> Any:
    """Decoded JSON. `UserError` for what is none, or too deep."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        got = str(error) if body else "an empty body"
        raise UserError("the body is not JSON", got=got, allowed="one JSON object", next="mend the body") from error
    except RecursionError as error:
        raise UserError("the body is too deep", got="JSON in JSON in JSON …", allowed="a few levels") from error


def media_of(headers: Headers) -> str:
    """The content type without its parameters, in lower case."""
    return str(headers.get("content-type") or "").partition(";")[0].strip().lower()


def require_media(headers: Headers, *allowed: str) -> str:
    """The content type, which is one of `allowed`; JSON without any. `UserError` (415) else."""
    media = media_of(headers)
    if media in (allowed or JSON_TYPES) or media.endswith("+json") or media in JSON_TYPES:
        return media
    raise UserError(
        "this kind of body is not read here",
        got=media[:80],
        allowed=", ".join(allowed) or "application/json",
        next="send another content type",
        key="content-type",
    )
