"""Events of KServe's payload logger: what its models were asked and answered, as CloudEvents in either mode.

Types `org.kubeflow.serving.inference.request` and `.response`, with one id for both.
"""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from kring.api.bodies import json_of, media_of
from kring.api.exchange import Response
from kring.api.managed import Call, Managed, answer
from kring.api.native import MOST_ROWS
from kring.api.tables import from_values
from kring.api.tensors import require_rows, rows_of, tensor
from kring.errors import UserError
from kring.flow.serving.overhearing import Answered, Asked, Overheard, Overhearing
from kring.serve.reading import named_rows

PREFIX: Final = "org.kubeflow.serving.inference."
STRUCTURED: Final = "application/cloudevents+json"
REQUIRED: Final = ("id", "source", "specversion", "type")
LONGEST: Final = 512


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A CloudEvent whose data is JSON. `key` tells it and its other half from all others."""

    id: str
    source: str
    kind: str
    at: int
    data: Any
    size: int


def hear(call: Call) -> Response:
    """One event."""
    project = call.project(call.system or only(call))
    event = event_of(call)
    over = call.control.ears.of(project)
    version = call.query.get("version", "")
    half = asked(over, event) if event.kind == "request" else answered(over, event, version=version)
    return answer(over.hear(f"{event.source} {event.id}", half, size=event.size, version=version))


def only(call: Call) -> str:
    """The one system of the caller; `UserError` when there are several to choose from."""
    names = [project.system.name for project in call.seen()]
    if len(names) != 1:
        raise UserError(
            "several systems are served here" if names else "no system is served for this key",
            allowed=", ".join(names), next="post to /systems/NAME/api/events/kserve",
        )  # fmt: skip
    return names[0]


def event_of(call: Call) -> Event:
    """The event in a request, in structured or binary mode. `UserError` for what is none of KServe's."""
    media = media_of(call.headers)
    if media == STRUCTURED:
        whole = json_of(call.body)
        if not isinstance(whole, dict):
            raise unfit("the body", type(whole).__name__, "one CloudEvent as a JSON object")
        attributes = {name: value for name, value in whole.items() if not name.startswith("data")}
        data = structured(whole)
    elif media in ("application/json", ""):
        names = (*REQUIRED, "time")
        shown = {name: call.headers.get(f"ce-{name}") for name in names}
        attributes = {name: unquote(text) for name, text in shown.items() if text}
        if call.headers.get("inference-header-content-length"):
            raise unfit("the data", "tensors in binary", "tensors in JSON")
        data = json_of(call.body)
    else:
        raise UserError(
            "this kind of body is not read here", got=media[:80],
            allowed=f"{STRUCTURED}, or application/json with ce- headers", key="content-type",
        )  # fmt: skip
    return judged(attributes, data, size=len(call.body))


def structured(whole: dict[str, Any]) -> Any:
    """The data of an event in one piece."""
    if "data_base64" not in whole:
        return json_of(whole["data"].encode()) if isinstance(whole.get("data"), str) else whole.get("data")
    try:
        return json_of(base64.b64decode(whole["data_base64"], validate=True))
    except (binascii.Error, TypeError, ValueError) as error:
        raise unfit("data_base64", type(error).__name__, "base64") from error


def judged(attributes: dict[str, Any], data: Any, *, size: int) -> Event:
    for name in REQUIRED:
        value = attributes.get(name)
        if not isinstance(value, str) or not value or len(value) > LONGEST or not value.isprintable():
            raise unfit(name, repr(value)[:80], f"a text of up to {LONGEST} signs")
    if attributes["specversion"] != "1.0":
        raise unfit("specversion", repr(attributes["specversion"])[:80], "1.0")
    kind = attributes["type"].removeprefix(PREFIX)
    if kind not in ("request", "response") or not attributes["type"].startswith(PREFIX):
        raise unfit("type", repr(attributes["type"])[:80], f"{PREFIX}request, {PREFIX}response")
    at = moment(attributes.get("time"))
    return Event(id=attributes["id"], source=attributes["source"], kind=kind, at=at, data=data, size=size)


