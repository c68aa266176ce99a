"""A feed against its contract: every rule in one streaming pass, and a report in plain words."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

import msgspec
import polars as pl

from kring.contracts.columns import reading
from kring.contracts.row_rules import text_markers
from kring.data.findings import finding, worst
from kring.data.keys import Known, Other, known_keys
from kring.data.passes import Pass
from kring.data.suppliers import by_supplier
from kring.errors import DataError
from kring.record.contract import Contract, Field, Reference
from kring.record.finding import CheckReport, Finding, TableChecked

NO_TABLES: Final[Mapping[str, Other]] = {}


def check(
    feed: pl.LazyFrame,
    contract: Contract,
    *,
    source: str,
    source_digest: str,
    at: int,
    as_of: int,
    tables: Mapping[str, Other] = NO_TABLES,
    supplier: str = "",
) -> CheckReport:
    """Hold `feed` to `contract`; freshness is measured at `as_of`, `at` is when the check runs (microseconds UTC).

    `tables` are the contract's other tables, by name; each is held to its own promise too. With the column
    `supplier` the feed is judged by who delivered it: see `kring.data.suppliers`.

    Reads the feed once, and a second time, no further than needed, when rows broke a rule; by supplier once
    more for each. Memory grows with the feed only where values must not repeat: by 8 bytes per row and rule, and
    as much again while they are sorted; and by 8 bytes for each key of another table. Texts and combined keys
    are compared by a 64-bit hash, which errs once in 3,000 feeds of 100 million rows. `DataError` when the feed
    or a table can't be read.
    """
    try:
        around, checked = _others(contract, tables, as_of)
        known = known_keys(contract, own=feed, others=tables)
        judged = by_supplier(Pass(feed, contract, as_of, known), supplier=supplier)
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"{source} can't be read", got=str(error).splitlines()[0][:200], next="check the file", file=source
        ) from error
    findings = (*judged.findings, *_referred(contract, known), *around)
    notes = [f"{one.table}: {note}" for one in contract.others if one.table in tables for note in one.notes]
    return CheckReport(
        contract=contract.name,
        contract_digest=contract.digest,
        source=source,
        source_digest=source_digest,
        rows=judged.rows,
        result=worst([finding.result for finding in findings]),
        findings=findings,
        checked=len(findings),
        at=at,
        notes=(*contract.notes, *notes),
        held=judged.held,
        supplier=supplier if judged.suppliers else "",
        suppliers=judged.suppliers,
        tables=tuple(checked),
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


def _others(contract: Contract, tables: Mapping[str, Other], as_of: int) -> tuple[list[Finding], list[TableChecked]]:
    """The other tables under their own promises: findings of `table.column`, and what was checked."""
    findings: list[Finding] = []
    checked = []
    for promise in contract.others:
        other = tables.get(promise.table)
        if other is None:
            continue
        found = Pass(other.frame, promise, as_of, {}).run()
        checked.append(
            TableChecked(name=promise.table, source=other.source, source_digest=other.digest, rows=found.rows)
        )
        for one in found.findings:
            place = f"{promise.table}.{one.column}" if one.column else promise.table
            message = f"{promise.table}: {one.message}"
            findings.append(msgspec.structs.replace(one, column=place, message=message))
    return findings, checked


def _referred(contract: Contract, known: Mapping[Reference, Known]) -> list[Finding]:
    """Of each reference: whether what it refers to stands once; a warning when its table was not given."""
    found = []
    for reference in contract.references:
        place = f"{reference.table}.{', '.join(reference.to)}"
        column = ", ".join(reference.columns)
        if reference in known:
            again = known[reference].repeated
            message = f"{place}: {again:,} rows repeat an earlier key, to which {column} refers; allowed: none"
            one = finding("referred key", place, ok=not again, rows=again, value=again, allowed="none", message=message)
        else:
            message = f"{column}: nobody looked whether it stands in {place}: the table was not given"
            told = f"the table as data.tables.{reference.table}"
            one = finding(
                reference.name, column, ok=False, rows=0, value=0, allowed=told, message=message, severity="warn"
            )
            hint = f'name its file in kring.toml: [data.tables] {reference.table} = "FILE"'
            one = msgspec.structs.replace(one, hint=hint)
        found.append(msgspec.structs.replace(one, line=reference.line))
    return found
