"""Outcomes from the command line: of one decision, or of a table with many."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import polars as pl

from kring.data.check import typed_column
from kring.errors import DataError, Unsupported
from kring.flow import adapters
from kring.flow.checking import hide
from kring.flow.keyed import Key, asked_by, decisions_about, physical, row_key
from kring.flow.outcomes import record_outcomes
from kring.flow.project import Project
from kring.flow.scoring.score import open_log
from kring.metrics.ids import decision_id
from kring.record.contract import Field
from kring.record.outcome import OutcomesTold, Reported, Told
from kring.sources import file as source

IDS: Final = ("decision_id", "id")
VALUE: Final = "value"
AT: Final = "at"
SHOWN: Final = 10


class Delivery(NamedTuple):
    """The reports of a table, those of its rows that can't be believed whatever the log says, and how many say nothing
    yet."""

    reports: list[Reported]
    refused: list[Told]
    undecided: int = 0


def report_outcomes(project: Project, delivery: Delivery, *, source: str) -> OutcomesTold:
    """Put outcomes of this system's decisions on record. `Unsupported` for a system whose contract has no target."""
    field = target_of(project)
    history = adapters.read_log(project.home.log, system=project.system.name)
    with project.working(), open_log(project) as log:
        told = record_outcomes(
            log,
            history,
            delivery.reports,
            system=project.system.name,
            target=field,
            now=project.clock.now(),
            source=source,
        )
    told += delivery.refused
    refused = [one for one in told if one.heard == "refused"]
    counts = Counter(one.heard for one in told)
    return OutcomesTold(
        system=project.system.name,
        recorded=counts["recorded"],
        corrected=counts["corrected"],
        known=counts["known"],
        refused=counts["refused"],
        refusals=dict(Counter(one.why for one in refused)),
        undecided=delivery.undecided,
        examples=tuple(_varied(refused)[:SHOWN]),
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


def reports_in(project: Project, path: Path) -> Delivery:
    """The reports of a CSV, Parquet or JSON-lines table, also a folder or a glob.

    A row says of which decision it speaks by the column `decision_id` (or `id`), else by the fields that name a row of
    the feed, else by all fields of a question that it has. What turned out to be true stands in `value`, or in the
    column of the outcome; since when that is known in `at`, or in the column for it. `DataError` for a table that does
    not say this much.
    """
    table = source.scan(path)
    try:
        frame = table.collect()
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{path.name} can't be read", got=str(error).splitlines()[0][:200], file=str(path)) from error
    data = project.system.data
    value = next((name for name in (VALUE, data.target) if name in frame.columns), "")
    if not value:
        raise _says_too_little(project, frame, path)
    known = frame.filter(_is_said(frame, value))
    moments = _moments(known, next((name for name in (AT, data.outcome_at) if name in frame.columns), ""), path)
    about, refused = _decisions(project, known, path)
    rows = zip(about, known[value].to_list(), moments, strict=True)
    reports = [Reported(id=id, value=said, at=at) for id, said, at in rows if id is not None]
    kept, contradicting = _undisputed(reports)
    return Delivery(kept, [*refused, *contradicting], frame.height - known.height)


def _decisions(project: Project, frame: pl.DataFrame, path: Path) -> tuple[list[str | None], list[Told]]:
    """The decision that each row speaks of, None where there is not exactly one."""
    for name in IDS:
        if name in frame.columns and name not in project.types:
            return [id or "" for id in frame[name].cast(pl.String).to_list()], []
    names = asked_by(project, frame.columns)
    if set(row_key(project)) <= set(names):
        names = list(row_key(project))
    if not names:
        raise _says_too_little(project, frame, path)
    keys: list[Key] = as_logged(project, frame, names).rows()
    found = decisions_about(project, names, set(keys))
    about = [found.get(key, []) for key in keys]
    refused = [_unclear(names, key, len(ids)) for key, ids in zip(keys, about, strict=True) if len(ids) != 1]
    return [decision_id(ids[0]) if len(ids) == 1 else None for ids in about], refused


def as_logged(project: Project, frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """The fields `names` of rows as somebody delivers them, as the log holds them: typed, identifiers as tokens, times
    in microseconds, dates in days."""
    fields = {field.name: field for field in project.contract.fields}
    typed = frame.select(typed_column(fields[name], frame.schema[name]) for name in names)
    return physical(hide(project, typed))


def _unclear(names: Sequence[str], key: Key, n: int) -> Told:
    id = ", ".join(f"{name} {value}" for name, value in zip(names, key, strict=True))[:60]
    if not n:
        return Told(id=id, heard="refused", reason="no decision on record was about this row", why="unknown")
    reason = f"{n:,} decisions on record were about such rows: name them by decision_id"
    return Told(id=id, heard="refused", reason=reason, why="ambiguous")


def _undisputed(reports: list[Reported]) -> tuple[list[Reported], list[Told]]:
    """The reports without those of one decision that say different things of one moment."""
    said: dict[tuple[str, int], set[str]] = defaultdict(set)
    for one in reports:
        said[one.id, one.at].add(repr(one.value))
    disputed = {key for key, values in said.items() if len(values) > 1}
    reason = "the same delivery says something else of it, too"
    kept = [one for one in reports if (one.id, one.at) not in disputed]
    told = [Told(id=id, heard="refused", reason=reason, why="contradicting") for id, at in said if (id, at) in disputed]
    return kept, told


def _is_said(frame: pl.DataFrame, name: str) -> pl.Expr:
    """Whether there is a value."""
    said = pl.col(name).is_not_null()
    return said & (pl.col(name).str.strip_chars() != "") if frame.schema[name] == pl.String else said


def _moments(frame: pl.DataFrame, name: str, path: Path) -> list[int]:
    """Since when each outcome is known, in microseconds UTC; 0 where nothing is said of it."""
    if not name:
        return [0] * frame.height
    field = Field(name=name, type="timestamp")
    read = frame.select(typed_column(field, frame.schema[name]))[name]
    wrong = frame.filter(_is_said(frame, name) & read.is_null())
    if wrong.height:
        raise DataError(
            f"{path.name} says since when an outcome is known, and this is no moment",
            got=str(wrong[name][0])[:60],
            allowed="ISO 8601: 2026-01-31T12:00:00Z",
            file=str(path),
            key=name,
        )
    return [at or 0 for at in read.to_physical().to_list()]


def _says_too_little(project: Project, frame: pl.DataFrame, path: Path) -> DataError:
    target = project.system.data.target
    return DataError(
        f"{path.name} does not say what came of which decision",
        got=", ".join(frame.columns)[:200],
        allowed=f"a column {IDS[0]}, or {', '.join(row_key(project))[:120]}; and a column {VALUE} or {target}",
        file=str(path),
    )


def _varied(refused: Iterable[Told]) -> list[Told]:
    """One of each kind first."""
    seen: Counter[str] = Counter()
    ranked = []
    for one in refused:
        ranked.append((seen[one.why], one))
        seen[one.why] += 1
    return [one for _, one in sorted(ranked, key=lambda pair: pair[0])]
