"""What may be the matter when a rule is broken by nearly every row: the contract and its data contradict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import polars as pl

from kring.contracts.moments import moment_pattern, read_date, read_timestamp
from kring.data.measure import Measure
from kring.record.contract import Contract, Field

NEARLY_ALL: Final = 0.9
EXPLAINED: Final = 0.99
FACTORS: Final = (100, 1000, 10, 1_000_000)
TIMES: Final = (60, 3600)
"""What one unit may be of another: cents, thousands, millimetres; minutes and seconds, when no other explains."""

FORMATS: Final = ("dd/MM/yyyy", "MM/dd/yyyy", "dd.MM.yyyy", "dd-MM-yyyy", "yyyy/MM/dd", "yyyyMMdd", "dd MM yyyy")
CLOCKS: Final = ("", " HH:mm", " HH:mm:ss")


def hints(
    staged: pl.LazyFrame,
    contract: Contract,
    bad: Mapping[int, tuple[Measure, int]],
    *,
    rows: int,
    shown: Mapping[int, tuple[str, ...]],
) -> dict[int, str]:
    """For each broken measure what may explain it and what to do; nothing for most.

    Looks at the staged rows once more, and only when a rule about limits or repetition broke in 9 of 10 rows.
    """
    fields = {field.name: field for field in contract.fields}
    many = {n: (one, count) for n, (one, count) in bad.items() if count >= NEARLY_ALL * rows - 1 and rows > 1}
    told: dict[int, str] = {}
    wanted: dict[str, pl.Expr] = {}
    for number, (measure, count) in many.items():
        field = fields.get(measure.column)
        if field is None:
            continue
        if measure.kind in ("required", "null", "missing") and count == rows:
            told[number] = f"no row has a value: deliver {field.name}, or take the rule out (line {measure.line})"
        if measure.kind == "type" and field.type in ("date", "timestamp"):
            told[number] = _format(field, shown.get(number, ()), measure.line)
        wanted |= {f"{number} {name}": expr for name, expr in _wanted(measure, field).items()}
    row = staged.select(**wanted).collect(engine="streaming").row(0, named=True) if wanted else {}
    for number, (measure, _) in many.items():
        found = {key.partition(" ")[2]: value for key, value in row.items() if key.startswith(f"{number} ")}
        if "there" in found:
            told[number] = _explained(found, measure)
    return {number: text for number, text in told.items() if text}


def _wanted(measure: Measure, field: Field) -> dict[str, pl.Expr]:
    value = pl.col(field.name)
    if measure.key is not None:
        return {"there": value.count(), "different": value.min().ne_missing(value.max()).cast(pl.Int64)}
    if measure.limits is None or field.type not in ("number", "integer"):
        return {}
    low, high = measure.limits
    found = {"there": value.count()}
    for factor in (*FACTORS, *TIMES):
        for name, scaled in ((f"divided by {factor:,}", value / factor), (f"times {factor:,}", value * factor)):
            inside = pl.lit(True)
            if low is not None:
                inside &= scaled >= low
            if high is not None:
                inside &= scaled <= high
            found[name] = (inside & value.is_not_null()).sum()
    return found


def _explained(found: Mapping[str, object], measure: Measure) -> str:
    there = found["there"]
    if not isinstance(there, int) or there < 2:
        return ""
    if measure.key is not None:
        same = found.get("different") == 0
        told = f"every row has the same {measure.column}, so it is no key: take the rule out (line {measure.line})"
        return told if same else ""
    counts = {name: count for name, count in found.items() if isinstance(count, int) and name != "there"}
    fits = [name for name, count in counts.items() if count >= EXPLAINED * there]
    if not fits:
        return ""
    fits = [name for name in fits if not name.endswith((" 60", " 3,600"))] or fits
    told = f"another unit? {' or '.join(fits[:2])}, {100 * counts[fits[0]] / there:.4g} % of the values lie within"
    return f"{told}: deliver the unit that the contract means, or change the limits (line {measure.line})"


def _format(field: Field, shown: tuple[str, ...], line: int) -> str:
    """The one way of writing that reads all the examples."""
    texts = [text.partition(": ")[2] for text in shown]
    words = [word + clock for word in FORMATS for clock in (CLOCKS if field.type == "timestamp" else ("",))]
    right = [word for word in words if texts and all(_reads(text, word, field) for text in texts)]
    if right:
        also = f" (or {', '.join(right[1:])})" if right[1:] else ""
        return f"say logicalTypeOptions: {{format: {right[0]}}}{also} for {field.name} (line {line})"
    asked = f"as {field.format}" if field.format else "in ISO 8601"
    return f"no row is written {asked}: name the format in logicalTypeOptions, or make it a string (line {line})"


def _reads(text: str, word: str, field: Field) -> bool:
    if field.type == "date":
        return read_date(text, moment_pattern(word, "date") or "(?!)") is not None
    return read_timestamp(text, moment_pattern(word, "timestamp") or "(?!)", zone=field.timezone) is not None
