"""Reads a contract: a file in the Open Data Contract Standard, v3.0 and v3.1, and v2.2 by upgrade."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

import msgspec

from kring.contracts.faults import Faults
from kring.contracts.odcs_fields import custom_properties
from kring.contracts.odcs_keys import API_VERSIONS, walk
from kring.contracts.odcs_old_keys import OLD_VERSIONS
from kring.contracts.odcs_references import read_references
from kring.contracts.odcs_tables import Table, feed_of, read_table, service_levels
from kring.contracts.odcs_upgrade import is_old, renamed, upgrade
from kring.contracts.yaml_lines import Node, parse
from kring.errors import ConfigError, Unsupported
from kring.record.contract import Contract

KIND: Final = "DataContract"
LATEST_OLD: Final = "v2.2.2"


def read(path: Path) -> Contract:
    """The contract in the YAML file `path`.

    Of several tables the feed's is the one whose columns have roles of Kring, or which says `kring.feed: true`;
    when none does, the first. The others are `Contract.others`. A contract of v2.2 is read by upgrade.

    `ConfigError` with every fault of the file in `faults` (file, line, key, got, allowed, next);
    `Unsupported` for a contract that is right but asks for what can't be promised here. What is only
    described, not enforced, is named in `Contract.notes`.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            "the contract can't be read", got=str(error), next="check the path of the contract", file=str(path)
        ) from error
    faults = Faults(str(path))
    root, notes = _as_newest(parse(data, faults=faults), faults)
    tables = [
        read_table(node, path=f"schema[{index}]", faults=faults) for index, node in enumerate(root.list("schema"))
    ]
    feed = feed_of(tables, faults)
    own = custom_properties(root, path="", known=("owner",), faults=faults)
    if feed is not None:
        feed.rules += service_levels(root, feed)
        feed.references += read_references(feed, tables)
    faults.raise_all()
    owner = own["owner"][0].value if "owner" in own else ""
    general = Contract(
        id=root.text("id"),
        name=root.text("name"),
        version=root.text("version"),
        table="",
        fields=(),
        owner=owner if isinstance(owner, str) else "",
        purpose=(root.get("description") or root).text("purpose"),
        file=str(path),
        digest=hashlib.sha256(data).hexdigest(),
        notes=notes,
    )
    if feed is None:
        return msgspec.structs.replace(general, notes=(*notes, "the contract promises no columns: nothing is checked"))
    others = tuple(_promise(one, general, notes=()) for one in tables if one is not feed)
    return msgspec.structs.replace(_promise(feed, general, notes=notes), others=others)


def _promise(table: Table, general: Contract, *, notes: tuple[str, ...]) -> Contract:
    """What the contract says of one of its tables."""
    draft = table.draft
    return msgspec.structs.replace(
        general,
        name=general.name or table.name,
        table=table.name,
        fields=tuple(draft.fields.values()),
        rules=table.distinct_rules(),
        references=tuple(table.references),
        target=draft.roles.get("target", ""),
        time=draft.roles.get("time", ""),
        subject=draft.roles.get("subject", ""),
        outcome_time=draft.roles.get("outcome_time", ""),
        supplier=draft.roles.get("supplier", ""),
        notes=(*notes, *draft.notes),
    )


def _as_newest(root: Node, faults: Faults) -> tuple[Node, tuple[str, ...]]:
    """The tree in the words of v3.1, every key of it known or in `faults`, and what to tell people of it."""
    if is_old(root):
        version = root.text("apiVersion") or LATEST_OLD
        _check_old(version, root, faults)
        walk(root, "contract 2", path="", faults=faults)
        _check_kind(root, faults)
        faults.raise_all()  # the upgrade needs a tree of the right shape
        newest, notes = upgrade(root, version=version)
        walk(newest, "contract", path="", faults=faults)
        return newest, notes
    node = root.get("apiVersion")
    version = str(node.value) if node is not None else ""
    if node is not None and isinstance(node.value, str) and version not in API_VERSIONS:
        known = (*OLD_VERSIONS, *API_VERSIONS)
        faults.unknown(version, known=known, line=node.line, key="apiVersion", what="version")
    _check_kind(root, faults)
    walk(root, "contract", path="", faults=faults)
    return renamed(root), ()


def _check_old(version: str, root: Node, faults: Faults) -> None:
    if version in OLD_VERSIONS:
        return
    raise Unsupported(
        f"contracts of ODCS {version} are not read",
        got=version,
        allowed=", ".join((*OLD_VERSIONS, *API_VERSIONS)),
        next=f"bring it to {LATEST_OLD} or later",
        file=faults.file,
        line=(root.get("apiVersion") or root).line,
        key="apiVersion",
    )


def _check_kind(root: Node, faults: Faults) -> None:
    kind = root.get("kind")
    if kind is not None and kind.value != KIND:
        faults.add("not a data contract", line=kind.line, key="kind", got=kind.shown, allowed=KIND)
