"""Reads a contract: a file in the Open Data Contract Standard, v3.0 and v3.1."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Final

import msgspec

from kring.contracts.faults import Faults
from kring.contracts.odcs_fields import Draft, custom_properties, read_field
from kring.contracts.odcs_keys import API_VERSIONS, walk
from kring.contracts.odcs_rules import read_freshness, read_quality
from kring.contracts.yaml_lines import Node, parse
from kring.errors import ConfigError, Unsupported
from kring.record.contract import Contract, Rule

KIND: Final = "DataContract"


def read(path: Path) -> Contract:
    """The contract in the YAML file `path`.

    `ConfigError` with every fault of the file in `faults` (file, line, key, got, allowed, next);
    `Unsupported` for a contract that is right but asks for what is not enforced here: ODCS v2, several
    tables, columns of objects. What is only described, not enforced, is named in `Contract.notes`.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            "the contract can't be read", got=str(error), next="check the path of the contract", file=str(path)
        ) from error
    faults = Faults(str(path))
    root = parse(data, faults=faults)
    _check_version(root, faults)
    walk(root, "contract", path="", faults=faults)
    draft = Draft(faults=faults)
    table = _one_table(root, faults)
    rules = [] if table is None else _read_table(table, draft)
    rules += _service_levels(root, table.text("name") if table else "", draft) if draft.fields else []
    own = custom_properties(root, path="", known=("owner",), faults=faults)
    faults.raise_all()
    owner = own["owner"][0].value if "owner" in own else ""
    return Contract(
        id=root.text("id"),
        name=root.text("name") or (table.text("name") if table else ""),
        version=root.text("version"),
        table=table.text("name") if table else "",
        fields=tuple(draft.fields.values()),
        rules=tuple(_distinct(rules)),
        target=draft.roles.get("target", ""),
        time=draft.roles.get("time", ""),
        subject=draft.roles.get("subject", ""),
        outcome_time=draft.roles.get("outcome_time", ""),
        owner=owner if isinstance(owner, str) else "",
        purpose=(root.get("description") or root).text("purpose"),
        file=str(path),
        digest=hashlib.sha256(data).hexdigest(),
        notes=tuple(draft.notes),
    )


def _check_version(root: Node, faults: Faults) -> None:
    node = root.get("apiVersion")
    version = str(node.value) if node is not None else ""
    allowed = ", ".join(API_VERSIONS)
    if version.startswith("v2."):
        raise Unsupported(
            f"contracts of ODCS {version} are not read",
            got=version,
            allowed=allowed,
            next="rewrite it as v3.1.0: dataset becomes schema, columns become properties",
            file=faults.file,
            line=node.line if node else 0,
            key="apiVersion",
        )
    if node is not None and isinstance(node.value, str) and version not in API_VERSIONS:
        faults.unknown(version, known=API_VERSIONS, line=node.line, key="apiVersion", what="version")
    kind = root.get("kind")
    if kind is not None and kind.value != KIND:
        faults.add("not a data contract", line=kind.line, key="kind", got=kind.shown, allowed=KIND)


def _one_table(root: Node, faults: Faults) -> Node | None:
    node = (root.keys or {}).get("schema")
    tables = root.list("schema")
    if len(tables) == 1:
        return tables[0]
    if not tables:
        line = node.line if node is not None else root.line
        faults.add("a contract without a table promises nothing", line=line, key="schema", allowed="one table")
    else:
        names = ", ".join(table.text("name") for table in tables)
        faults.refuse(
            "several tables in one contract are not enforced",
            line=tables[1].line,
            key="schema[1]",
            got=names[:200],
            allowed="one table",
            next="write one contract for each table that feeds a system",
        )
    return None


def _read_table(table: Node, draft: Draft) -> list[Rule]:
    path, faults = "schema[0]", draft.faults
    properties = table.list("properties")
    if not properties:
        faults.add("a table without columns", line=table.line, key=f"{path}.properties", allowed="a list of columns")
    rules: list[Rule] = []
    for index, node in enumerate(properties):
        field = read_field(node, path=f"{path}.properties[{index}]", draft=draft)
        if field is not None:
            draft.fields[field.name] = field
    for index, node in enumerate(properties):
        name = node.text("name")
        if name in draft.fields and draft.fields[name].line == node.line:
            rules += _qualities(node, f"{path}.properties[{index}]", name, draft)
    if table.get("relationships") is not None:
        draft.note("relationships of the table", line=table.line)
    return [*_primary_key(draft), *rules, *_qualities(table, path, "", draft)]


def _qualities(node: Node, path: str, column: str, draft: Draft) -> list[Rule]:
    found = (
        read_quality(item, path=f"{path}.quality[{index}]", column=column, draft=draft)
        for index, item in enumerate(node.list("quality"))
        if item.keys is not None
    )
    return [rule for rule in found if rule is not None]


def _primary_key(draft: Draft) -> list[Rule]:
    """The primary key as a rule: its columns together never repeat."""
    columns = sorted(draft.positions, key=lambda name: (draft.positions[name] < 1, draft.positions[name]))
    if not columns or any(name not in draft.fields for name in columns):
        return []
    line = draft.fields[columns[0]].line
    return [Rule(name="primaryKey", metric="duplicateValues", columns=tuple(columns), line=line)]


def _service_levels(root: Node, table: str, draft: Draft) -> list[Rule]:
    default = root.text("slaDefaultElement") or draft.roles.get("time", "")
    rules: list[Rule] = []
    for index, node in enumerate(root.list("slaProperties")):
        if node.keys is not None:
            rules += read_freshness(node, path=f"slaProperties[{index}]", default=default, table=table, draft=draft)
    return rules


def _distinct(rules: list[Rule]) -> list[Rule]:
    """Rules with names that are unique among the rules of the same columns."""
    seen: Counter[tuple[str, tuple[str, ...]]] = Counter()
    named = []
    for rule in rules:
        seen[rule.name, rule.columns] += 1
        count = seen[rule.name, rule.columns]
        named.append(rule if count == 1 else msgspec.structs.replace(rule, name=f"{rule.name} {count}"))
    return named
