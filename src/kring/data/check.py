"""A feed against its contract: every rule in one streaming pass, and a report in plain words."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from kring.contracts.columns import Reading, reading, readings, settled, stage
from kring.contracts.row_rules import text_markers
from kring.data.examples import examples, staged_with_raw
from kring.data.measure import Measure, measures, newest, zeros
from kring.errors import DataError
from kring.record.contract import Bound, Contract, Field, Rule, Severity, Unit
from kring.record.finding import CheckReport, CheckResult, Finding

LEAST_ROWS: Final = 100
"""From so many rows on, a feed whose numbers are all zero is taken for broken."""

SECOND_US: Final = 1_000_000
LEAST_ROUND: Final = 100
"""From here on a duration is told in whole units."""

SPANS: Final = ((86_400, "days"), (3_600, "hours"), (60, "minutes"), (1, "seconds"))


def check(
    feed: pl.LazyFrame, contract: Contract, *, source: str, source_digest: str, at: int, as_of: int
) -> CheckReport:
    """Hold `feed` to `contract`; freshness is measured at `as_of`, `at` is when the check runs (microseconds UTC).

    Reads the feed once, and a second time, no further than needed, when rows broke a rule. Memory grows with
    the feed only where values must not repeat: by 8 bytes per row and rule, and as much again while they are
    sorted. Texts and combined keys are compared by a 64-bit hash, which errs once in 3,000 feeds of 100 million
    rows. `DataError` when the feed can't be read.
    """
    try:
        findings, rows = _Check(feed, contract, as_of).run()
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"{source} can't be read", got=str(error).splitlines()[0][:200], next="check the file", file=source
        ) from error
    return CheckReport(
        contract=contract.name,
        contract_digest=contract.digest,
        source=source,
        source_digest=source_digest,
        rows=rows,
        result=worst([finding.result for finding in findings]),
        findings=tuple(findings),
        checked=len(findings),
        at=at,
        notes=contract.notes,
    )


def typed(feed: pl.LazyFrame, contract: Contract) -> pl.LazyFrame:
    """The contract's columns in its order and its types (`kring.contracts.to_polars.DTYPES`); what can't be
    read, is NaN or infinite, is null. `DataError` for columns that the feed does not have."""
    dtypes = feed.collect_schema()
    missing = [field.name for field in contract.fields if field.name not in dtypes]
    if missing:
        raise DataError(
            f"the feed has no column {', '.join(missing)}",
            got=", ".join(dtypes.names()),
            next="deliver the column, or change the contract",
        )
    markers = text_markers(contract)
    return feed.select(
        typed_column(field, dtypes[field.name], markers=markers.get(field.name, ())) for field in contract.fields
    )


def typed_column(field: Field, dtype: pl.DataType, *, markers: Collection[str] = ()) -> pl.Expr:
    """The feed's column of `dtype` as the contract's type; `markers` are texts that stand for nothing."""
    return reading(field, dtype, markers=markers).value.alias(field.name)


def worst(results: Sequence[CheckResult]) -> CheckResult:
    """`fail` before `warn` before `pass`."""
    order: tuple[CheckResult, ...] = ("fail", "warn", "pass")
    return next((result for result in order if result in results), "pass")


def within(value: float, bound: Bound) -> bool:
    """Whether a measured number lies in the allowed interval."""
    above = bound.low is None or value > bound.low or (value == bound.low and not bound.exclude_low)
    below = bound.high is None or value < bound.high or (value == bound.high and not bound.exclude_high)
    return (above and below) is not bound.negate


def bound_told(bound: Bound, unit: Unit) -> str:
    """The allowed interval in words: `none`, `at most 5 %`, `not 3 to 4 rows`."""
    sign = "%" if unit == "percent" else "rows"
    low, high = (None if end is None else f"{end:,.10g}" for end in (bound.low, bound.high))
    if high == "0" and bound.low in (None, 0) and not bound.negate:
        return "none"
    if low is None:
        text = f"{'less than' if bound.exclude_high else 'at most'} {high} {sign}"
    elif high is None:
        text = f"{'more than' if bound.exclude_low else 'at least'} {low} {sign}"
    else:
        text = f"{low} {sign}" if low == high else f"{low} to {high} {sign}"
    return f"not {text}" if bound.negate else text


@dataclass(frozen=True, slots=True)
class _Check:
    """One feed under one contract."""

    feed: pl.LazyFrame
    contract: Contract
    as_of: int

    def run(self) -> tuple[list[Finding], int]:
        """The findings and the number of rows."""
        dtypes = self.feed.collect_schema()
        made = readings(self.contract.fields, dtypes, text_markers(self.contract))
        fields = [field for field in self.contract.fields if field.name in made]
        over = {field.name: settled(field, made[field.name]) for field in fields}
        stages = [column for field in fields for column in stage(field, made[field.name])]
        todo = list(measures(self.contract, over, dtypes))
        row = self._measured(stages, todo, over)
        rows = _number(row["rows"])
        counts = [_number(row.get(str(number))) for number in range(len(todo))]
        broken = {n: (todo[n], count) for n, count in enumerate(counts) if not kept(todo[n], count, rows)}
        shown = self._examples(stages, broken, fields) if any(count for _, count in broken.values()) else {}
        findings = [
            *columns_found(self.contract, list(dtypes)),
            *self._table(row, rows, over),
            *(counted(measure, counts[n], rows, shown.get(n, ())) for n, measure in enumerate(todo)),
        ]
        return findings, rows

    def _measured(
        self, stages: Sequence[pl.Expr], todo: Sequence[Measure], over: Mapping[str, Reading]
    ) -> dict[str, object]:
        """The one pass: every aggregate by its name."""
        wanted = {str(number): measure.count for number, measure in enumerate(todo) if measure.count is not None}
        wanted |= {f"newest {rule.columns[0]}": newest(rule, over) for rule in self._fresh(over)}
        all_zero = zeros(self.contract, over)
        if all_zero is not None:
            wanted["zeros"] = all_zero
        staged = self.feed.select(stages) if stages else self.feed
        return staged.select(pl.len().alias("rows"), **wanted).collect(engine="streaming").row(0, named=True)

    def _fresh(self, over: Mapping[str, Reading]) -> list[Rule]:
        return [rule for rule in self.contract.rules if rule.metric == "freshness" and rule.columns[0] in over]

    def _examples(
        self, stages: Sequence[pl.Expr], broken: Mapping[int, tuple[Measure, int]], fields: Sequence[Field]
    ) -> dict[int, tuple[str, ...]]:
        staged = staged_with_raw(self.feed, stages, [field.name for field in fields])
        return examples(staged, {n: one for n, one in broken.items() if one[1]}, self.contract)

    def _table(self, row: Mapping[str, object], rows: int, over: Mapping[str, Reading]) -> Iterator[Finding]:
        """What is said of the table as a whole: volume, freshness, a feed of zeros."""
        yield finding("rows", "", ok=rows > 0, rows=0, value=rows, allowed="at least 1 row", message=f"{rows:,} rows")
        if row.get("zeros") is not None and rows >= LEAST_ROWS:
            ok = row["zeros"] is not True
            told = "some number is not 0" if ok else f"every number in all {rows:,} rows is 0"
            yield finding(
                "constant", "", ok=ok, rows=0 if ok else rows, value=0 if ok else rows, allowed="none", message=told
            )
        for rule in self.contract.rules:
            if rule.metric == "rowCount":
                allowed = bound_told(rule.bound, "rows")
                message = f"{rows:,} rows; allowed: {allowed}"
                ok = within(rows, rule.bound)
                severity = rule.severity
                yield finding(
                    rule.name, "", ok=ok, rows=0, value=rows, allowed=allowed, message=message, severity=severity
                )
        for rule in self._fresh(over):
            yield self._age(rule, row[f"newest {rule.columns[0]}"])

    def _age(self, rule: Rule, latest: object) -> Finding:
        column, allowed = rule.columns[0], f"at most {span(rule.max_age_us)} old"
        if not isinstance(latest, int):
            message = f"{column}: no row has a value, so nothing is fresh"
            return finding(
                rule.name, column, ok=False, rows=0, value=0, allowed=allowed, message=message, severity=rule.severity
            )
        age = self.as_of - latest
        message = f"{column}: the newest row is {span(age)} old; allowed: {allowed}"
        if age < 0:
            message = f"{column}: the newest row lies {span(-age)} ahead"
        ok, value = age <= rule.max_age_us, age / SECOND_US
        return finding(
            rule.name, column, ok=ok, rows=0, value=value, allowed=allowed, message=message, severity=rule.severity
        )


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def span(microseconds: int) -> str:
    """A duration in its largest fitting unit: `3 days`, `1.5 hours`."""
    seconds = microseconds / SECOND_US
    size, unit = next(((size, unit) for size, unit in SPANS if seconds >= size), SPANS[-1])
    amount = seconds / size
    told = f"{amount:,.0f}" if amount >= LEAST_ROUND else f"{amount:.3g}"
    return f"{told} {unit.removesuffix('s') if told == '1' else unit}"


def columns_found(contract: Contract, names: Sequence[str]) -> Iterator[Finding]:
    """A failure for every column that is promised and not there, a warning for every one that nobody promised."""
    promised = [field.name for field in contract.fields]
    for name in promised:
        if name not in names:
            message = f"{name}: the column is missing; the feed has {', '.join(names)}"
            yield finding("columns", name, ok=False, rows=0, value=0, allowed="the column", message=message)
    for name in names:
        if name not in promised:
            message = f"{name}: the column is not in the contract and is left out"
            yield finding(
                "columns",
                name,
                ok=False,
                rows=0,
                value=0,
                allowed="the contract's columns",
                message=message,
                severity="warn",
            )


def in_unit(unit: Unit, count: int, rows: int) -> float:
    """A number of rows in the unit of its rule."""
    if unit == "rows":
        return float(count)
    return 100 * count / rows if rows else 0.0


def kept(measure: Measure, count: int, rows: int) -> bool:
    """Whether `count` bad rows of `rows` are allowed."""
    return within(in_unit(measure.unit, count, rows), measure.bound)


def counted(measure: Measure, count: int, rows: int, shown: tuple[str, ...]) -> Finding:
    """The finding of a rule that counts bad rows."""
    value = in_unit(measure.unit, count, rows)
    share = f" ({value:.3g} %)" if measure.unit == "percent" else ""
    allowed = bound_told(measure.bound, measure.unit)
    of = f"{measure.column}: " if measure.column else ""
    return finding(
        measure.rule,
        measure.column,
        ok=kept(measure, count, rows),
        rows=count,
        value=value,
        allowed=allowed,
        message=f"{of}{count:,} of {rows:,} rows{share} {measure.what}; allowed: {allowed}",
        severity=measure.severity,
        shown=shown,
    )


def finding(
    rule: str,
    column: str,
    *,
    ok: bool,
    rows: int,
    value: float,
    allowed: str,
    message: str,
    severity: Severity = "block",
    shown: tuple[str, ...] = (),
) -> Finding:
    """A finding whose result follows from `ok` and the rule's severity."""
    return Finding(
        rule=rule,
        column=column,
        result="pass" if ok else "fail" if severity == "block" else "warn",
        rows=rows,
        value=float(value),
        allowed=allowed,
        message=message,
        examples=shown,
    )
