"""Values that break a rule of their field, taken as missing. Imports no polars; frames have `kring.decide.guard`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from kring.contracts.row_rules import fields_of_rules
from kring.record.batch import Batch, Column
from kring.record.contract import Contract
from kring.record.decision import IMPUTED

Rows = TypeVar("Rows")
Fired = Mapping[int, list[str]]
Imputer = Callable[[Rows, Fired], tuple[Rows, Fired]]
"""(rows, broken rules by row number) → the rows without the values that break them, and the rules with `imputed`
beside them. Doing it twice changes nothing more."""


def row_imputer(contract: Contract) -> Imputer[Batch]:
    """For rows as they come in requests: columns are lists, and a missing value is None."""
    fields = fields_of_rules(contract)

    def impute(rows: Batch, fired: Fired) -> tuple[Batch, Fired]:
        if not fired:
            return rows, fired
        changed: dict[str, Column] = dict(rows.columns)
        for name, places in broken_in(fired, fields).items():
            if name in changed:
                values = list(changed[name])
                for place in places:
                    values[place] = None
                changed[name] = values
        return Batch(rows.n, changed), told(fired, fields)

    return impute


def broken_in(fired: Fired, fields: Mapping[str, str]) -> dict[str, list[int]]:
    """The rows in which each field breaks a rule of its own."""
    found: dict[str, list[int]] = {}
    for row, rules in fired.items():
        for name in dict.fromkeys(fields[rule] for rule in rules if rule in fields):
            found.setdefault(name, []).append(row)
    return found


def told(fired: Fired, fields: Mapping[str, str]) -> Fired:
    """The broken rules, with `imputed` last where one of them is a field's own."""
    return {
        row: [*rules, IMPUTED] if IMPUTED not in rules and any(rule in fields for rule in rules) else rules
        for row, rules in fired.items()
    }
