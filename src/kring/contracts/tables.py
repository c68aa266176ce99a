"""The tables behind `lookup(...)`, held against the expressions that use them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from kring.contracts.expression import Source, nearest
from kring.contracts.terms import Term
from kring.errors import DataError
from kring.record.contract import LogicalType
from kring.record.decision import Value
from kring.record.prepare import LookupTable

Tables: TypeAlias = Mapping[str, LookupTable | str]
"""By name: a pinned table, or the name of a column that holds the looked-up value of each row."""

KINDS: Mapping[LogicalType, type] = {"string": str, "integer": int, "boolean": bool, "date": int}


def table_of(term: Term, tables: Tables, source: Source) -> LookupTable | str:
    """What `tables` holds for a lookup; `ExpressionError` when there is no such table."""
    name = str(term.value)
    if name not in tables:
        raise source.fault(
            f"there is no lookup {name!r}",
            got=name,
            allowed=", ".join(sorted(tables)) or "none are declared",
            next=nearest(name, tables) or f"declare [lookup.{name}] in kring.toml",
        )
    return tables[name]


def entries(table: LookupTable, term: Term) -> dict[tuple[Value, ...], float]:
    """Key to value; `DataError` when the keys are double or not of the types that `term` looks up."""
    found = dict(zip(table.keys, table.values, strict=False))
    types = tuple(KINDS[part.type] for part in term.arguments)
    right = all(
        len(key) == len(types)
        and all(value is None or type(value) is kind for value, kind in zip(key, types, strict=True))
        for key in table.keys
    )
    if not right or not len(found) == len(table.keys) == len(table.values):
        raise DataError(
            f"the lookup table {table.name!r} does not fit the expression that uses it",
            got=f"{len(table.values)} values for {len(set(table.keys))} keys of ({', '.join(table.key)})",
            allowed="one value per key, keys of (" + ", ".join(part.type for part in term.arguments) + ")",
            next="build the table again",
        )
    return dict(found)
