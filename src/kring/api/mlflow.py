"""MLflow's scoring protocol: the forms of its JSON, its answers, its errors. The route is in `invocations`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

import kring
from kring.api.exchange import Request, Response, Route
from kring.api.faults import headers_of, sentence
from kring.api.health import Readiness
from kring.api.tables import Raws, decoded, few, from_columns, from_table, from_values, known
from kring.errors import KringError, UserError
from kring.record.decision import Value
from kring.serve.line import Line

TEXT: Final = "text/plain"
CODES: Final = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "RESOURCE_DOES_NOT_EXIST",
    409: "RESOURCE_CONFLICT",
    422: "INVALID_PARAMETER_VALUE",
    429: "REQUEST_LIMIT_EXCEEDED",
    500: "INTERNAL_ERROR",
    503: "TEMPORARILY_UNAVAILABLE",
}
FORMS: Final = ("dataframe_split", "dataframe_records", "instances", "inputs")


class Fault(msgspec.Struct):
    error_code: str
    message: str


class Split(msgspec.Struct):
    """A table as a heading and rows; `index` is not read."""

    columns: list[Any]
    data: list[Any]
    index: list[Any] | None = None


class Invocation(msgspec.Struct, forbid_unknown_fields=True):
    """Exactly one of the four forms. `params` may be given; none of them changes an answer."""

    dataframe_split: Split | msgspec.UnsetType = msgspec.UNSET
    dataframe_records: list[dict[str, Any]] | msgspec.UnsetType = msgspec.UNSET
    instances: list[Any] | msgspec.UnsetType = msgspec.UNSET
    inputs: Any = msgspec.UNSET
    params: dict[str, Any] | None = None


class Predictions(msgspec.Struct):
    """One object per row: the decision, what else was answered, the id on record, the version."""

    predictions: Sequence[dict[str, Value]]


_invocation: Final = msgspec.json.Decoder(Invocation)


def fault(error: KringError, status: int) -> Response:
    """`{"error_code": "…", "message": "…"}`."""
    told = Fault(CODES.get(status, "BAD_REQUEST"), sentence(error))
    return Response(status, msgspec.json.encode(told), headers=headers_of(error, status))


def raws_of(line: Line, body: bytes) -> Raws:
    """The rows of a JSON body."""
    asked = decoded(body, _invocation)
    given = [form for form in FORMS if getattr(asked, form) is not msgspec.UNSET]
    if len(given) != 1:
        raise UserError(
            "the body holds exactly one form of rows",
            got=" and ".join(given) or "none",
            allowed=" or ".join(FORMS),
            next="leave one form in the body",
        )
    if isinstance(asked.dataframe_split, Split):
        return from_table(asked.dataframe_split.columns, asked.dataframe_split.data)
    if isinstance(asked.dataframe_records, list):
        return asked.dataframe_records
    if isinstance(asked.instances, list):
        return from_instances(line, asked.instances)
    return from_inputs(line, asked.inputs)


def from_instances(line: Line, instances: list[Any]) -> Raws:
    """Rows as objects of fields, or as lists of values without names."""
    if few(instances) and all(isinstance(one, dict) for one in instances):
        return instances
    return from_values(line, instances)


def from_inputs(line: Line, inputs: object) -> Raws:
    """Columns by name, each a list; one row of named values; or rows as `from_instances` takes them."""
    if isinstance(inputs, dict):
        lists = [isinstance(column, list) for column in known(line, inputs).values()]
        if all(lists):
            return from_columns({name: [single(one) for one in few(column)] for name, column in inputs.items()})
        if any(lists):
            raise UserError(
                "some inputs are lists and some are not",
                got=", ".join(name for name, is_list in zip(inputs, lists, strict=True) if not is_list)[:80],
                allowed="lists of one value per row, or one row",
            )
        return [inputs]
    return from_instances(line, inputs if isinstance(inputs, list) else [inputs])


def single(value: object) -> object:
    """A list of one value as that value: a tensor of shape [n, 1] is a column."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def routes(readiness: Readiness) -> tuple[Route, ...]:
    """What MLflow's scoring server answers beside `/invocations`; `/ping` is what SageMaker asks, too."""

    async def health(_: Request) -> Response:
        return Response(200 if readiness()[0] else 503, b"\n", TEXT)

    async def version(_: Request) -> Response:
        return Response(200, f"kring {kring.__version__}".encode(), TEXT)

    paths = (
        ("/ping", health, "Whether requests can be answered, as MLflow and SageMaker ask"),
        ("/health", health, "Whether requests can be answered, as MLflow asks"),
        ("/version", version, "The version of this server"),
    )
    return tuple(
        Route(
            method="GET",
            path=path,
            handler=handler,
            action="decide",
            fault=fault,
            summary=summary,
            public=path != "/version",
        )
        for path, handler, summary in paths
    )
