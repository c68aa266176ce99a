"""The description of the interface, OpenAPI 3.1: made from the tables of routes, and for each system from its contract.

What it says is what the server does: the same types decode and encode the bodies, the same contract guards the rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin

import msgspec

import kring
from kring.api import openai_errors
from kring.api.exchange import Route
from kring.api.faults import native
from kring.api.managed import Managed
from kring.api.native import Decisions
from kring.charts.page import Block, Code, Page, Section, Table, Text
from kring.record.answer import Answer
from kring.record.contract import Field
from kring.record.serving import Served

REF: Final = "#/components/schemas/{name}"
PART: Final = re.compile(r"\{(\w+)\}")
KINDS: Final[dict[str, dict[str, str]]] = {
    "string": {"type": "string"},
    "date": {"type": "string", "format": "date"},
    "timestamp": {"type": "string", "format": "date-time"},
    "number": {"type": "number"},
    "integer": {"type": "integer"},
    "boolean": {"type": "boolean"},
}
TAGS: Final = {
    "native": "decisions",
    "openai": "OpenAI",
    "ofrep": "OFREP",
    "open_inference": "Open Inference Protocol",
    "mlflow": "MLflow",
    "invocations": "MLflow and SageMaker",
    "tensorflow": "TensorFlow Serving",
    "models": "OpenAI and TensorFlow Serving",
    "vertex": "Vertex AI",
    "management": "systems, decisions, keys",
    "outcomes": "outcomes and explanations",
    "reviews": "decisions that people look at",
    "trials": "flags and trials",
    "described": "this description",
}
"""Protocols as people write them, by the module that speaks them."""

STATUSES: Final = {
    "400": "wrong use, or a body that is not what the route reads",
    "401": "nobody that is known here asks",
    "403": "known, but without the right to do this",
    "404": "nothing is here, or nothing that is the caller's to see",
    "405": "the path does not know this method",
    "409": "something newer is there",
    "413": "the body is too large",
    "415": "this kind of body is not read",
    "422": "the row breaks the contract",
    "429": "too often; Retry-After says when to come back",
    "503": "could not; Retry-After says when to come back",
}
SECURITY: Final[list[dict[str, list[str]]]] = [{"bearer": []}, {"key": []}]
Json = dict[str, Any]
Kinds = Mapping[Any, Json]
"""The schema of each of our types."""


class Error(msgspec.Struct, omit_defaults=True):
    """What was got, what is allowed, what to do next."""

    code: str
    message: str
    got: str = ""
    allowed: str = ""
    next: str = ""
    key: str = ""


class Refusal(msgspec.Struct):
    error: Error


ERRORS: Final[dict[Any, type[msgspec.Struct]]] = {native: Refusal, openai_errors.fault: openai_errors.Fault}
"""The form of errors, by who tells them; that of other protocols is theirs to describe."""


def openapi(workers: Sequence[Route], managed: Iterable[Managed], *, systems: Sequence[Served]) -> Json:
    """The whole description, for a caller who may see `systems`."""
    shown = [one for one in managed if not one.page]
    routes: list[Route | Managed] = [*workers, *shown]
    kinds = [kind for route in routes for kind in (*members(route.takes), *members(route.gives))]
    kinds = list(dict.fromkeys([*kinds, *ERRORS.values(), Answer, Decisions]))
    schemas, components = msgspec.json.schema_components(kinds, ref_template=REF)
    by_kind = dict(zip(kinds, schemas, strict=True))
    paths: dict[str, Json] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = operation(route, by_kind)
    for served in systems:
        name = served.system.name
        components |= {f"{name}.row": row_schema(served), f"{name}.inputs": inputs_schema(name)}
        paths[f"/systems/{name}/api/decisions"] = {"post": decide_on(served, by_kind)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Kring",
            "version": kring.__version__,
            "description": "Decisions on record, in the protocols that programs speak.",
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": SECURITY,
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, or a token of the issuer"},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


def operation(route: Route | Managed, by_kind: Kinds) -> Json:
    """What is done at one path with one method."""
    told: Json = {
        "operationId": f"{route.method} {route.path}",
        "summary": route.summary,
        "tags": [tag(route)],
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
            for name in PART.findall(route.path)
        ],
        "responses": responses(route, by_kind),
    }
    if isinstance(route, Managed):
        told["parameters"] += [
            {"name": name, "in": "query", "required": False, "description": words, "schema": {"type": "string"}}
            for name, words in route.asks.items()
        ]
    elif not route.public:
        told["parameters"].append(
            {
                "name": "X-Kring-System",
                "in": "header",
                "required": False,
                "description": "the system that is meant, where the path or body does not say",
                "schema": {"type": "string"},
            }
        )
    if route.takes is not None:
        told["requestBody"] = {"required": True, "content": content(route.takes, by_kind)}
    return told | ({"security": []} if route.public else {})


def responses(route: Route | Managed, by_kind: Kinds) -> Json:
    """The answer when all is well, and the form of every error."""
    form = ERRORS.get(route.fault)
    schema = by_kind[form] if form else {}
    well = {"description": "as asked", "content": content(route.gives, by_kind)}
    created = isinstance(route, Managed) and route.method == "POST" and route.creates
    return {("201" if created else "200"): well} | {
        status: {"description": words, "content": {"application/json": {"schema": schema}}}
        for status, words in STATUSES.items()
    }


def content(kind: Any, by_kind: Kinds) -> Json:
    """A body of that type; a text is plain, what is not described may be anything."""
    if kind is None:
        return {"*/*": {"schema": {}}}
    if kind is str:
        return {"text/plain": {"schema": {"type": "string"}}}
    some = [by_kind[one] for one in members(kind)]
    return {"application/json": {"schema": some[0] if len(some) == 1 else {"anyOf": some}}}


def members(kind: Any) -> tuple[Any, ...]:
    """The types of a union, which may be several of ours; the type itself otherwise."""
    if kind is None:
        return ()
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def decide_on(served: Served, by_kind: Kinds) -> Json:
    """Deciding in one system, whose fields are known."""
    name = served.system.name
    refusals = {
        status: {"description": words, "content": {"application/json": {"schema": by_kind[Refusal]}}}
        for status, words in STATUSES.items()
    }
    one_or_more = {"anyOf": [by_kind[Answer], by_kind[Decisions]]}
    return {
        "operationId": f"POST /systems/{name}/api/decisions",
        "summary": f"{served.system.frame.decision or served.system.goal} ({name})",
        "tags": ["decisions"],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": REF.format(name=f"{name}.inputs")}}},
        },
        "responses": {
            "200": {"description": "decided and on record", "content": {"application/json": {"schema": one_or_more}}}
        }
        | refusals,
    }


def inputs_schema(name: str) -> Json:
    """One row, or several."""
    row = {"$ref": REF.format(name=f"{name}.row")}
    rows = {"type": "array", "items": row, "minItems": 1, "maxItems": 1000}
    return {
        "type": "object",
        "required": ["inputs"],
        "properties": {"inputs": {"anyOf": [row, rows]}},
        "additionalProperties": False,
    }


def row_schema(served: Served) -> Json:
    """A row of named fields as the contract promises them."""
    system, fields = served.system, [one for one in served.contract.fields if one.name not in served.known_later]
    left_out = {one.name for one in fields if one.primary_key and one.type == "string"} | {system.data.time}
    return {
        "type": "object",
        "description": system.goal,
        "required": [one.name for one in fields if one.required and one.name not in left_out],
        "properties": {
            one.name: field_schema(one, may_miss=one.name in left_out or not one.required) for one in fields
        },
        "additionalProperties": False,
    }


def field_schema(field: Field, *, may_miss: bool) -> Json:
    """What one field may be."""
    schema: Json = dict(KINDS[field.type])
    if field.type in ("number", "integer"):
        low = "exclusiveMinimum" if field.exclusive_minimum else "minimum"
        high = "exclusiveMaximum" if field.exclusive_maximum else "maximum"
        schema |= {name: value for name, value in ((low, field.minimum), (high, field.maximum)) if value is not None}
    if field.type == "string":
        lengths = (("minLength", field.min_length), ("maxLength", field.max_length))
        schema |= {name: value for name, value in lengths if value is not None}
        schema |= {"pattern": field.pattern} if field.pattern else {}
    if field.allowed and field.type not in ("date", "timestamp"):
        schema["enum"] = list(field.allowed)
    if may_miss:
        schema = {"anyOf": [schema, {"type": "null"}]}
    words = field.description or field.business_name
    return schema | ({"description": words} if words else {})


def tag(route: Route | Managed) -> str:
    """The protocol that a route belongs to."""
    name: str = route.handler.__module__.rpartition(".")[2]
    return TAGS.get(name, name.replace("_", " "))


def docs(description: Json) -> Page:
    """The description as a page to read."""
    groups: dict[str, list[tuple[str, str, str]]] = {}
    for path, methods in description["paths"].items():
        for method, told in methods.items():
            groups.setdefault(told["tags"][0], []).append((method.upper(), path, told["summary"]))
    columns = ("method", "path", "what it does")
    sections = [
        Section(title=name[0].upper() + name[1:], blocks=(Table(columns=columns, rows=tuple(rows)),))
        for name, rows in groups.items()
    ]
    return Page(
        kicker="Kring · interface",
        title="What this server answers",
        lead="Every path, by protocol, and what each system reads. Programs read the same at /schema (OpenAPI 3.1).",
        sections=(Section(title="Who asks", blocks=asking()), *sections, *fields_of(description)),
        footer=f"Kring {description['info']['version']}",
    )


def asking() -> tuple[Block, ...]:
    return (
        Text(words="Every path but those for load balancers takes an API key or a token of the issuer."),
        Code(text="Authorization: Bearer KEY\nX-API-Key: KEY"),
        Text(words="Where several systems are served, X-Kring-System or the prefix /systems/NAME says which is meant."),
    )


def fields_of(description: Json) -> list[Section]:
    """What a row of each system holds."""
    found = []
    for name, schema in description["components"]["schemas"].items():
        if not name.endswith(".row") or "properties" not in schema:
            continue
        rows = tuple(
            (field, in_words(told), "yes" if field in schema["required"] else "", told.get("description", ""))
            for field, told in schema["properties"].items()
        )
        table = Table(columns=("field", "what it may be", "needed", "what it means"), rows=rows)
        found.append(Section(title=f"A row of {name.removesuffix('.row')}", blocks=(table,)))
    return found


def in_words(schema: Json) -> str:
    """What a field may be, in a few words."""
    core: Json = schema.get("anyOf", [schema])[0]
    marks = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<", "pattern": "matches"}
    limits = [f"{sign} {core[name]}" for name, sign in marks.items() if name in core]
    some = core.get("enum")
    if some:
        limits.append("one of " + ", ".join(map(str, some[:8])) + (" …" if len(some) > 8 else ""))
    return ", ".join([str(core.get("format", core["type"])), *limits])
