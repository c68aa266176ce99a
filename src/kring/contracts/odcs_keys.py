"""Every key that ODCS v3.1 knows (and v2.2), and a walk that faults the others.

A kind is `text`, `number`, `integer`, `flag`, `scalar` or `any`, the name of a shape, or either of
them in brackets for a list. `!` after a key: it must be there. `|` parts alternatives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kring.contracts.faults import Faults
from kring.contracts.odcs_old_keys import OLD_SHAPES
from kring.contracts.yaml_lines import Node

API_VERSIONS: Final = ("v3.0.0", "v3.0.1", "v3.0.2", "v3.1.0")
OPERATORS: Final = (
    "mustBe",
    "mustNotBe",
    "mustBeGreaterThan",
    "mustBeGreaterOrEqualTo",
    "mustBeLessThan",
    "mustBeLessOrEqualTo",
    "mustBeBetween",
    "mustNotBeBetween",
)
MOMENT_OPTIONS: Final = {
    "format": "text",
    "minimum": "text",
    "maximum": "text",
    "exclusiveMinimum": "text",
    "exclusiveMaximum": "text",
}
NUMBER_OPTIONS: Final = {
    "format": "text",
    "minimum": "number",
    "maximum": "number",
    "exclusiveMinimum": "number",
    "exclusiveMaximum": "number",
    "multipleOf": "number",
}
CLOCK_OPTIONS: Final = {**MOMENT_OPTIONS, "timezone": "flag", "defaultTimezone": "text"}

OPTIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "string": {"minLength": "integer", "maxLength": "integer", "pattern": "text", "format": "text"},
    "date": MOMENT_OPTIONS,
    "timestamp": CLOCK_OPTIONS,
    "time": CLOCK_OPTIONS,
    "number": NUMBER_OPTIONS,
    "integer": NUMBER_OPTIONS,
    "boolean": {},
    "object": {"minProperties": "integer", "maxProperties": "integer", "required": "[text]"},
    "array": {"minItems": "integer", "maxItems": "integer", "uniqueItems": "flag"},
}
"""The keys of `logicalTypeOptions` for each `logicalType`."""

_DEFINED: Final = {"id": "text", "customProperties": "[custom]"}
_ELEMENT: Final = {
    **_DEFINED,
    "name!": "text",
    "physicalName": "text",
    "physicalType": "text",
    "description": "text",
    "businessName": "text",
    "authoritativeDefinitions": "[definition]",
    "tags": "[text]",
    "quality": "[quality]",
}
_PROPERTY: Final = {
    **_ELEMENT,
    "primaryKey": "flag",
    "primaryKeyPosition": "integer",
    "logicalType": "text",
    "logicalTypeOptions": "any",
    "required": "flag",
    "unique": "flag",
    "partitioned": "flag",
    "partitionKeyPosition": "integer",
    "classification": "text",
    "encryptedName": "text",
    "transformSourceObjects": "[text]",
    "transformLogic": "text",
    "transformDescription": "text",
    "examples": "[any]",
    "criticalDataElement": "flag",
    "relationships": "[relationship]",
    "properties": "[property]",
    "items": "item",
}
_TEXTS: Final = dict.fromkeys

SHAPES: Final[Mapping[str, Mapping[str, str]]] = {
    "contract": {
        "version!": "text",
        "kind!": "text",
        "apiVersion!": "text",
        "id!": "text",
        "status!": "text",
        "name": "text",
        "tenant": "text",
        "tags": "[text]",
        "servers": "[server]",
        "dataProduct": "text",
        "description": "purpose",
        "domain": "text",
        "schema": "[table]",
        "support": "[support]",
        "price": "price",
        "team": "team|[member]",
        "roles": "[role]",
        "slaDefaultElement": "text",
        "slaProperties": "[sla]",
        "authoritativeDefinitions": "[definition]",
        "customProperties": "[custom]",
        "contractCreatedTs": "text",
    },
    "purpose": {
        **_TEXTS(("usage", "purpose", "limitations"), "text"),
        "authoritativeDefinitions": "[definition]",
        "customProperties": "[custom]",
    },
    "table": {
        **_ELEMENT,
        "logicalType": "text",
        "dataGranularityDescription": "text",
        "properties": "[property]",
        "relationships": "[relationship]",
    },
    "property": _PROPERTY,
    "item": {**{key: kind for key, kind in _PROPERTY.items() if key != "name!"}, "name": "text"},
    "quality": {
        **_DEFINED,
        **_TEXTS(("name", "description", "type", "metric", "rule", "unit", "severity", "dimension", "method"), "text"),
        **_TEXTS(("businessImpact", "schedule", "scheduler", "query", "engine"), "text"),
        "authoritativeDefinitions": "[definition]",
        "tags": "[text]",
        "arguments": "any",
        "implementation": "any",
        **_TEXTS(OPERATORS, "any"),
    },
    "server": {
        **_DEFINED,
        "server!": "text",
        "type!": "text",
        "port": "integer",
        "roles": "[role]",
        **_TEXTS(("description", "environment", "location", "path", "format", "delimiter", "endpointUrl"), "text"),
        **_TEXTS(("host", "account", "project", "database", "dataset", "schema", "catalog", "warehouse"), "text"),
        **_TEXTS(("region", "regionName", "serviceName", "stagingDir", "stream"), "text"),
    },
    "support": {
        **_DEFINED,
        "channel!": "text",
        **_TEXTS(("url", "description", "tool", "scope", "invitationUrl"), "text"),
    },
    "price": {"id": "text", "priceAmount": "number", "priceCurrency": "text", "priceUnit": "text"},
    "team": {
        **_DEFINED,
        "name": "text",
        "description": "text",
        "members": "[member]",
        "tags": "[text]",
        "authoritativeDefinitions": "[definition]",
    },
    "member": {
        **_DEFINED,
        "username!": "text",
        **_TEXTS(("name", "description", "role", "dateIn", "dateOut", "replacedByUsername"), "text"),
        "tags": "[text]",
        "authoritativeDefinitions": "[definition]",
    },
    "role": {
        **_DEFINED,
        "role!": "text",
        **_TEXTS(("description", "access", "firstLevelApprovers", "secondLevelApprovers"), "text"),
    },
    "sla": {
        "property!": "text",
        "value!": "scalar",
        "valueExt": "scalar",
        **_TEXTS(("id", "unit", "element", "driver", "description", "scheduler", "schedule"), "text"),
    },
    "definition": {"url!": "text", "type!": "text", "id": "text", "description": "text"},
    "custom": {"property!": "text", "value!": "any", "id": "text", "description": "text"},
    "relationship": {"type": "text", "from": "any", "to": "any", "customProperties": "[custom]"},
    **OLD_SHAPES,
}

_WORDS: Final = {
    "text": "a text (in quotes when it looks like a number)",
    "number": "a number",
    "integer": "a whole number",
    "flag": "true or false",
    "scalar": "one value",
}


def walk(node: Node, kind: str, *, path: str, faults: Faults) -> None:
    """Note every key below `node` that the shape `kind` does not know, that is missing, or of a wrong kind."""
    if "|" in kind:
        listed, single = sorted(kind.split("|"), key=lambda part: not part.startswith("["))
        walk(node, listed if node.items is not None else single, path=path, faults=faults)
    elif kind.startswith("["):
        _walk_list(node, kind[1:-1], path, faults)
    elif kind in SHAPES:
        walk_keys(node, SHAPES[kind], path=path, faults=faults)
    elif not _is(node, kind):
        faults.add("a value of the wrong kind", line=node.line, key=path, got=node.shown, allowed=_WORDS[kind])


def walk_keys(node: Node, shape: Mapping[str, str], *, path: str, faults: Faults) -> None:
    """As `walk`, for one mapping."""
    if node.keys is None:
        faults.add("a value of the wrong kind", line=node.line, key=path, got=node.shown, allowed="a mapping of keys")
        return
    kinds = {key.rstrip("!"): kind for key, kind in shape.items()}
    for key, child in node.keys.items():
        place = f"{path}.{key}" if path else key
        if key not in kinds:
            faults.unknown(key, known=kinds, line=child.line, key=place)
        elif not child.is_null:
            walk(child, kinds[key], path=place, faults=faults)
    for key in shape:
        name = key.rstrip("!")
        if key.endswith("!") and (name not in node.keys or (node.keys[name].is_null and name != "value")):
            place = f"{path}.{name}" if path else name
            faults.add("a key is missing", line=node.line, key=place, allowed=_WORDS.get(shape[key], "any value"))


def _walk_list(node: Node, kind: str, path: str, faults: Faults) -> None:
    if node.items is None:
        faults.add("a value of the wrong kind", line=node.line, key=path, got=node.shown, allowed="a list")
        return
    for index, item in enumerate(node.items):
        walk(item, kind, path=f"{path}[{index}]", faults=faults)


def _is(node: Node, kind: str) -> bool:
    if kind == "any":
        return True
    if node.keys is not None or node.items is not None:
        return False
    number = isinstance(node.value, int | float) and not isinstance(node.value, bool)
    return {
        "text": isinstance(node.value, str),
        "number": number,
        "integer": number and isinstance(node.value, int),
        "flag": isinstance(node.value, bool),
        "scalar": True,
    }[kind]
