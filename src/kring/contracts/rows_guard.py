"""Which rules one row breaks. Imports nothing heavy: this runs in front of every request.

The time for a row is linear in its size, whatever its texts hold: patterns run on an automaton and numbers
longer than 64 signs are not read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeAlias

from kring.contracts import grammar, to_rows
from kring.contracts.patterns import pattern
from kring.contracts.row_rules import RowRule, row_rules, text_markers
from kring.contracts.values import Read, Unread, reader
from kring.record.contract import Contract, Field
from kring.record.decision import Value

Test: TypeAlias = Callable[[Read], bool]
Looked: TypeAlias = tuple[dict[str, Value], list[str]]


def row_guard(
    contract: Contract, *, fields: Sequence[str], typed: bool = False
) -> Callable[[Mapping[str, object]], list[str]]:
    """A function from a row to the full names of the rules it breaks, in the contract's order.

    Only rules that block and tolerate no bad row are looked at, and of those only rules over `fields`
    (the target is not known when a decision is asked for). A field that is absent is missing. `typed` says
    that values are in the contract's types already, see `kring.contracts.values.reader`.
    """
    look = row_reader(contract, fields=fields, typed=typed)
    return lambda row: look(row)[1]


def row_reader(
    contract: Contract, *, fields: Sequence[str], typed: bool = False
) -> Callable[[Mapping[str, object]], Looked]:
    """As `row_guard`, and gives the row in the contract's types as well; what can't be read is None."""
    known = {field.name: field for field in contract.fields if field.name in fields}
    markers = text_markers(contract)
    readers = {
        name: reader(field, markers=markers.get(name, frozenset()), typed=typed) for name, field in known.items()
    }
    rules = [rule for rule in row_rules(contract) if rule.strict and (rule.column in known or not rule.column)]
    tests = [
        (rule.full_name, rule.column, _test(rule, known[rule.column])) for rule in rules if rule.kind != "expression"
    ]
    wholes = [made for rule in rules if rule.kind == "expression" and (made := _whole(rule, contract, known))]
    order = {rule.full_name: place for place, rule in enumerate(rules)}

    def look(row: Mapping[str, object]) -> Looked:
        read = {name: read_one(row.get(name)) for name, read_one in readers.items()}
        values = {name: None if isinstance(value, Unread) else value for name, value in read.items()}
        broken = [name for name, column, is_bad in tests if is_bad(read[column])]
        broken += [name for name, is_good in wholes if is_good(values) is False]
        return values, sorted(broken, key=order.__getitem__) if wholes else broken

    return look


def _whole(rule: RowRule, contract: Contract, known: Mapping[str, Field]) -> tuple[str, to_rows.Cell] | None:
    """The rule's expression, unless it reads a field that is not known."""
    expression = grammar.parse(rule.expression, file=contract.file, line=rule.line, key=rule.full_name)
    if not grammar.fields_of(expression) <= known.keys():
        return None
    types = {field.name: field.type for field in contract.fields}
    return rule.full_name, to_rows.compile(expression, types=types, tables={})


def _test(rule: RowRule, field: Field) -> Test:
    """True for what breaks the rule."""
    reasons = {"type": (Unread.BROKEN,), "finite": (Unread.INFINITE,), "null": (Unread.NULL,)}
    nothing = (Unread.NULL, Unread.MARKED)
    if rule.kind in reasons:
        reason = reasons[rule.kind][0]
        return lambda value: value is reason
    if rule.kind == "required":
        return lambda value: value in nothing
    if rule.kind == "missing":
        marks = frozenset(rule.missing_values)
        return lambda value: value in nothing or value in marks
    if rule.kind == "zero":
        return lambda value: value == 0 and not isinstance(value, Unread)
    return _invalid(rule, field)


def _invalid(rule: RowRule, field: Field) -> Test:
    """True for a value outside any of the limits that the rule sets."""
    bad: list[Callable[[Value], bool]] = []
    exact = float if field.type == "number" else _as_it_is
    if rule.minimum is not None:
        bad.append(partial(_below, exact(rule.minimum), rule.exclusive_minimum))
    if rule.maximum is not None:
        bad.append(partial(_above, exact(rule.maximum), rule.exclusive_maximum))
    if rule.allowed:
        allowed = frozenset(
            float(value) if field.type == "number" else value for value in rule.allowed if value is not None
        )
        bad.append(lambda value: value not in allowed)
    if rule.pattern:
        matches = pattern(rule.pattern).matches
        bad.append(lambda value: not matches(str(value)))
    if rule.min_length is not None or rule.max_length is not None:
        low, high = rule.min_length or 0, rule.max_length
        bad.append(lambda value: len(str(value)) < low or (high is not None and len(str(value)) > high))
    return lambda value: not isinstance(value, Unread) and any(is_bad(value) for is_bad in bad)


def _as_it_is(limit: float) -> float:
    return limit


def _below(limit: float, is_open: bool, value: Value) -> bool:
    return isinstance(value, int | float) and (value <= limit if is_open else value < limit)


def _above(limit: float, is_open: bool, value: Value) -> bool:
    return isinstance(value, int | float) and (value >= limit if is_open else value > limit)
