"""The JSON Schema of `kring.toml`, by which editors complete and check while one types."""

from __future__ import annotations

from typing import Final

import msgspec

from kring.frame.tables import OTHERS, CandidateTable, DataTable, File

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

RULES: Final[dict[type[msgspec.Struct], dict[str, object]]] = {
    CandidateTable: {"oneOf": [{"required": [way]} for way in ("rule", "fit", "builtin", "code", "of")]},
    DataTable: {"oneOf": [{"required": [key]} for key in ("outcome_at", "outcome_after")]},
}
"""The rules between keys that a schema can say."""

BASELINE: Final[dict[str, object]] = {
    "contains": {"type": "object", "properties": {"baseline": {"const": True}}, "required": ["baseline"]},
    "minContains": 1,
    "maxContains": 1,
}


def schema() -> dict[str, object]:
    """JSON Schema 2020-12. What it accepts may still break a rule that only `kring check` can see,
    such as an expression, a name that stands twice or a file that is not there."""
    (root,), parts = msgspec.json.schema_components([File], ref_template="#/$defs/{name}")
    del root
    parts = dict(parts)
    for table, (_, annotation) in OTHERS.items():
        parts[table.__name__]["additionalProperties"] = msgspec.json.schema(annotation)
    for table, rules in RULES.items():
        parts[table.__name__].update(rules)
    file = parts.pop(File.__name__)
    file["properties"]["candidate"].update(BASELINE)
    for part in (file, *parts.values()):
        _tidy(part)
    return {"$schema": DIALECT, **file, "title": "kring.toml", "$defs": parts}


def _tidy(part: dict[str, object]) -> None:
    """Leave out what helps nobody who types: the names of our types, and empty defaults."""
    part.pop("title", None)
    properties = part.get("properties")
    if isinstance(properties, dict):
        for value in properties.values():
            if isinstance(value, dict) and ("$ref" in value or value.get("default") in ("", {}, [])):
                value.pop("default", None)