def moment(text: object) -> int:
    """Microseconds UTC; 0 without a time. `UserError` for what is no moment."""
    if text is None:
        return 0
    try:
        at = datetime.fromisoformat(str(text))
        return int(at.timestamp() * 1e6) if at.tzinfo else 0
    except (ValueError, OverflowError) as error:
        raise unfit("time", repr(text)[:80], "RFC 3339") from error


def asked(over: Overhearing, event: Event) -> Asked:
    """The rows of a request: V1's `instances`, or the tensors of V2's `inputs`."""
    data = event.data
    if not isinstance(data, dict) or ("instances" in data) is ("inputs" in data):
        raise unfit("the data", "neither or both", "instances (V1) or inputs (V2)")
    if "instances" in data:
        rows = listed(data["instances"], "instances")
        raws = rows if any(isinstance(one, dict) for one in rows) else from_values(over, rows)
    else:
        sent = [tensor_of(one) for one in listed(data["inputs"], "inputs")]
        require_rows(over, sent)
        raws = rows_of(over, sent)
    return Asked(over.reader.read(named_rows(raws, most=MOST_ROWS)), event.at)


def answered(over: Overhearing, event: Event, *, version: str) -> Answered:
    """The columns of an answer: V1's `predictions`, or the tensors of V2's `outputs`."""
    data = event.data
    if not isinstance(data, dict) or ("predictions" in data) is ("outputs" in data):
        raise unfit("the data", "neither or both", "predictions (V1) or outputs (V2)")
    columns = predicted(data["predictions"]) if "predictions" in data else tensors(data["outputs"])
    lengths = {len(column) for column in columns.values()}
    if len(lengths) != 1:
        raise unfit("the data", f"columns of {len(lengths)} lengths", "one value per row in each")
    return over.answer(columns, at=event.at, version=version)


def predicted(given: object) -> dict[str, list[Any]]:
    rows = listed(given, "predictions")
    if not all(isinstance(one, dict) for one in rows):
        return {"": rows}
    names = list(rows[0])
    if any(list(one) != names and set(one) != set(names) for one in rows):
        raise unfit("predictions", "rows with different names", "the same names in each")
    return {name: [one[name] for one in rows] for name in names}


def tensors(given: object) -> dict[str, list[Any]]:
    """A column for each tensor; one of several columns is a list per row."""
    found = [tensor_of(one) for one in listed(given, "outputs")]
    columns: dict[str, list[Any]] = {}
    for one in found:
        n = one.shape[0]
        width = len(one.data) // n
        columns[one.name] = one.data if width == 1 else [one.data[at * width : (at + 1) * width] for at in range(n)]
    return columns


def tensor_of(given: object) -> Any:
    texts = [given.get("name"), given.get("datatype")] if isinstance(given, dict) else [None]
    if not isinstance(given, dict) or not all(isinstance(one, str) for one in texts):
        raise unfit("a tensor", repr(given)[:80], "name, shape, datatype and data")
    shape = given.get("shape")
    if not isinstance(shape, list) or not all(type(one) is int for one in shape):
        raise unfit(given["name"][:80], repr(shape)[:80], "a shape: a list of whole numbers")
    return tensor(given["name"], shape, given["datatype"], given.get("data"))


def listed(given: object, name: str) -> list[Any]:
    if not isinstance(given, list) or not 1 <= len(given) <= MOST_ROWS:
        got = f"{len(given):,} of them" if isinstance(given, list) else type(given).__name__
        raise unfit(name, got, f"a list of 1 to {MOST_ROWS:,}")
    return given


def unfit(name: str, got: str, allowed: str) -> UserError:
    return UserError("this is no event of KServe's that can be read", got=f"{name}: {got}", allowed=allowed, key=name)


ROUTES: Final = (
    Managed(
        method="POST",
        path="/api/events/kserve",
        handler=hear,
        action="decide",
        summary="An event of KServe's payload logger: request and response become decisions that are watched",
        gives=Overheard,
        asks={"version": "of which version they are; the live one without it"},
    ),
)
