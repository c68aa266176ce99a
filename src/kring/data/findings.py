"""Findings in plain words: what was measured, what is allowed, and whether it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Literal

import msgspec

from kring.data.measure import Measure
from kring.record.contract import Bound, Contract, Severity, Unit
from kring.record.finding import CheckResult, Finding

SECOND_US: Final = 1_000_000
LEAST_ROUND: Final = 100
"""From here on a duration is told in whole units."""

SPANS: Final = ((86_400, "days"), (3_600, "hours"), (60, "minutes"), (1, "seconds"))


def worst(results: Sequence[CheckResult]) -> CheckResult:
    """`fail` before `warn` before `pass`."""
    order: tuple[CheckResult, ...] = ("fail", "warn", "pass")
    return next((result for result in order if result in results), "pass")


def within(value: float, bound: Bound) -> bool:
    """Whether a measured number lies in the allowed interval."""
    above = bound.low is None or value > bound.low or (value == bound.low and not bound.exclude_low)
    below = bound.high is None or value < bound.high or (value == bound.high and not bound.exclude_high)
    return (above and below) is not bound.negate


def bound_told(bound: Bound, unit: Unit | Literal["number"]) -> str:
    """The allowed interval in words: `none`, `at most 5 %`, `not 3 to 4 rows`; of a number without a unit."""
    sign = {"percent": " %", "rows": " rows", "number": ""}[unit]
    low, high = (None if end is None else f"{end:,.10g}" for end in (bound.low, bound.high))
    if high == "0" and bound.low in (None, 0) and not bound.negate and sign:
        return "none"
    if low is None:
        text = f"{'less than' if bound.exclude_high else 'at most'} {high}{sign}"
    elif high is None:
        text = f"{'more than' if bound.exclude_low else 'at least'} {low}{sign}"
    else:
        text = f"{low}{sign}" if low == high else f"{low} to {high}{sign}"
    return f"not {text}" if bound.negate else text


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


def counted(measure: Measure, count: int, rows: int, shown: tuple[str, ...] = (), hint: str = "") -> Finding:
    """The finding of a rule that counts bad rows."""
    value = in_unit(measure.unit, count, rows)
    share = f" ({value:.3g} %)" if measure.unit == "percent" else ""
    allowed = bound_told(measure.bound, measure.unit)
    of = f"{measure.column}: " if measure.column else ""
    made = finding(
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
    return msgspec.structs.replace(made, hint=hint, line=measure.line)


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
