"""Keys into other tables: the `relationships` of a contract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from kring.contracts.expression import nearest
from kring.contracts.odcs_tables import Table
from kring.contracts.yaml_lines import Node
from kring.record.contract import Reference

KIND: Final = "foreignKey"
COMPARABLE: Final = {"integer": "number"}


def read_references(feed: Table, tables: Sequence[Table]) -> list[Reference]:
    """The keys of the feed's table into tables of the same contract, of columns first; those of other tables,
    and those into other files, are noted."""
    found = []
    for table in tables:
        for node, path, column in _relationships(table):
            if table is not feed:
                feed.draft.note(f"a relationship of {table.name}; keys of the feed's table are", line=node.line)
                continue
            reference = _read(node, path, column, feed, tables)
            if reference is not None:
                found.append(reference)
    return found


def _relationships(table: Table) -> list[tuple[Node, str, str]]:
    """(node, path, column) of every relationship; the column is empty for one of the table."""
    found = []
    for index, column in enumerate(table.node.list("properties")):
        for number, node in enumerate(column.list("relationships")):
            path = f"{table.path}.properties[{index}].relationships[{number}]"
            found.append((node, path, column.text("name")))
    for number, node in enumerate(table.node.list("relationships")):
        found.append((node, f"{table.path}.relationships[{number}]", ""))
    return [one for one in found if one[0].keys is not None]


def _read(node: Node, path: str, column: str, feed: Table, tables: Sequence[Table]) -> Reference | None:
    faults = feed.draft.faults
    if column and column not in feed.draft.fields:
        feed.draft.note(f"a key of {column}, which is left out", line=node.line)
        return None
    kind = node.get("type")
    if kind is not None and kind.value != KIND:
        faults.unknown(str(kind.value), known=(KIND,), line=kind.line, key=f"{path}.type", what="type")
    if column and node.get("from") is not None:
        told = f"a relationship of a column begins at it: leave from out, or write it under {feed.name}"
        faults.add("from has no place here", line=node.line, key=f"{path}.from", next=told)
        return None
    wanted = [_side(node, "to")]
    if not column:
        wanted.insert(0, _side(node, "from"))
    for side in wanted:
        if not side.texts:
            allowed = "table.column, or a list of them"
            faults.add("a relationship has two sides", line=node.line, key=f"{path}.{side.key}", allowed=allowed)
            return None
    if any("#" in text for text in wanted[-1].texts):
        feed.draft.note(f"a key into another file, {wanted[-1].texts[0]}", line=node.line)
        return None
    ends = [_resolved(side, node, path, tables, feed) for side in wanted]
    if any(end is None for end in ends):
        return None
    own = (feed, (column,)) if column else ends[0]
    other = ends[-1]
    return _joined(own, other, node, path, feed) if own is not None and other is not None else None


@dataclass(frozen=True)
class _Side:
    """One end of a relationship as written: `from` or `to`, and its texts."""

    key: str
    texts: tuple[str, ...]


def _side(node: Node, key: str) -> _Side:
    found = node.get(key)
    items = () if found is None else found.items if found.items is not None else (found,)
    return _Side(key, tuple(item.value for item in items if isinstance(item.value, str) and item.value.strip()))


def _resolved(
    side: _Side, node: Node, path: str, tables: Sequence[Table], feed: Table
) -> tuple[Table, tuple[str, ...]] | None:
    """The one table and the columns that a side names, `table.column` or by ids (`schema/ID/properties/ID`)."""
    faults, key = feed.draft.faults, f"{path}.{side.key}"
    found: list[tuple[Table, str]] = []
    for text in side.texts:
        if "/" in text:
            end = _by_ids(text, tables)
        else:
            name, _, column = text.rpartition(".")
            table = feed if not name and side.key == "from" else next((one for one in tables if one.name == name), None)
            end = None if table is None or column not in _columns(table) else (table, column)
        if end is None:
            known = [f"{table.name}.{one}" for table in tables for one in _columns(table)]
            told = nearest(text, known) or "add the table to the schema of this contract"
            shown = ", ".join(known[:20])
            faults.add("there is no such column", line=node.line, key=key, got=text, allowed=shown, next=told)
            return None
        found.append(end)
    if len({table.path for table, _ in found}) > 1:
        got = ", ".join(side.texts)
        faults.add("a key stands in one table", line=node.line, key=key, got=got)
        return None
    return found[0][0], tuple(column for _, column in found)


def _columns(table: Table) -> list[str]:
    return list(table.draft.fields)


def _by_ids(text: str, tables: Sequence[Table]) -> tuple[Table, str] | None:
    parts = text.strip("/").split("/")
    if len(parts) != 4 or (parts[0], parts[2]) != ("schema", "properties"):
        return None
    for table in tables:
        for column in table.node.list("properties"):
            name, ids = column.text("name"), [table.node.text("id"), column.text("id")]
            if ids == parts[1::2] and name in _columns(table):
                return table, name
    return None


def _joined(
    own: tuple[Table, tuple[str, ...]], other: tuple[Table, tuple[str, ...]], node: Node, path: str, feed: Table
) -> Reference | None:
    faults = feed.draft.faults
    columns, to = own[1], other[1]
    if own[0] is not feed:
        got = f"from {own[0].name}"
        faults.add(f"a relationship of {feed.name} begins in it", line=node.line, key=f"{path}.from", got=got)
        return None
    if len(columns) != len(to):
        got = f"{len(columns)} and {len(to)} columns"
        faults.add("both sides of a key have as many columns", line=node.line, key=f"{path}.to", got=got)
        return None
    for mine, theirs in zip(columns, to, strict=True):
        kind, another = feed.draft.fields[mine].type, other[0].draft.fields[theirs].type
        if COMPARABLE.get(kind, kind) != COMPARABLE.get(another, another):
            got = f"{mine} is a {kind}, {other[0].name}.{theirs} a {another}"
            faults.add("a key and what it refers to have one type", line=node.line, key=f"{path}.to", got=got)
            return None
    name = f"in {other[0].name}"
    return Reference(name=name, columns=columns, table=other[0].name, to=to, line=node.line)
