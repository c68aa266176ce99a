"""A feed of several suppliers, judged one by one: the rows of those who broke the contract are held back.

A supplier fails for what its own rows do: a blocking rule about rows (its share of bad rows, for a rule in
percent), a value that it repeats itself, a table of zeros. What can't be given to one of them (how many rows
there are, how old they are, aggregates, what two of them both delivered) is judged on the rows that remain.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import polars as pl

from kring.contracts.columns import MARK
from kring.contracts.values import BLANK
from kring.data.findings import counted, finding, kept, worst
from kring.data.measure import Measure, not_zero
from kring.data.passes import LEAST_ROWS, Found, Pass
from kring.errors import DataError
from kring.record.finding import CheckReport, Finding, SupplierVerdict

MISSING: Final = "(missing)"
"""The supplier of the rows that name none."""

MOST: Final = 10_000
EXAMPLES_OF: Final = 5
"""Of so many suppliers, the first by name, examples are shown."""

SUPPLIER: Final = f"{MARK}supplier"


@dataclass(frozen=True, slots=True)
class Judged:
    """`rows` are those of the whole feed, `held` of them were held back; `findings` speak of the others."""

    findings: tuple[Finding, ...]
    rows: int
    held: int = 0
    suppliers: tuple[SupplierVerdict, ...] = ()


def supplier_of(column: str) -> pl.Expr:
    """Who delivered a row, as a text, from the raw column."""
    text = pl.col(column).cast(pl.String).str.strip_chars(BLANK)
    return pl.when(text != "").then(text).otherwise(pl.lit(MISSING))


def accepted(feed: pl.LazyFrame, report: CheckReport) -> pl.LazyFrame:
    """The rows of `feed` that were not held back."""
    names = [one.name for one in report.suppliers if one.result == "fail"]
    return feed if not names else feed.filter(_of_others(report.supplier, names))


def by_supplier(one: Pass, *, supplier: str) -> Judged:
    """The feed as a whole; by `supplier`, when that column is there and some rule about rows was not kept to the
    last row, once more for each supplier, and for what remains. `DataError` for more than 10,000 suppliers."""
    whole = one.run()
    dtype = one.feed.collect_schema().get(supplier)
    if dtype is None or dtype.is_nested() or dtype == pl.Binary or not whole.rows:
        return Judged(whole.findings, whole.rows)
    verdicts = _verdicts(one, whole, supplier)
    failed = [verdict for verdict in verdicts if verdict.result == "fail"]
    held = sum(verdict.rows for verdict in failed)
    if not failed or held == whole.rows:
        told = [_told(verdict, supplier, alone=True) for verdict in failed]
        return Judged((*whole.findings, *told), whole.rows, held, tuple(verdicts))
    names = [verdict.name for verdict in failed]
    rest = dataclasses.replace(one, only=_of_others(supplier, names)).run()
    told = [_told(verdict, supplier, alone=False) for verdict in failed]
    return Judged((*rest.findings, *told), whole.rows, held, tuple(verdicts))


def _of_others(column: str, names: Sequence[str]) -> pl.Expr:
    return supplier_of(column).is_in(names).not_()


def _told(verdict: SupplierVerdict, column: str, *, alone: bool) -> Finding:
    """The finding that names a supplier whose rows were held back."""
    why = "; ".join(one.message for one in verdict.findings[:3])
    more = f"; and {len(verdict.findings) - 3} more" if len(verdict.findings) > 3 else ""
    return finding(
        "supplier",
        column,
        ok=False,
        rows=verdict.rows,
        value=verdict.rows,
        allowed="rows that keep the contract",
        message=f"{verdict.name}: all {verdict.rows:,} rows held back: {why}{more}",
        severity="block" if alone else "warn",
        shown=tuple(example for one in verdict.findings for example in one.examples)[:5],
    )


def _verdicts(one: Pass, whole: Found, supplier: str) -> list[SupplierVerdict]:
    """What each supplier's own rows are worth, in the order of their names."""
    blamed = {
        number: measure
        for number, measure in enumerate(whole.todo)
        if measure.severity == "block" and kept(measure, 0, 1) and whole.counts[number]
    }
    table = _counts(one, supplier, blamed)
    verdicts = []
    for row in table.iter_rows(named=True):
        name, rows = str(row[SUPPLIER]), int(row["rows"])
        counts = {number: int(row[str(number)] or 0) for number in blamed}
        broken = [number for number, count in counts.items() if not kept(blamed[number], count, rows)]
        findings = [counted(blamed[number], counts[number], rows) for number in broken]
        if row["alive"] == 0 and rows >= LEAST_ROWS:
            message = f"every number in all {rows:,} rows is 0"
            findings.append(finding("constant", "", ok=False, rows=rows, value=rows, allowed="none", message=message))
        result = worst([finding.result for finding in findings])
        verdicts.append(SupplierVerdict(name=name, result=result, rows=rows, findings=tuple(findings)))
    return _with_examples(one, verdicts, supplier, list(blamed.values()))


def _counts(one: Pass, supplier: str, blamed: dict[int, Measure]) -> pl.DataFrame:
    """Rows and bad rows of each supplier; `alive` counts the rows on which some number is missing or not 0."""
    over, stages = one.staged()
    staged = one.rows().select(supplier_of(supplier).alias(SUPPLIER), *stages)
    alive = not_zero(one.contract, over)
    flags = {str(number): measure.bad for number, measure in blamed.items() if measure.bad is not None}
    marked = staged.select(SUPPLIER, alive=pl.lit(True) if alive is None else alive, **flags)
    sums = [pl.col(name).sum() for name in ("alive", *flags)]
    table = marked.group_by(SUPPLIER).agg(pl.len().alias("rows"), *sums).collect(engine="streaming")
    if table.height > MOST:
        raise DataError(
            f"{supplier} names {table.height:,} suppliers",
            allowed=f"{MOST:,} at the most",
            next="name the column that says who delivered a row, not an id",
            key="data.supplier",
        )
    for number, measure in blamed.items():
        if measure.key is not None:
            again = staged.select(SUPPLIER, key=measure.key).drop_nulls("key").group_by(SUPPLIER)
            counts = again.agg((pl.len() - pl.col("key").n_unique()).alias(str(number))).collect(engine="streaming")
            table = table.join(counts, on=SUPPLIER, how="left")
    return table.sort(SUPPLIER)


def _with_examples(
    one: Pass, verdicts: Sequence[SupplierVerdict], supplier: str, measures: Sequence[Measure]
) -> list[SupplierVerdict]:
    """The verdicts, with examples for the first of those who failed."""
    _, stages = one.staged()
    found, left = [], EXAMPLES_OF
    for verdict in verdicts:
        broken = {(finding.rule, finding.column): finding.rows for finding in verdict.findings}
        bad = {
            number: (measure, broken[measure.rule, measure.column])
            for number, measure in enumerate(measures)
            if (measure.rule, measure.column) in broken
        }
        if not bad or not left:
            found.append(verdict)
            continue
        left -= 1
        only = dataclasses.replace(one, only=supplier_of(supplier) == verdict.name)
        shown = only.examples(bad, stages)
        by_rule = {(measure.rule, measure.column): shown[number] for number, (measure, _) in bad.items()}
        findings = tuple(
            msgspec.structs.replace(finding, examples=by_rule.get((finding.rule, finding.column), ()))
            for finding in verdict.findings
        )
        found.append(msgspec.structs.replace(verdict, findings=findings))
    return found
