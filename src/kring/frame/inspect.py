"""What a table holds, column by column: types that hold in every row, what is missing, which values there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from kring.contracts.columns import Reading, reading, settled, stage
from kring.errors import DataError
from kring.frame.texts import Guess, guess
from kring.record.contract import Field, LogicalType

SAMPLE_ROWS: Final = 40_000
SAMPLE_CELLS: Final = 10_000_000
LEAST_SAMPLE: Final = 2_000
BLOCK: Final = 200
"""The sample is made of so many rows in a row each time, so that neighbours are seen."""

TELLING: Final = 400
NUMERIC: Final = r"^\s*[+-]?[0-9]+([.,][0-9]*)?([eE][+-]?[0-9]+)?\s*$"

FEW: Final = 60
"""Up to so many different values are listed."""

LISTED: Final = 20


@dataclass(frozen=True, slots=True)
class Seen:
    """One column. `missing`, `low`, `high`, `distinct` and `values` (all of them, when few) hold for all rows;
    `distinct` is exact where `unique` or `values` say something, else an estimate. Without a `field`
    the column can't be promised, and `note` says why."""

    name: str
    field: Field | None
    missing: int = 0
    distinct: int = 0
    unique: bool = False
    low: int | float | None = None
    high: int | float | None = None
    values: tuple[object, ...] = ()
    markers: tuple[str, ...] = ()
    note: str = ""

    @property
    def type(self) -> str:
        return self.field.type if self.field else ""


@dataclass(frozen=True, slots=True)
class Looked:
    """A table: its rows, its columns in order, and a sample of typed rows, `block` of them in a row each time."""

    rows: int
    columns: Mapping[str, Seen]
    sample: pl.DataFrame
    block: int

    @property
    def whole(self) -> bool:
        """Whether the sample is all there is."""
        return self.sample.height == self.rows


@dataclass(slots=True)
class _Draft:
    """A column whose type is not settled yet."""

    guess: Guess
    dtype: pl.DataType
    distinct: int = 0
    at: int = 0
    markers: tuple[str, ...] = field(default_factory=tuple)

    @property
    def field(self) -> Field:
        return self.guess.fields[self.at]

    def read(self) -> Reading:
        return reading(self.field, self.dtype, markers=self.markers)


def look(feed: pl.LazyFrame, *, target: str) -> Looked:
    """Look at every column of `feed`; types are guessed from a sample and proved on all rows."""
    dtypes = feed.collect_schema()
    _require_apart(dtypes.names())
    rows = int(feed.select(pl.len()).collect(engine="streaming").item())
    raw, block = _sample(feed, rows, len(dtypes))
    drafts = {name: _draft(raw[name], label=name == target) for name in dtypes}
    for name, draft in drafts.items():
        draft.distinct = raw[name].n_unique() if draft.guess.fields else 0
    seen = _proved(feed, drafts, raw)
    typed = raw.select(drafts[name].read().value.alias(name) for name, one in seen.items() if one.field is not None)
    return Looked(rows=rows, columns=seen, sample=typed, block=block)


def _require_apart(names: Sequence[str]) -> None:
    """`DataError` for names that no snapshot could hold beside each other."""
    counts = Counter(name.casefold() for name in names)
    twins = [name for name in names if counts[name.casefold()] > 1]
    if twins:
        raise DataError(
            "columns whose names differ in capitals only",
            got=", ".join(twins[:LISTED]),
            allowed="names that differ in more: readers of tables take these for one column",
            next="rename a column in the data",
        )


