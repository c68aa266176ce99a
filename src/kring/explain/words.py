"""What a prepared column is called by the business, and what it did, in a sentence."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from kring.contracts.expression import FieldName
from kring.contracts.grammar import fields_of, parse
from kring.record.contract import Contract, Field
from kring.record.decision import Value
from kring.record.explanation import Contribution
from kring.record.prepare import Prepared, PreparedColumn

MOST_REASONS: Final = 5
LONGEST: Final = 60
CUT: Final = "…"
WITHHELD: Final = "(personal)"
NOTHING: Final = 5e-5
"""Effects up to this size are none to speak of."""


class Named(NamedTuple):
    """A column in the business's words, the raw fields it reads, and whether one of them is personal."""

    words: str
    fields: tuple[str, ...]
    personal: bool


def named_columns(prepared: Prepared, contract: Contract) -> dict[str, Named]:
    """Every prepared column by name. A field as it is bears the contract's business name, else its description, else
    its name; a column that is made of fields bears its own name and says what it is made of."""
    fields = {field.name: field for field in contract.fields}
    return {column.name: _named(column, fields) for column in prepared.columns}


def _named(column: PreparedColumn, fields: Mapping[str, Field]) -> Named:
    expression = parse(column.expression)
    read = tuple(field for field in fields if field in fields_of(expression))
    personal = any(fields[name].personal or fields[name].identifier for name in read)
    plain = isinstance(expression.root, FieldName) and expression.root.name in fields
    words = _of_field(fields[read[0]]) if plain else spaced(column.name)
    if not plain and read:
        words += f" (from {listed([_of_field(fields[name]) for name in read])})"
    return Named(words, read, personal)


def _of_field(field: Field) -> str:
    if field.business_name:
        return field.business_name
    sentence = field.description.strip().partition("\n")[0].rstrip(".")
    return sentence if 0 < len(sentence) <= LONGEST else spaced(field.name)


def spaced(name: str) -> str:
    """A name as words: `route_late` is "route late"."""
    return name.replace("_", " ").replace(".", " ").strip() or name


def listed(words: Sequence[str]) -> str:
    """One, one and two, or one, two and three."""
    return " and ".join(part for part in (", ".join(words[:-1]), words[-1]) if part) if words else ""


def reasons_of(
    contributions: Collection[Contribution], *, output: str, personal: Collection[str] = ()
) -> tuple[str, ...]:
    """The strongest contributions as sentences, at most five: "late share of this route, 0.41, raises the probability
    by 0.12". What changes nothing, or less than its own error, is no reason. Of `personal` columns no value is said."""
    strong = sorted(contributions, key=lambda one: -abs(one.effect))
    strong = [one for one in strong if not abs(one.effect) <= max(2 * one.error, NOTHING)]
    return tuple(
        f"{one.words}, {WITHHELD if one.column in personal else shown(one.value)}, "
        f"{'raises' if one.effect > 0 else 'lowers'} {output} by {amount(abs(one.effect))}"
        for one in strong[:MOST_REASONS]
    )


def shown(value: Value) -> str:
    """A value in a sentence."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "missing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4g}"
    return value if len(value) <= LONGEST else value[: LONGEST - 1] + CUT


def amount(size: float) -> str:
    """The size of an effect: two digits that count."""
    return f"{size:.2f}" if 0.095 <= size < 10 else f"{size:,.2g}" if size < 0.095 else f"{size:,.0f}"
