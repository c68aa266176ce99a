"""A finished experiment in a table, read as a trial: a row for each unit, its arm and what it did."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec
import polars as pl

from kring.errors import DataError, UserError
from kring.flow.trial_reports import number_of
from kring.frame.wording import did_you_mean
from kring.ports.trials import Exposed, Report
from kring.record.running import Trial, TrialOutcome
from kring.record.trial import TrialRun, TrialSeen
from kring.release.trials import see
from kring.sources import file as source

MOST_ARMS: Final = 20
Better = Literal["higher", "lower"]
TRUTHS: Final = frozenset({"true", "false", "yes", "no", "0", "1"})


class TableAsked(msgspec.Struct, frozen=True, kw_only=True):
    """How a table is read, by the names of its columns. When left out, `control` is the first arm by name, `shares` are
    equal ones and the `unit` is the row. `bounds` are those of outcomes that are numbers, `planned` is how many units
    were planned beforehand (0: not said)."""

    arm: str
    outcomes: tuple[str, ...]
    unit: str = ""
    control: str = ""
    shares: dict[str, float] = {}
    bounds: dict[str, tuple[float, float]] = {}
    better: Better = "higher"
    alpha: float = 0.05
    planned: int = 0


class TableSeen(msgspec.Struct, frozen=True, kw_only=True):
    """What the table says. `rows` of it were read, `without` of them name no arm, `again` repeat a unit of their own
    arm and count once."""

    rows: int
    without: int
    again: int
    seen: TrialSeen


def read_table(path: Path, asked: TableAsked) -> TableSeen:
    """Read the file as a trial whose time has passed for everybody.

    A cell without a value is missing, and so is its row for that outcome. `DataError` for a file that is no such table
    and for cells that are no outcome, `UserError` for arms and shares that are not those of the table.
    """
    frame = columns_of(path, asked)
    rows = frame.height
    frame = frame.filter(pl.col(asked.arm).is_not_null() & (pl.col(asked.arm) != ""))
    arms = sorted(frame[asked.arm].unique().to_list())
    terms = terms_of(arms, asked, [outcome_in(frame[name], name, asked, path) for name in asked.outcomes])
    units = frame[asked.unit].to_list() if asked.unit else [str(place) for place in range(frame.height)]
    placed = frame[asked.arm].to_list()
    run = TrialRun(
        id="table", name=path.name, terms=terms, salt="", state="ended", started=0, ended=2, by="", why="a table"
    )
    exposures = [Exposed(unit, arm, 0) for unit, arm in zip(units, placed, strict=True) if unit]
    reports = _reports(frame, units, terms, path)
    seen = see(run, exposures, reports, now=2, planned=asked.planned, is_table=True)
    seen = msgspec.structs.replace(seen, words=(*seen.words, *once(seen)))
    pairs = Counter(zip(units, placed, strict=True))
    again = sum(count - 1 for (unit, _), count in pairs.items() if unit)
    return TableSeen(rows=rows, without=rows - frame.height, again=again, seen=seen)


def once(seen: TrialSeen) -> Iterator[str]:
    """What a test for one look says of what decides: it holds for those who looked once, at the planned end."""
    first = seen.outcomes[0]
    for one in first.compared:
        if one.classic_low is None or one.classic_high is None or "split" in seen.brakes:
            continue
        clear = "lies wholly on one side of 0" if one.classic_low > 0 or one.classic_high < 0 else "holds 0"
        yield (
            f"{first.name}: {one.arm} against {seen.control}: for one look, at an end that was fixed beforehand, the "
            f"interval {clear} (p = {one.p:.2g}); who looked on the way has only the other one"
        )


def columns_of(path: Path, asked: TableAsked) -> pl.DataFrame:
    """The columns that are asked for, arm and unit as texts."""
    lazy = source.scan(path)
    names = lazy.collect_schema().names()
    wanted = [asked.arm, *asked.outcomes, *([asked.unit] if asked.unit else [])]
    for name in wanted:
        if name not in names:
            raise DataError(
                f"{path.name} has no such column",
                got=repr(name)[:80],
                allowed=", ".join(names)[:300],
                next=did_you_mean(name, names),
                file=str(path),
            )
    if len(set(wanted)) < len(wanted):
        raise UserError("a column is named twice", got=", ".join(wanted)[:200], allowed="each column for one thing")
    texts = [pl.col(name).cast(pl.String) for name in dict.fromkeys((asked.arm, asked.unit)) if name]
    try:
        return lazy.select(wanted).with_columns(texts).collect()
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{path.name} can't be read", got=str(error).splitlines()[0][:200], file=str(path)) from error


def terms_of(arms: Sequence[str], asked: TableAsked, outcomes: Iterable[TrialOutcome]) -> Trial:
    """The terms that the table stands for."""
    if not 2 <= len(arms) <= MOST_ARMS:
        raise DataError(
            "these are no arms", got=f"{len(arms)} values in {asked.arm}: {', '.join(arms[:9])}",
            allowed=f"2 to {MOST_ARMS}", next="name the column that says who was shown what",
        )  # fmt: skip
    control = asked.control or arms[0]
    if control not in arms:
        raise UserError("there is no such arm", got=repr(control)[:80], allowed=", ".join(arms), key="--control")
    shares = asked.shares or {arm: 1 / len(arms) for arm in arms}
    total = sum(shares.values())
    if sorted(shares) != list(arms) or not math.isclose(total, 1, abs_tol=1e-6) or min(shares.values()) <= 0:
        raise UserError(
            "the shares are those of the arms and make up the whole",
            got=f"{', '.join(f'{arm}={share:g}' for arm, share in shares.items())}, together {total:g}",
            allowed=f"{', '.join(arms)}, each above 0, together 1",
            key="--share",
        )
    return Trial(
        name="table",
        arms={arm: arm for arm in arms},
        control=control,
        shares=dict(shares),
        outcomes=tuple(outcomes),
        alpha=asked.alpha,
        least_units=2,
    )


def outcome_in(column: pl.Series, name: str, asked: TableAsked, path: Path) -> TrialOutcome:
    """The outcome that a column holds: yes or no, else numbers between its bounds. The bounds of numbers must be said
    beforehand: those that are read off the data would be no bounds."""
    if name not in asked.bounds and _is_truth(column):
        return TrialOutcome(name=name, kind="rate", within_us=1, better=asked.better)
    if name not in asked.bounds:
        raise UserError(
            f"{name} holds numbers, and an interval that holds at any time needs their bounds",
            got=_shown(column),
            allowed="a least and a largest value, chosen before the results; larger ones count as the largest",
            next=f"--bounds {name}=0..100",
            key="--bounds",
            file=str(path),
        )
    low, high = asked.bounds[name]
    return TrialOutcome(name=name, kind="money", low=low, high=high, within_us=1, better=asked.better)


def _is_truth(column: pl.Series) -> bool:
    if column.dtype == pl.Boolean:
        return True
    values = {str(value).strip().lower() for value in column.drop_nulls().unique().head(9) if value != ""}
    return bool(values) and values <= TRUTHS


def _shown(column: pl.Series) -> str:
    return ", ".join(str(value) for value in column.drop_nulls().unique().head(5))


def _reports(frame: pl.DataFrame, units: Sequence[str], terms: Trial, path: Path) -> list[Report]:
    """The cells as reports. A cell without a value is one of nothing."""
    reports: list[Report] = []
    for outcome in terms.outcomes:
        for place, value in enumerate(frame[outcome.name].to_list()):
            if value is None or value == "" or not units[place]:
                continue
            number = number_of(value, outcome)
            if number is None or number < outcome.low:
                raise DataError(
                    f"this is no value of {outcome.name}",
                    got=repr(value)[:80],
                    allowed="true or false" if outcome.kind == "rate" else f"a number from {outcome.low:g} on",
                    file=str(path),
                    line=place + 2,
                    key=outcome.name,
                )
            reports.append(Report(units[place], outcome.name, number, 1))
    return reports
