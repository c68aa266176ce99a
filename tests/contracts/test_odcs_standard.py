"""The standard's own schema and examples: every key is known, every valid example is read."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from kring.contracts.odcs import read
from kring.contracts.odcs_keys import OPTIONS, SHAPES

ROOT = Path(__file__).parents[2]
STANDARD = ROOT.parent / "shared" / "data" / "spec_odcs"
SCHEMA = "schema/odcs-json-schema-v3.1.0.json"


def standard() -> Path:
    if not STANDARD.exists():
        pytest.skip(f"needs {STANDARD.relative_to(ROOT.parent)} beside the checkout")
    return STANDARD


def valid_examples() -> list[str]:
    path = STANDARD / "validation_v3.1.0.csv"
    if not path.exists():
        return ["missing"]
    with path.open() as file:
        return [row["file"] for row in csv.DictReader(file) if row["errors_v3_1_0"] == "0"]


@pytest.mark.parametrize("name", valid_examples())
def test_every_valid_example_of_the_standard_is_read(name: str) -> None:
    path = standard() / name
    contract = read(path)
    tables = yaml.safe_load(path.read_text()).get("schema", [])
    columns = {table["name"]: table.get("properties", []) for table in tables}
    told = "\n".join(contract.notes)
    for promise in (contract, *contract.others):
        for column in columns.get(promise.table, []):
            read_or_told = column["name"] in {field.name for field in promise.fields} or column["name"] in told
            assert read_or_told or column["name"] in "\n".join(promise.notes)
    assert {promise.table for promise in (contract, *contract.others)} == (set(columns) or {""})
    assert contract.fields or "promises no" in told


def keys_of(schema: dict[str, Any], name: str) -> set[str]:
    """All keys that a definition of the official schema knows, through its references."""
    definition = schema["$defs"][name]
    found = set(definition.get("properties", {}))
    parts = [definition, *definition.get("allOf", [])]
    for part in parts:
        if "$ref" in part:
            found |= keys_of(schema, part["$ref"].rsplit("/", 1)[1])
        elif "then" in part and "$ref" in part["then"] and "ServerSource" not in part["then"]["$ref"]:
            found |= keys_of(schema, part["then"]["$ref"].rsplit("/", 1)[1])
        elif "then" in part:
            found |= set(part["then"].get("properties", {}))
        found |= set(part.get("properties", {})) if part is not definition else set()
        for choice in part.get("oneOf", []):
            found |= set(choice.get("properties", {}))
    return found


def test_every_key_of_the_standard_is_known_and_no_other() -> None:
    schema = json.loads((standard() / SCHEMA).read_text())
    names = {
        "table": "SchemaObject",
        "property": "SchemaProperty",
        "item": "SchemaItemProperty",
        "quality": "DataQuality",
        "support": "SupportItem",
        "price": "Pricing",
        "team": "Team",
        "member": "TeamMember",
        "role": "Role",
        "sla": "ServiceLevelAgreementProperty",
        "custom": "CustomProperty",
        "relationship": "RelationshipBase",
    }
    for shape, definition in names.items():
        ours = {key.rstrip("!") for key in SHAPES[shape]}
        assert ours - {"customProperties", "id"} == keys_of(schema, definition) - {"customProperties", "id"}, shape
    assert {key.rstrip("!") for key in SHAPES["contract"]} == set(schema["properties"])
    assert {key.rstrip("!") for key in SHAPES["contract"] if key.endswith("!")} == set(schema["required"])
    assert set(SHAPES["purpose"]) == set(schema["properties"]["description"]["properties"])
    servers = set(schema["$defs"]["Server"]["properties"])
    for source in schema["$defs"]["ServerSource"].values():
        servers |= set(source["properties"])
    assert {key.rstrip("!") for key in SHAPES["server"]} == servers
    for part in schema["$defs"]["SchemaBaseProperty"]["allOf"][1:]:
        cases = part["if"].get("anyOf", [part["if"]])
        for case in cases:
            kind = case["properties"]["logicalType"]["const"]
            assert set(OPTIONS[kind]) == set(part["then"]["properties"]["logicalTypeOptions"]["properties"]), kind
