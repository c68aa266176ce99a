"""What SageMaker's container contract adds to `/invocations`: JSON Lines, answers as the caller accepts them, and
custom attributes. SageMaker passes on no other header of a caller, so a system is named there: `system=NAME`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from kring.api.exchange import JSON, Headers
from kring.api.mlflow import Predictions, from_instances
from kring.api.tables import Raws, few
from kring.errors import UserError
from kring.record.decision import Value
from kring.serve.line import Line

CSV: Final = "text/csv"
LINES: Final = "application/jsonlines"
ATTRIBUTES: Final = "x-amzn-sagemaker-custom-attributes"
ANSWERS: Final = (JSON, LINES, CSV)
MOST_ATTRIBUTES: Final = 1024
_encoder: Final = msgspec.json.Encoder()


def raws_of_lines(line: Line, body: bytes) -> Raws:
    """Rows of JSON Lines: each line an object of fields, or a list of values in the contract's order."""
    try:
        rows: list[Any] = [msgspec.json.decode(one) for one in few([one for one in body.splitlines() if one.strip()])]
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UserError(
            "the body is not JSON Lines", got=str(error)[:200], allowed="one JSON value per line"
        ) from error
    except RecursionError as error:
        raise UserError("the body is too deep", got="JSON in JSON in JSON …", allowed="a few levels") from error
    return from_instances(line, rows)


def media_of_answer(headers: Headers, *, asked: str) -> str:
    """What the caller accepts, best first; without a wish, JSON Lines for JSON Lines and JSON for all else."""
    accepted = str(headers.get("accept") or "*/*")
    for part in accepted.split(","):
        media = part.partition(";")[0].strip().lower()
        if media in ("*/*", "application/*", ""):
            return LINES if asked == LINES else JSON
        if media == "text/*":
            return CSV
        if media in ANSWERS:
            return media
    raise UserError("no answer is written like this", got=accepted[:80], allowed=", ".join(ANSWERS), key="accept")


def told(predictions: Sequence[dict[str, Value]], media: str) -> bytes:
    """Predictions as JSON, as JSON Lines, or as CSV without a heading, its columns in the order of JSON's keys."""
    if media == JSON:
        return _encoder.encode(Predictions(predictions))
    if media == LINES:
        return _encoder.encode_lines(predictions)
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(one.values() for one in predictions)
    return file.getvalue().encode()


def system_of(headers: Headers) -> str:
    """The system that the custom attributes name, if any: `system=NAME`, apart from others by `;` or `,`."""
    attributes = str(headers.get(ATTRIBUTES) or "")[:MOST_ATTRIBUTES]
    pairs = (part.partition("=") for part in attributes.replace(",", ";").split(";"))
    return next((value.strip() for name, _, value in pairs if name.strip() == "system"), "")
