"""Outcomes from the command line: of one decision, or of a file with many."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Final

import polars as pl

from kring.errors import DataError, Unsupported
from kring.flow import adapters
from kring.flow.outcomes import record_outcomes
from kring.flow.project import Project
from kring.flow.scoring.score import open_log
from kring.record.contract import Field
from kring.record.outcome import OutcomesTold, Reported
from kring.sources import file as source

ID: Final = "decision_id"
VALUE: Final = "value"
SHOWN: Final = 10


def report_outcomes(project: Project, reports: list[Reported], *, source: str) -> OutcomesTold:
    """Put outcomes of this system's decisions on record. `Unsupported` for a system whose contract has no target."""
    field = target_of(project)
    history = adapters.read_log(project.home.log, system=project.system.name)
    with project.working(), open_log(project) as log:
        told = record_outcomes(
            log, history, reports, system=project.system.name, target=field, now=project.clock.now(), source=source
        )
    counts = Counter(one.heard for one in told)
    return OutcomesTold(
        system=project.system.name,
        recorded=counts["recorded"],
        corrected=counts["corrected"],
        known=counts["known"],
        refused=counts["refused"],
        examples=tuple(one for one in told if one.heard == "refused")[:SHOWN],
    )


def target_of(project: Project) -> Field:
    """The field that says what turned out to be true."""
    for field in project.contract.fields:
        if field.name == project.system.data.target:
            return field
    raise Unsupported(
        f"{project.system.name} has no outcome in its contract",
        next="give the column that says what turned out to be true the role target",
    )


def reports_in(path: Path, *, target: str) -> list[Reported]:
    """The reports of a CSV, Parquet or JSON-lines file: the column `decision_id`, and `value` or the target's name.
    Rows without a value say nothing yet and are left out. `DataError` for a file that is no such table."""
    frame = source.scan(path)
    names = frame.collect_schema().names()
    value = next((name for name in (VALUE, target) if name in names), "")
    if ID not in names or not value:
        raise DataError(
            f"{path.name} does not say what came of which decision",
            got=", ".join(names)[:200],
            allowed=f"a column {ID} and a column {VALUE} or {target}",
            file=str(path),
        )
    try:
        rows = frame.select(pl.col(ID).cast(pl.String), pl.col(value)).collect()
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{path.name} can't be read", got=str(error).splitlines()[0][:200], file=str(path)) from error
    known = rows.filter(pl.col(value).is_not_null())
    if known.schema[value] == pl.String:
        known = known.filter(pl.col(value).str.strip_chars() != "")
    return [Reported(id=id or "", value=told) for id, told in known.iter_rows()]
