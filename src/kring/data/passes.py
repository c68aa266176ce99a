"""One feed under one contract: all rules in one pass, the examples of what is broken in a second."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import polars as pl

from kring.contracts.aggregates import Aggregated, aggregated
from kring.contracts.columns import Reading, readings, settled, stage
from kring.contracts.row_rules import text_markers
from kring.data.examples import examples, staged_with_raw
from kring.data.findings import (
    SECOND_US,
    bound_told,
    columns_found,
    counted,
    finding,
    kept,
    span,
    within,
)
from kring.data.hints import hints
from kring.data.keys import KnownKeys, unknown
from kring.data.measure import Measure, measures, newest, told, zeros
from kring.record.contract import Contract, Field, LogicalType, Rule
from kring.record.finding import Finding

LEAST_ROWS: Final = 100
"""From so many rows on, a feed whose numbers are all zero is taken for broken."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a pass came to: the findings, the rows, and the bad rows of each of `todo`."""

    findings: tuple[Finding, ...]
    rows: int
    todo: tuple[Measure, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Pass:
    """`only` (over the raw feed) says which rows are looked at; examples keep the row numbers of the feed."""

    feed: pl.LazyFrame
    contract: Contract
    as_of: int
    known: KnownKeys
    only: pl.Expr | None = None

    def run(self) -> Found:
        """Measure every rule."""
        dtypes = self.feed.collect_schema()
        over, stages = self.staged()
        todo = list(measures(self.contract, over, dtypes))
        todo += [
            unknown(reference, known, over)
            for reference, known in self.known.items()
            if all(name in over for name in reference.columns)
        ]
        row = self._measured(stages, todo, over)
        rows = _number(row["rows"])
        counts = [_number(row.get(str(number))) for number in range(len(todo))]
        broken = {n: (todo[n], count) for n, count in enumerate(counts) if not kept(todo[n], count, rows)}
        bad = {n: one for n, one in broken.items() if one[1]}
        shown = self.examples(bad, stages) if bad else {}
        hinted = hints(self.rows().select(stages), self.contract, bad, rows=rows, shown=shown) if bad else {}
        findings = [
            *columns_found(self.contract, list(dtypes)),
            *self._table(row, rows, over),
            *(counted(one, counts[n], rows, shown.get(n, ()), hinted.get(n, "")) for n, one in enumerate(todo)),
        ]
        return Found(tuple(findings), rows, tuple(todo), tuple(counts))

    def rows(self) -> pl.LazyFrame:
        """The rows that are looked at."""
        return self.feed if self.only is None else self.feed.filter(self.only)

    def fields(self) -> list[Field]:
        """The contract's columns that the feed has."""
        dtypes = self.feed.collect_schema()
        return [field for field in self.contract.fields if field.name in dtypes]

    def staged(self) -> tuple[dict[str, Reading], list[pl.Expr]]:
        """The readings over staged columns, and what makes those of the raw ones."""
        made = readings(self.contract.fields, self.feed.collect_schema(), text_markers(self.contract))
        fields = self.fields()
        over = {field.name: settled(field, made[field.name]) for field in fields}
        return over, [column for field in fields for column in stage(field, made[field.name])]

    def examples(self, bad: Mapping[int, tuple[Measure, int]], stages: Sequence[pl.Expr]) -> dict[int, tuple[str, ...]]:
        """A few bad rows for each measure, with their numbers in the feed."""
        staged = staged_with_raw(self.feed, stages, [field.name for field in self.fields()], only=self.only)
        return examples(staged, bad, self.contract)

    def _measured(
        self, stages: Sequence[pl.Expr], todo: Sequence[Measure], over: Mapping[str, Reading]
    ) -> dict[str, object]:
        """The one pass: every aggregate by its name."""
        wanted = {str(number): measure.count for number, measure in enumerate(todo) if measure.count is not None}
        wanted |= {f"newest {rule.columns[0]}": newest(rule, over) for rule in self._fresh(over)}
        for rule, whole in self._aggregates(over):
            wanted |= {f"{rule.line} {rule.name} {name}": part for name, part in whole.parts.items()}
        all_zero = zeros(self.contract, over)
        if all_zero is not None:
            wanted["zeros"] = all_zero
        staged = self.rows().select(stages) if stages else self.rows()
        return staged.select(pl.len().alias("rows"), **wanted).collect(engine="streaming").row(0, named=True)

    def _fresh(self, over: Collection[str]) -> list[Rule]:
        return [rule for rule in self.contract.rules if rule.metric == "freshness" and rule.columns[0] in over]

    def _aggregates(self, over: Collection[str]) -> list[tuple[Rule, Aggregated]]:
        types = {field.name: field.type for field in self.contract.fields}
        rules = [rule for rule in self.contract.rules if rule.metric == "aggregate"]
        made = [(rule, aggregated(rule.expression, types=types)) for rule in rules]
        return [(rule, whole) for rule, whole in made if whole.columns <= set(over)]

    def _table(self, row: Mapping[str, object], rows: int, over: Mapping[str, Reading]) -> Iterator[Finding]:
        """What is said of the table as a whole: volume, freshness, aggregates, a feed of zeros."""
        yield finding("rows", "", ok=rows > 0, rows=0, value=rows, allowed="at least 1 row", message=f"{rows:,} rows")
        if row.get("zeros") is not None and rows >= LEAST_ROWS:
            ok = row["zeros"] is not True
            message = "some number is not 0" if ok else f"every number in all {rows:,} rows is 0"
            yield finding(
                "constant", "", ok=ok, rows=0 if ok else rows, value=0 if ok else rows, allowed="none", message=message
            )
        for rule in self.contract.rules:
            if rule.metric == "rowCount":
                allowed = bound_told(rule.bound, "rows")
                message = f"{rows:,} rows; allowed: {allowed}"
                yield _said(rule, within(rows, rule.bound), rows, allowed, message)
        for rule in self._fresh(over):
            yield self._age(rule, row[f"newest {rule.columns[0]}"])
        for rule, whole in self._aggregates(over):
            yield _compared(rule, whole, {name: row[f"{rule.line} {rule.name} {name}"] for name in whole.parts})

    def _age(self, rule: Rule, latest: object) -> Finding:
        column, allowed = rule.columns[0], f"at most {span(rule.max_age_us)} old"
        if not isinstance(latest, int):
            return _said(rule, False, 0, allowed, f"{column}: no row has a value, so nothing is fresh")
        age = self.as_of - latest
        message = f"{column}: the newest row is {span(age)} old; allowed: {allowed}"
        if age < 0:
            message = f"{column}: the newest row lies {span(-age)} ahead"
        return _said(rule, age <= rule.max_age_us, age / SECOND_US, allowed, message)


def _compared(rule: Rule, whole: Aggregated, found: Mapping[str, object]) -> Finding:
    """The finding of a rule about one number of the whole table."""
    parts = {name: value if isinstance(value, bool | int | float) else None for name, value in found.items()}
    value = whole.value(parts)
    allowed = "true" if whole.type == "boolean" else bound_told(rule.bound, "number")
    if not isinstance(value, int | float):
        return _said(rule, False, 0, allowed, f"{rule.expression} has no value: nothing to take it of")
    shown = str(value).lower() if whole.type == "boolean" else f"{value:,.6g}"
    details = "; ".join(f"{name} = {_part(one, whole.kinds[name])}" for name, one in parts.items())
    more = f" ({details})" if details and set(parts) != {rule.expression.strip()} else ""
    message = f"{rule.expression} is {shown}{more}; allowed: {allowed}"
    return _said(rule, within(float(value), rule.bound), float(value), allowed, message)


def _part(value: object, kind: LogicalType) -> str:
    """The value of an aggregate as people read it."""
    if kind in ("date", "timestamp") or not isinstance(value, int | float):
        return told(value, Field(name="", type=kind))
    return f"{value:,.6g}"


def _said(rule: Rule, ok: bool, value: float, allowed: str, message: str) -> Finding:
    column = ", ".join(rule.columns)
    made = finding(
        rule.name, column, ok=ok, rows=0, value=value, allowed=allowed, message=message, severity=rule.severity
    )
    return msgspec.structs.replace(made, line=rule.line)


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
