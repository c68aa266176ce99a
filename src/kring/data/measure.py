"""What is measured of a feed: every rule of the contract as one aggregate of one pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from kring.contracts import grammar
from kring.contracts.columns import Reading
from kring.contracts.row_rules import RowRule, row_rules
from kring.contracts.rules import predicate
from kring.contracts.zones import DAY_US
from kring.record.contract import Bound, Contract, Field, Rule, Severity, Unit

NONE_AT_ALL: Final = Bound(high=0)


@dataclass(frozen=True, slots=True)
class Measure:
    """Bad rows of one rule. `bad` is true on a bad row, `count` gives their number; None: there can't be any.

    `what` completes "n rows …"; `shown` are the columns whose values an example shows; `key` gives
    equal values for rows that repeat each other. `kind` is that of a rule about rows, `limits` are its least and
    greatest value, `line` is that of the rule in the contract.
    """

    rule: str
    column: str
    what: str
    bound: Bound = NONE_AT_ALL
    unit: Unit = "rows"
    severity: Severity = "block"
    count: pl.Expr | None = None
    bad: pl.Expr | None = None
    key: pl.Expr | None = None
    shown: tuple[str, ...] = ()
    kind: str = ""
    limits: tuple[int | float | None, int | float | None] | None = None
    line: int = 0


def measures(contract: Contract, made: Mapping[str, Reading], dtypes: Mapping[str, pl.DataType]) -> Iterator[Measure]:
    """Every countable rule over columns that the feed has, in the contract's order.

    `made` are the readings over the staged columns, `dtypes` the types in the feed.
    """
    for rule in row_rules(contract):
        if rule.kind == "expression":
            columns = tuple(sorted(grammar.fields_of(grammar.parse(rule.expression))))
        else:
            columns = (rule.column,)
        if all(name in made for name in columns):
            bad = predicate(rule, contract, made)
            yield Measure(
                rule=rule.name,
                column=rule.column,
                what=_what(rule, contract, dtypes),
                bound=rule.bound,
                unit=rule.unit,
                severity=rule.severity,
                count=None if bad is None else bad.sum(),
                bad=bad,
                shown=columns,
                kind=rule.kind,
                limits=None if rule.minimum is None and rule.maximum is None else (rule.minimum, rule.maximum),
                line=rule.line,
            )
    for unique in uniques(contract):
        if all(name in made for name in unique.columns):
            yield _repeated(unique, contract, made)


def uniques(contract: Contract) -> list[Rule]:
    """Every rule against repetition, those of unique columns first."""
    told = [
        Rule(name="unique", metric="duplicateValues", columns=(field.name,), line=field.line)
        for field in contract.fields
        if field.unique
    ]
    return [*told, *(rule for rule in contract.rules if rule.metric == "duplicateValues")]


def newest(rule: Rule, made: Mapping[str, Reading]) -> pl.Expr:
    """The latest date or timestamp, as microseconds UTC."""
    return made[rule.columns[0]].value.max().cast(pl.Datetime("us")).to_physical()


def zeros(contract: Contract, made: Mapping[str, Reading]) -> pl.Expr | None:
    """Whether every number that is not part of a key is 0; None for a table without numbers."""
    alive = not_zero(contract, made)
    return None if alive is None else alive.any().not_()


def not_zero(contract: Contract, made: Mapping[str, Reading]) -> pl.Expr | None:
    """True for a row in which some number outside the keys is missing or not 0; None without such numbers."""
    keys = {name for rule in uniques(contract) for name in rule.columns}
    numbers = [
        made[field.name].value
        for field in contract.fields
        if field.type in ("number", "integer")
        and field.name in made
        and field.name not in keys
        and not field.identifier
    ]
    return pl.any_horizontal([value.ne_missing(0) for value in numbers]) if numbers else None


def _repeated(rule: Rule, contract: Contract, made: Mapping[str, Reading]) -> Measure:
    """Rows that repeat an earlier row's values; a row with a missing part is never a repetition."""
    fields = {field.name: field for field in contract.fields}
    values = [made[name].value for name in rule.columns]
    if len(values) == 1 and fields[rule.columns[0]].type != "string":
        key = values[0]
    else:
        whole = pl.all_horizontal([value.is_not_null() for value in values])
        key = pl.when(whole).then((values[0] if len(values) == 1 else pl.struct(values)).hash())
    return Measure(
        rule=rule.name,
        column=", ".join(rule.columns),
        what=f"repeat an earlier {' and '.join(rule.columns)}",
        bound=rule.bound,
        unit=rule.unit,
        severity=rule.severity,
        count=key.to_physical().map_batches(repetitions, return_dtype=pl.Int64, returns_scalar=True),
        key=key,
        shown=rule.columns,
        line=rule.line,
    )


def repetitions(values: pl.Series) -> pl.Series:
    """How many of the values repeat an earlier one: sorting needs a third of a hash table's memory."""
    ordered = np.concatenate([chunk.to_numpy() for chunk in values.drop_nulls().get_chunks()])
    ordered.sort()
    return pl.Series([int(np.count_nonzero(ordered[1:] == ordered[:-1]))], dtype=pl.Int64)


def _what(rule: RowRule, contract: Contract, dtypes: Mapping[str, pl.DataType]) -> str:
    """What is said of the bad rows."""
    field = next((field for field in contract.fields if field.name == rule.column), None)
    if rule.kind == "type" and field is not None:
        dtype = dtypes[rule.column]
        held = "" if dtype == pl.String else f" (the column holds {dtype})"
        return f"can't be read as {field.type}{held}"
    if rule.kind == "expression":
        return f"break {rule.expression}"
    if rule.kind == "invalid" and field is not None:
        return " or ".join(_limits(rule, field))
    return {
        "finite": "are NaN or infinite",
        "zero": "are 0",
        "null": "are empty",
        "required": "are missing",
        "missing": "are missing",
    }[rule.kind]


def _limits(rule: RowRule, field: Field) -> Iterator[str]:
    if rule.minimum is not None:
        yield f"are {'not above' if rule.exclusive_minimum else 'below'} {told(rule.minimum, field)}"
    if rule.maximum is not None:
        yield f"are {'not below' if rule.exclusive_maximum else 'above'} {told(rule.maximum, field)}"
    if rule.allowed:
        names = [told(value, field) for value in rule.allowed[:10]]
        yield f"are none of {', '.join(names)}{' …' if len(rule.allowed) > 10 else ''}"
    if rule.pattern:
        yield f"don't match {rule.pattern}"
    if rule.min_length is not None:
        yield f"are shorter than {rule.min_length}"
    if rule.max_length is not None:
        yield f"are longer than {rule.max_length}"


def told(value: object, field: Field) -> str:
    """A value of the contract as people write it."""
    if field.type in ("date", "timestamp") and isinstance(value, int):
        at = pl.Series([value * DAY_US if field.type == "date" else value]).cast(pl.Datetime("us"))
        return str(at.dt.strftime("%Y-%m-%d" if field.type == "date" else "%Y-%m-%dT%H:%M:%S%.fZ")[0])
    return str(value)
