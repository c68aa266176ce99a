"""What somebody says that users did, looked over before it is put on record."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Final

import polars as pl

from kring.decide.flags import subject_text
from kring.errors import DataError
from kring.flow import adapters
from kring.flow.project import Project
from kring.ports.trials import Report
from kring.record.running import TrialOutcome
from kring.record.trial import TrialReported, TrialRun, TrialTold
from kring.sources import file as source

SKEW_US: Final = 60_000_000
"""How far the clock of who reports may be ahead of ours."""

LONGEST: Final = 1000
UNIT: Final = "unit"
AT: Final = "at"
LONG: Final = ("outcome", "value")
YES: Final = {"true": 1.0, "1": 1.0, "yes": 1.0, "false": 0.0, "0": 0.0, "no": 0.0}


def judged_reports(
    reports: Sequence[TrialReported], run: TrialRun, *, now: int
) -> tuple[list[TrialTold], dict[int, Report]]:
    """What is to be said of each report, and by their places the ones to be kept; their units are as they were
    named."""
    outcomes = {outcome.name: outcome for outcome in run.terms.outcomes}
    told: list[TrialTold] = []
    good: dict[int, Report] = {}
    for place, one in enumerate(reports):
        at = one.at or now
        outcome = outcomes.get(one.outcome)
        value = number_of(one.value, outcome) if outcome is not None else None
        reason = _fault(one, outcome, value, at=at, run=run, now=now)
        told.append(
            TrialTold(
                unit=str(one.unit)[:60],
                outcome=str(one.outcome)[:60],
                heard="refused" if reason else "recorded",
                reason=reason,
            )
        )
        if not reason and value is not None:
            good[place] = Report(one.unit, one.outcome, value, one.at)
    return told, good


def _fault(
    one: TrialReported, outcome: TrialOutcome | None, value: float | None, *, at: int, run: TrialRun, now: int
) -> str:
    """Why a report is not believed; empty when it is."""
    if not one.unit or len(one.unit) > LONGEST:
        return f"a unit is named by 1 to {LONGEST:,} characters"
    if outcome is None:
        return f"the trial has no such outcome; it has {', '.join(known.name for known in run.terms.outcomes)}"
    if value is None:
        return f"{outcome.name} is {WANTED[outcome.kind]}, got {str(one.value)[:60]!r}"
    return _beyond(outcome, value) or _untimely(at, run, now)


def _beyond(outcome: TrialOutcome, value: float) -> str:
    """More money than was declared counts as the most; any other value must lie between its ends."""
    if outcome.kind != "rate" and value < outcome.low:
        return f"{outcome.name} is at least {outcome.low:g}, got {value:g}"
    if outcome.kind == "score" and value > outcome.high:
        return f"{outcome.name} is at most {outcome.high:g}, got {value:g}"
    return ""


def _untimely(at: int, run: TrialRun, now: int) -> str:
    if at > now + SKEW_US:
        return "it is said to happen in the future"
    return "it is said to have happened before the trial was started" if at < run.started else ""


WANTED: Final = {"rate": "true or false", "score": "a number", "money": "a number"}


def number_of(value: object, outcome: TrialOutcome) -> float | None:
    """A value as a number, 0 or 1 for no and yes; None when it is no such value."""
    if outcome.kind == "rate":
        if isinstance(value, str):
            return YES.get(value.strip().lower())
        return float(value) if isinstance(value, (bool, int, float)) and value in (0, 1) else None
    if isinstance(value, bool) or not isinstance(value, (int, float, str)) or "_" in str(value):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def unit_names(project: Project, subjects: Sequence[str], *, is_routed: bool = False) -> list[str]:
    """Units as records write them: numbers as numbers, and as tokens where the subject is personal or names somebody
    directly; or as the router reads them (`is_routed`), who knows the tokens of the latter only."""
    name = project.system.data.subject
    field = next((field for field in project.contract.fields if field.name == name), None)
    if field is None:
        return list(subjects)
    texts = [subject_text(subject, field.type) for subject in subjects]
    if not texts or not (field.identifier or (field.personal and not is_routed)):
        return texts
    with closing(adapters.open_vault(project.home.vault, random=project.random)) as vault:
        return vault.tokens(texts)


def reports_in(path: Path, run: TrialRun) -> list[TrialReported]:
    """The reports of a CSV, Parquet or JSON-lines file: the column `unit`, either `outcome` and `value` or one column
    for each outcome, and `at` (ISO 8601 with its time zone), if it has one. Cells without a value say nothing.
    `DataError` for a file that is no such table, or whose moments are none."""
    frame = source.scan(path)
    names = frame.collect_schema().names()
    wide = [outcome.name for outcome in run.terms.outcomes if outcome.name in names]
    if UNIT not in names or not (wide or set(LONG) <= set(names)):
        raise DataError(
            f"{path.name} does not say what units did",
            got=", ".join(names)[:200],
            allowed=f"a column {UNIT}, and {' and '.join(LONG)}, or columns named by the outcomes: "
            + ", ".join(outcome.name for outcome in run.terms.outcomes),
            file=str(path),
        )
    wanted = [UNIT, *([AT] if AT in names else []), *(LONG if set(LONG) <= set(names) else wide)]
    try:
        rows = frame.select(wanted).with_columns(pl.col(UNIT).cast(pl.String)).collect()
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{path.name} can't be read", got=str(error).splitlines()[0][:200], file=str(path)) from error
    reports: list[TrialReported] = []
    for line, row in enumerate(rows.iter_rows(named=True), start=2):
        at = moment_in(row.get(AT), path, line)
        said = [(row["outcome"], row["value"])] if "outcome" in row else [(name, row[name]) for name in wide]
        reports += [
            TrialReported(unit=row[UNIT] or "", outcome=str(outcome), value=value, at=at)
            for outcome, value in said
            if value is not None and value != ""
        ]
    return reports


def moment_in(value: object, path: Path, line: int) -> int:
    """Microseconds UTC; 0 for none."""
    if value is None or value == "":
        return 0
    try:
        at = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        us = int(at.timestamp() * 1e6) if at.tzinfo is not None else 0
    except (ValueError, OverflowError):
        us = 0
    if us <= 0:
        raise DataError(
            "this is no moment", got=repr(value)[:80], allowed="ISO 8601 with its time zone: 2026-01-31T12:00:00Z",
            file=str(path), line=line, key=AT,
        )  # fmt: skip
    return us
