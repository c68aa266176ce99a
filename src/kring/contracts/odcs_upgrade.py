"""Older contracts in the words of ODCS v3.1: a pure change of the tree that keeps the line of every value.

The meaning stays: a column of v2.2 that does not say `isNullable: true` may not be empty, as v2.2 has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from kring.contracts.odcs_keys import OPERATORS
from kring.contracts.yaml_lines import Node, plain
from kring.record.contract import Scalar

RULES: Final = {"duplicateCount": "duplicateValues", "nullCheck": "nullValues", "rowCount": "rowCount"}
"""What v3.0 calls `rule`, and the metric that took its place."""

TYPES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("string", "str", "text", "char", "varchar", "uuid"), "string"),
    **dict.fromkeys(("number", "numeric", "decimal", "double", "float", "real"), "number"),
    **dict.fromkeys(("integer", "int", "bigint", "smallint", "tinyint", "long", "short"), "integer"),
    **dict.fromkeys(("boolean", "bool"), "boolean"),
    **dict.fromkeys(("timestamp", "datetime", "timestamptz"), "timestamp"),
    "date": "date",
    "time": "time",
    **dict.fromkeys(("array", "list"), "array"),
    **dict.fromkeys(("object", "struct", "record", "json", "map"), "object"),
}
"""v2.2 leaves the words for logical types free."""

CONTRACT: Final = {
    "uuid": "id",
    "datasetName": "name",
    "quantumName": "dataProduct",
    "datasetDomain": "domain",
    "slaDefaultColumn": "slaDefaultElement",
    **{key: key for key in ("version", "kind", "status", "tenant", "tags", "description", "price", "roles")},
    **{key: key for key in ("authoritativeDefinitions", "customProperties", "contractCreatedTs")},
}
TABLE: Final = {
    "table": "name",
    "dataGranularity": "dataGranularityDescription",
    **{key: key for key in ("physicalName", "description", "tags", "authoritativeDefinitions", "customProperties")},
}
COLUMN: Final = {
    "column": "name",
    "isPrimaryKey": "primaryKey",
    "isUnique": "unique",
    "partitionStatus": "partitioned",
    "encryptedColumnName": "encryptedName",
    "transformSourceTables": "transformSourceObjects",
    "sampleValues": "examples",
    "criticalDataElementStatus": "criticalDataElement",
    **{key: key for key in ("primaryKeyPosition", "partitionKeyPosition", "physicalType", "businessName")},
    **{key: key for key in ("description", "classification", "transformLogic", "transformDescription", "tags")},
    **{key: key for key in ("authoritativeDefinitions", "customProperties")},
}
QUALITY: Final = {
    "toolName": "engine",
    "templateName": "implementation",
    "scheduleCronExpression": "schedule",
    **{key: key for key in ("description", "severity", "businessImpact")},
}
LEVEL: Final = {"column": "element", **{key: key for key in ("property", "value", "valueExt", "unit", "driver")}}
MEMBER: Final = {key: key for key in ("username", "role", "dateIn", "dateOut", "replacedByUsername")}
CHANNELS: Final = {"productSlackChannel": "slack", "productDl": "email", "productFeedbackUrl": "url"}

_SILENT: Final = {"apiVersion", "dataset", "columns", "quality", "stakeholders", "slaProperties", *CHANNELS}
_TOLD_ELSEWHERE: Final = {"logicalType", "isNullable", "code", "toolRuleName", "dimension", "comment", "type"}


def is_old(root: Node) -> bool:
    """Whether the tree is written in v2; a contract of v2.2 need not say its version."""
    version = root.text("apiVersion")
    return version.startswith("v2.") or (
        not version and root.get("apiVersion") is None and "dataset" in (root.keys or {})
    )


def upgrade(root: Node, *, version: str) -> tuple[Node, tuple[str, ...]]:
    """A tree of ODCS v2.2 as one of v3.1, and what people should know: what was carried over how, and what has
    no place there. The tree must have the shape `contract 2`."""
    lost: list[str] = []
    keys = _carried(root, CONTRACT, lost)
    if "price" in keys:
        keys["price"] = _meaning(keys["price"], "priceAmount")
    line = (root.get("dataset") or root).line
    keys["apiVersion"] = Node(line=(root.get("apiVersion") or root).line, value="v3.1.0")
    keys["schema"] = Node(line=line, items=tuple(_table(one, lost) for one in root.list("dataset")))
    members = [Node(line=one.line, keys=_carried(one, MEMBER, lost)) for one in root.list("stakeholders")]
    named = tuple(one for one in members if one.text("username"))
    lost += [f"a stakeholder without username (line {one.line})" for one in members if not one.text("username")]
    if named:
        keys["team"] = Node(line=named[0].line, keys={"members": Node(line=named[0].line, items=named)})
    levels = tuple(
        _meaning(Node(line=one.line, keys=_carried(one, LEVEL, lost)), "value") for one in root.list("slaProperties")
    )
    if levels:
        keys["slaProperties"] = Node(line=levels[0].line, items=levels)
    channels = tuple(_channel(root, key, tool) for key, tool in CHANNELS.items() if root.text(key))
    if channels:
        keys["support"] = Node(line=channels[0].line, items=channels)
    told = f"read by upgrade from ODCS {version} to v3.1.0: dataset as schema, columns as properties, what is not "
    told += "isNullable as required, quality as rules of its tool, stakeholders as team"
    return Node(line=root.line, keys=keys), (told, *(f"no place in ODCS v3.1.0: {one}" for one in lost))


def renamed(root: Node) -> Node:
    """A tree of v3 in which every library rule says `metric`: v3.0 said `rule`, and `nullCheck` meant none."""
    if root.items is not None:
        return msgspec.structs.replace(root, items=tuple(renamed(one) for one in root.items))
    if root.keys is None:
        return root
    keys = {key: renamed(one) for key, one in root.keys.items()}
    if "quality" in keys and keys["quality"].items is not None:
        rules = tuple(_metric(one) for one in keys["quality"].items or ())
        keys["quality"] = msgspec.structs.replace(keys["quality"], items=rules)
    return msgspec.structs.replace(root, keys=keys)


def _metric(node: Node) -> Node:
    rule, kind = node.get("rule"), node.text("type") or "library"
    if node.keys is None or rule is None or node.get("metric") is not None or kind != "library":
        return node
    keys = {key: one for key, one in node.keys.items() if key != "rule"}
    keys["metric"] = msgspec.structs.replace(rule, value=RULES.get(str(rule.value), rule.value))
    if rule.value == "nullCheck" and not any(name in keys for name in OPERATORS):
        keys["mustBe"] = Node(line=node.line, value=0)
    return msgspec.structs.replace(node, keys=keys)


def _table(node: Node, lost: list[str]) -> Node:
    keys = _carried(node, TABLE, lost)
    columns = tuple(_column(one, lost) for one in node.list("columns"))
    if columns:
        keys["properties"] = Node(line=(node.get("columns") or node).line, items=columns)
    return Node(line=node.line, keys=keys | _qualities(node, lost))


def _column(node: Node, lost: list[str]) -> Node:
    keys = _carried(node, COLUMN, lost)
    kind = node.get("logicalType")
    if kind is not None:
        word = str(kind.value).strip().lower().partition("(")[0]
        keys["logicalType"] = Node(line=kind.line, value=TYPES.get(word, kind.value))
    nullable = node.get("isNullable")
    keys["required"] = Node(line=(nullable or node).line, value=not node.flag("isNullable"))
    return _meaning(Node(line=node.line, keys=keys | _qualities(node, lost)), "primaryKey")


def _qualities(node: Node, lost: list[str]) -> dict[str, Node]:
    rules = tuple(_quality(one, lost) for one in node.list("quality"))
    return {"quality": Node(line=rules[0].line, items=rules)} if rules else {}


def _quality(node: Node, lost: list[str]) -> Node:
    keys = _carried(node, QUALITY, lost)
    name: Scalar = node.text("code") or node.text("toolRuleName") or node.text("templateName")
    keys["name"] = Node(line=node.line, value=name)
    keys["type"] = Node(line=node.line, value="custom")
    return Node(line=node.line, keys=keys)


def _channel(root: Node, key: str, tool: str) -> Node:
    found = root.get(key) or root
    value = msgspec.structs.replace(found, value=found.value)
    return Node(line=found.line, keys={"channel": value, "tool": Node(line=found.line, value=tool)})


def _meaning(node: Node, key: str) -> Node:
    """`node` with the text at `key`, as v2.2.1 has it, as the flag or number for which it stands."""
    found = node.get(key)
    value = plain(found.value.strip()) if found is not None and isinstance(found.value, str) else None
    if found is None or node.keys is None or not isinstance(value, bool | int | float):
        return node
    return msgspec.structs.replace(node, keys=node.keys | {key: msgspec.structs.replace(found, value=value)})


def _carried(node: Node, names: Mapping[str, str], lost: list[str]) -> dict[str, Node]:
    """The keys that v3.1 has under another name or the same; the others go to `lost`, without their values."""
    keys: dict[str, Node] = {}
    for key, one in (node.keys or {}).items():
        if key in names:
            keys[names[key]] = one
        elif key not in _SILENT | _TOLD_ELSEWHERE and not one.is_null:
            lost.append(f"{key} (line {one.line})")
    return keys
