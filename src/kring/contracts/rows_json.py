"""One row out of JSON, read and guarded in one pass, as far as its contract lets types do that.

`msgspec` checks types, ranges and presence while it reads. What it lets through keeps the rules it knows; what it does
not let through is read again by `kring.contracts.rows_guard`, which knows the names of the rules. So this reader
refuses nothing: it only saves the second reading for rows that are in order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, NamedTuple

import msgspec

from kring.contracts.row_rules import RowRule, row_rules
from kring.contracts.rows_guard import row_reader
from kring.record.contract import Contract, Field
from kring.record.decision import Value

Values = tuple[Value, ...]
INTEGERS: Final = {"ge": -(1 << 63), "le": (1 << 63) - 1}
BY_TYPE: Final = ("type", "finite", "required", "null")
NEEDED: Final = ("required", "null")


class RowsJson(NamedTuple):
    """`type` is what `msgspec` decodes a row to; `values` gives its values in the order of the fields, or None when
    the slow reader has to say what is wrong with them."""

    type: type[msgspec.Struct]
    values: Callable[[Any], Values | None]


def rows_json(contract: Contract, *, fields: Sequence[str]) -> RowsJson:
    """The fast reader of rows with `fields`. An absent field and null are both missing; an unknown one is an error."""
    known = {field.name: field for field in contract.fields}
    rules = [rule for rule in row_rules(contract) if rule.strict]
    types = {name: _type(known[name], [rule for rule in rules if rule.column == name]) for name in fields}
    needed = {rule.column for rule in rules if rule.kind in NEEDED}
    members = [_member(place, types[name], needed=name in needed) for place, name in enumerate(fields)]
    names = {f"f{place}": name for place, name in enumerate(fields)}
    row = msgspec.defstruct("Row", members, rename=names, kw_only=True, forbid_unknown_fields=True, gc=False)
    values = msgspec.structs.astuple
    if any(rule.kind == "expression" for rule in rules):
        return RowsJson(row, _looked_at(contract, fields, left=fields, values=values))
    left = [name for name in fields if types[name] is None]
    return RowsJson(row, _looked_at(contract, fields, left=left, values=values) if left else values)


def _member(place: int, type: Any, *, needed: bool) -> tuple[Any, ...]:
    if type is None:
        return (f"f{place}", Any, None)
    return (f"f{place}", type) if needed else (f"f{place}", type | None, None)


def _looked_at(
    contract: Contract, fields: Sequence[str], *, left: Sequence[str], values: Callable[[Any], Values]
) -> Callable[[Any], Values | None]:
    """`values`, with the fields in `left` read by the reader that knows all rules."""
    look = row_reader(contract, fields=left)
    places = [(place, name) for place, name in enumerate(fields) if name in left]

    def read(row: Any) -> Values | None:
        found = list(values(row))
        looked, broken = look({name: found[place] for place, name in places})
        if broken:
            return None
        for place, name in places:
            found[place] = looked[name]
        return tuple(found)

    return read


def _type(field: Field, rules: Sequence[RowRule]) -> Any:
    """The type that lets through what keeps `rules`, and nothing else; None when there is no such type."""
    ranges = [rule for rule in rules if rule.kind not in BY_TYPE]
    if field.type == "boolean":
        return None if ranges else bool
    if field.type not in ("number", "integer") or len(ranges) > 1 or not all(map(_is_range, ranges)):
        return None
    limits: dict[str, Any] = _limits(ranges[0]) if ranges else {}
    if field.type == "number":
        return Annotated[float, msgspec.Meta(**limits)]
    return Annotated[int, msgspec.Meta(**INTEGERS | limits)] if limits.keys() <= INTEGERS.keys() else None


def _is_range(rule: RowRule) -> bool:
    others = (rule.allowed, rule.pattern, rule.min_length is not None, rule.max_length is not None)
    return rule.kind == "invalid" and not any(others)


def _limits(rule: RowRule) -> dict[str, int | float]:
    low, high = "gt" if rule.exclusive_minimum else "ge", "lt" if rule.exclusive_maximum else "le"
    found = {low: rule.minimum, high: rule.maximum}
    return {name: limit for name, limit in found.items() if limit is not None}
