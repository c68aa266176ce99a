"""The tables of a contract: columns, rules, and which of them is the feed's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from kring.contracts.faults import Faults
from kring.contracts.odcs_fields import Draft, custom_properties, read_field
from kring.contracts.odcs_rules import read_freshness, read_quality
from kring.contracts.yaml_lines import Node
from kring.record.contract import Reference, Rule


@dataclass
class Table:
    """One schema object while the contract is read. `path` is its key, `is_feed` what `kring.feed` says."""

    node: Node
    path: str
    draft: Draft
    is_feed: bool = False
    rules: list[Rule] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.node.text("name")

    def distinct_rules(self) -> tuple[Rule, ...]:
        """Rules with names that are unique among the rules of the same columns."""
        seen: Counter[tuple[str, tuple[str, ...]]] = Counter()
        named = []
        for rule in self.rules:
            seen[rule.name, rule.columns] += 1
            count = seen[rule.name, rule.columns]
            named.append(rule if count == 1 else msgspec.structs.replace(rule, name=f"{rule.name} {count}"))
        return tuple(named)


def read_table(node: Node, *, path: str, faults: Faults) -> Table:
    """Columns and rules of one table; what can't be promised goes to the faults or the notes of its draft."""
    table = Table(node, path, Draft(faults=faults))
    draft = table.draft
    own = custom_properties(node, path=f"{path}.", known=("feed",), faults=faults)
    if "feed" in own:
        value, key = own["feed"]
        if not isinstance(value.value, bool):
            faults.add("kring.feed is not a flag", line=value.line, key=key, got=value.shown, allowed="true or false")
        table.is_feed = value.value is True
    properties = node.list("properties")
    if not properties and node.keys is not None:
        draft.note(f"{table.name}: a table without columns promises nothing", line=node.line)
    for index, one in enumerate(properties):
        found = read_field(one, path=f"{path}.properties[{index}]", draft=draft)
        if found is not None:
            draft.fields[found.name] = found
    for index, one in enumerate(properties):
        name = one.text("name")
        if name in draft.fields and draft.fields[name].line == one.line:
            table.rules += _qualities(one, f"{path}.properties[{index}]", name, draft)
    table.rules = [*_primary_key(draft), *table.rules, *_qualities(node, path, "", draft)]
    return table


def feed_of(tables: Sequence[Table], faults: Faults) -> Table | None:
    """The table that the feed fills: the one that says so, else the one with roles, else the first.

    A fault when several say so, or when none does and several have roles.
    """
    for chosen, what in (
        ([table for table in tables if table.is_feed], "say kring.feed"),
        ([table for table in tables if table.draft.roles], "have columns with roles"),
    ):
        if len(chosen) > 1:
            faults.add(
                f"which table is the feed's? several {what}",
                line=chosen[1].node.line,
                key=chosen[1].path,
                got=", ".join(table.name for table in chosen)[:200],
                allowed="one table",
                next="say kring.feed: true in the customProperties of one table",
            )
        if chosen:
            return chosen[0]
    return tables[0] if tables else None


def service_levels(root: Node, feed: Table) -> list[Rule]:
    """The promises about age, of the feed's columns; those of other tables are noted."""
    default = root.text("slaDefaultElement") or feed.draft.roles.get("time", "")
    rules: list[Rule] = []
    for index, node in enumerate(root.list("slaProperties")):
        element = (node.text("element") or default).strip()
        if node.keys is None:
            continue
        elsewhere = "." in element and element not in feed.draft.fields and not element.startswith(f"{feed.name}.")
        if elsewhere or not feed.draft.fields:
            feed.draft.note(f"service level {node.text('property')} of {element or 'no column'}", line=node.line)
            continue
        path = f"slaProperties[{index}]"
        rules += read_freshness(node, path=path, default=default, table=feed.name, draft=feed.draft)
    return rules


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