def _sample(feed: pl.LazyFrame, rows: int, columns: int) -> tuple[pl.DataFrame, int]:
    most = max(LEAST_SAMPLE, min(SAMPLE_ROWS, SAMPLE_CELLS // max(1, columns)))
    if rows <= most:
        return feed.collect(engine="streaming"), rows
    stride = -(-rows // most) * BLOCK
    index = "\x1frow"
    kept = feed.with_row_index(index).filter(pl.col(index) % stride < BLOCK).drop(index)
    return kept.collect(engine="streaming"), BLOCK


def _draft(column: pl.Series, *, label: bool) -> _Draft:
    dtype = column.dtype
    if isinstance(dtype, pl.String):
        found = guess(column.name, _telling(column), label=label)
        return _Draft(guess=found, dtype=dtype, markers=found.markers)
    kind = _kind(column, label=label)
    if not kind:
        return _Draft(guess=Guess((), note=f"a column of {dtype} can't be promised"), dtype=dtype)
    kinds: dict[LogicalType, tuple[LogicalType, ...]] = {"boolean": ("boolean", "integer", "number")}
    fields = tuple(Field(name=column.name, type=each) for each in kinds.get(kind, (kind,)))
    return _Draft(guess=Guess(fields), dtype=dtype)


def _telling(column: pl.Series) -> list[str]:
    """Different texts of the column: some of those that are no number, wherever they stand, and some of all."""
    texts = column.drop_nulls().unique(maintain_order=True)
    odd = texts.filter(texts.str.contains(NUMERIC).not_())
    return list(dict.fromkeys([*odd.head(TELLING), *texts.head(TELLING)]))


def _kind(column: pl.Series, *, label: bool) -> LogicalType | None:
    dtype = column.dtype
    if dtype == pl.Boolean:
        return "boolean"
    if dtype.is_integer():
        return "boolean" if set(column.drop_nulls().unique().head(3)) == {0, 1} else "integer"
    if dtype.is_float() or dtype.is_decimal():
        whole = label and column.is_finite().all() and (column == column.round()).all()
        return "integer" if whole else "number"
    if dtype == pl.Date:
        return "date"
    if isinstance(dtype, pl.Datetime):
        return "timestamp"
    return "string" if isinstance(dtype, pl.Categorical | pl.Enum | pl.Null) else None


def _proved(feed: pl.LazyFrame, drafts: dict[str, _Draft], raw: pl.DataFrame) -> dict[str, Seen]:
    """Hold each guess to all rows; what breaks it falls back to the next one."""
    seen: dict[str, Seen] = {
        name: Seen(name=name, field=None, note=draft.guess.note)
        for name, draft in drafts.items()
        if not draft.guess.fields
    }
    todo = {name: draft for name, draft in drafts.items() if name not in seen}
    while todo:
        measured = _measured(feed, todo, raw)
        for name in list(todo):
            found = _judged(name, todo[name], measured)
            if found is not None:
                seen[name] = found
                del todo[name]
    return {name: seen[name] for name in drafts}


def _measured(feed: pl.LazyFrame, drafts: Mapping[str, _Draft], raw: pl.DataFrame) -> dict[str, object]:
    """One pass over all rows: what is said of each column, by `N what`."""
    made = {name: draft.read() for name, draft in drafts.items()}
    stages = [column for name, draft in drafts.items() for column in stage(draft.field, made[name])]
    wanted: dict[str, pl.Expr] = {}
    for number, (name, draft) in enumerate(drafts.items()):
        unique = draft.distinct == raw.height > 1 and not raw[name].null_count()
        few = draft.distinct <= FEW
        wanted |= _aggregates(str(number), draft, settled(draft.field, made[name]), few=few, unique=unique)
    row = feed.select(stages).select(**wanted).collect(engine="streaming").row(0, named=True)
    names = list(drafts)
    return {f"{names[int(key.split()[0])]} {key.split()[1]}": value for key, value in row.items()}


def _aggregates(key: str, draft: _Draft, found: Reading, *, few: bool, unique: bool) -> dict[str, pl.Expr]:
    value, kind = found.value, draft.field.type
    wanted = {f"{key} missing": found.missing.sum()}
    if found.broken is not None:
        wanted[f"{key} broken"] = found.broken.sum()
    if found.infinite is not None:
        wanted[f"{key} infinite"] = found.infinite.sum()
    if kind in ("number", "integer"):
        wanted |= {f"{key} low": value.min(), f"{key} high": value.max()}
    if few:
        wanted[f"{key} values"] = value.unique().head(FEW + 2).implode()
    elif unique:
        wanted[f"{key} distinct"] = value.n_unique()
    elif kind in ("string", "integer"):
        wanted[f"{key} about"] = value.approx_n_unique()
    return wanted


def _judged(name: str, draft: _Draft, measured: Mapping[str, object]) -> Seen | None:
    """The column as it is; None when its guess did not hold and the next one is to be tried."""

    def said(what: str) -> int:
        value = measured.get(f"{name} {what}")
        return value if isinstance(value, int) else 0

    if said("infinite") and draft.dtype != pl.String:
        told = f"NaN or infinite in {said('infinite'):,} rows: write what is missing as null"
        return Seen(name=name, field=None, note=told)
    if said("broken") or said("infinite"):
        draft.at, draft.markers = draft.at + 1, draft.markers
        if draft.at < len(draft.guess.fields):
            return None
        return Seen(name=name, field=None, note=f"{said('broken'):,} rows are out of the range of their type")
    values = measured.get(f"{name} values")
    listed = [value for value in values if value is not None] if isinstance(values, list) else []
    missing = said("missing")
    distinct = len(listed) or said("distinct") or said("about") or draft.distinct
    low, high = measured.get(f"{name} low"), measured.get(f"{name} high")
    return Seen(
        name=name,
        field=draft.field,
        missing=missing,
        distinct=distinct,
        unique=bool(said("distinct")) and not missing,
        low=low if isinstance(low, int | float) else None,
        high=high if isinstance(high, int | float) else None,
        values=tuple(sorted(listed, key=_order)) if len(listed) <= FEW else (),
        markers=draft.markers if draft.field.type != "string" else (),
        note=draft.guess.note,
    )


def _order(value: object) -> tuple[str, float, str]:
    number = float(value) if isinstance(value, int | float) else 0.0
    return type(value).__name__, number, str(value)
