"""A recipe applied: to one value, to a row, to a feed. The feed and the row share one function for each repair.

Whatever the order in the recipe, repairs of one column go first, in the order of `ORDER`; then those that read
several columns, again and again until nothing changes; then repeated rows go. So a recipe that is applied to
its own result changes nothing more.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final

import polars as pl

from kring.data.joint import FLAG, Joint, Mend
from kring.data.near import NUMBER
from kring.record.recipe import (
    Change,
    DateForm,
    Dates,
    Decimal,
    Duplicates,
    Missing,
    Repair,
    Scale,
    Text,
    Unit,
    Values,
)

Cell = Text | Missing | Unit | Decimal | Dates | Values | Scale
ORDER: Final[tuple[type[Cell], ...]] = (Text, Missing, Unit, Decimal, Dates, Values, Scale)

INVISIBLE: Final = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff\x00-\x08\x0b-\x1f\x7f]")
SPACES: Final = re.compile("[\u00a0\u2007\u202f]")
MEASURE: Final = re.compile(rf"({NUMBER.pattern})(\D.*)", re.ASCII | re.DOTALL)
COMMA: Final = re.compile(r"([+-]?)(\d{1,3}(?:\.\d{3})+|\d+),(\d+)", re.ASCII)
AFTER_DATE: Final = r"(?P<rest>(?:[ T]\d{1,2}:\d{2}.*)?)"
DAY_FORMS: Final[Mapping[DateForm, re.Pattern[str]]] = {
    form: re.compile(
        re.escape(form).replace("d", r"(?P<d>\d{1,2})").replace("m", r"(?P<m>\d{1,2})").replace("y", r"(?P<y>\d{4})")
        + AFTER_DATE,
        re.ASCII,
    )
    for form in ("d.m.y", "d/m/y", "m/d/y", "d-m-y", "m-d-y", "y/m/d", "y.m.d")
}


def cell_mend(repair: Cell) -> Mend:
    """What the repair does to one text."""
    mend: Mend
    match repair:
        case Text(steps=steps):
            mend = partial(tidied, steps=steps)
        case Missing(spellings=spellings):
            mend = partial(unless_nothing, spellings=frozenset(spellings))
        case Unit(suffixes=suffixes, keep=keep):
            mend = partial(without_unit, suffixes=frozenset(suffixes), keep=keep)
        case Decimal():
            mend = with_point
        case Dates(forms=forms):
            mend = partial(iso_date, forms=forms)
        case Values(table=table):
            mend = partial(replaced, table=table)
        case Scale(low=low, high=high, factor=factor):
            mend = partial(scaled, low=low, high=high, factor=factor)
    return mend


def unless_nothing(text: str, spellings: frozenset[str]) -> str | None:
    return None if text in spellings else text


def replaced(text: str, table: Mapping[str, str]) -> str:
    return table.get(text, text)


def tidied(text: str, steps: Sequence[str]) -> str | None:
    """`text` without what can't be seen; None when nothing is left."""
    if "invisible" in steps:
        text = SPACES.sub(" ", INVISIBLE.sub("", text))
    if "unicode" in steps:
        text = unicodedata.normalize("NFC", text)
    return (text.strip() if "space" in steps else text) or None


def without_unit(text: str, suffixes: frozenset[str], keep: str) -> str:
    found = MEASURE.fullmatch(text)
    return found[1] + keep if found and found[2] in suffixes else text


def with_point(text: str) -> str:
    found = COMMA.fullmatch(text)
    return f"{found[1]}{found[2].replace('.', '')}.{found[3]}" if found else text


def iso_date(text: str, forms: Iterable[DateForm]) -> str:
    for form in forms:
        found = DAY_FORMS[form].fullmatch(text)
        if found:
            try:
                return dt.date(int(found["y"]), int(found["m"]), int(found["d"])).isoformat() + found["rest"]
            except ValueError:
                continue
    return text


def scaled(text: str, low: float, high: float, factor: float) -> str:
    if not NUMBER.fullmatch(text) or not low <= abs(float(text)) < high:
        return text
    return f"{float(text) * factor:.12g}"


def column_mends(repairs: Iterable[Repair]) -> dict[str, list[tuple[Cell, Mend]]]:
    """The repairs of single columns, in the order in which they are applied."""
    cells = [repair for repair in repairs if isinstance(repair, ORDER)]
    made: dict[str, list[tuple[Cell, Mend]]] = {}
    for repair in sorted(cells, key=lambda one: ORDER.index(type(one))):
        made.setdefault(repair.column, []).append((repair, cell_mend(repair)))
    return made


def whole_mend(mends: Sequence[tuple[Cell, Mend]], *, changed: Callable[[str], None] = lambda _: None) -> Mend:
    """All repairs of one column, until nothing changes; `changed` hears the id of each that did something."""

    def mend(text: str) -> str | None:
        value: str | None = text
        for _ in range(len(mends) + 1):
            before = value
            for repair, one in mends:
                after = None if value is None else one(value)
                if after != value:
                    changed(repair.id)
                value = after
            if value == before:
                break
        return value

    return mend


def mend_row(row: Mapping[str, str | None], repairs: Sequence[Repair]) -> dict[str, str | None]:
    """One row of texts, repaired; columns that it lacks are left alone. Rows are never dropped here."""
    mends = {name: whole_mend(made) for name, made in column_mends(repairs).items()}
    mended = {name: mends[name](value) if value is not None and name in mends else value for name, value in row.items()}
    return Joint(repairs, columns=tuple(row), mends=mends).mend(mended)


def apply(feed: pl.LazyFrame, repairs: Sequence[Repair]) -> pl.LazyFrame:
    """`feed` repaired, lazily, with its columns and types; what a repair says of columns that the feed lacks is
    left out. All but `duplicates` streams."""
    return _applied(feed, repairs, told=False)


def changes(feed: pl.LazyFrame, repairs: Sequence[Repair]) -> tuple[Change, ...]:
    """How many cells each repair changes in `feed`, in one pass."""
    if not repairs:
        return ()
    whole = [repair for repair in repairs if not isinstance(repair, Duplicates)]
    made = _applied(feed, whole, told=True)
    flags = [name for name in made.collect_schema().names() if name.startswith(FLAG)]
    counted = made.select(pl.len().alias("rows"), *(pl.col(name).sum() for name in flags)).collect(engine="streaming")
    rows = int(counted["rows"][0])
    told = {repair.id: int(counted[FLAG + repair.id][0]) for repair in whole if FLAG + repair.id in flags}
    for repair in repairs:
        if isinstance(repair, Duplicates):
            told[repair.id] = rows - apply(feed, repairs).select(pl.len()).collect(engine="streaming").item()
    return tuple(Change(repair=repair.id, cells=told.get(repair.id, 0), rows=rows) for repair in repairs)


def _applied(feed: pl.LazyFrame, repairs: Sequence[Repair], *, told: bool) -> pl.LazyFrame:
    """With `told`, a column `FLAG` + id beside the feed's says where each repair changed something."""
    schema = feed.collect_schema()
    mends = {name: made for name, made in column_mends(repairs).items() if name in schema}
    feed = feed.with_columns(
        expression for name, made in mends.items() for expression in _mended(name, made, dtype=schema[name], told=told)
    )
    joint = Joint(
        repairs,
        columns=tuple(schema.names()),
        mends={name: whole_mend(made) for name, made in mends.items()},
    )
    if joint.repairs:
        feed = joint.over(feed, told=told)
    if any(isinstance(repair, Duplicates) and set(repair.key) <= set(schema) for repair in repairs):
        feed = feed.unique(keep="first", maintain_order=True)
    return feed


def _mended(name: str, mends: Sequence[tuple[Cell, Mend]], *, dtype: pl.DataType, told: bool) -> Iterator[pl.Expr]:
    """The column as it will be, and where each repair changed it."""
    column = pl.col(name)
    if dtype == pl.String:
        whole = whole_mend(mends)
        yield column.map_batches(_over_distinct(whole), return_dtype=pl.String(), is_elementwise=True)
        if told:
            for repair, _ in mends:
                hit = column.map_batches(_hits(mends, repair.id), return_dtype=pl.Boolean(), is_elementwise=True)
                yield hit.alias(FLAG + repair.id)
    elif dtype.is_numeric():
        for repair, _ in mends:
            if isinstance(repair, Scale):
                inside = (column.abs() >= repair.low) & (column.abs() < repair.high)
                yield pl.when(inside).then((pl.col(name) * repair.factor).cast(dtype)).otherwise(pl.col(name))
                if told:
                    yield inside.fill_null(False).alias(FLAG + repair.id)


def _over_distinct(mend: Mend) -> Callable[[pl.Series], pl.Series]:
    """`mend` of a whole column at the price of its distinct values."""

    def mended(values: pl.Series) -> pl.Series:
        old = values.drop_nulls().unique()
        new = pl.Series([mend(text) for text in old.to_list()], dtype=pl.String)
        moved = old.ne_missing(new)
        return values.replace(old.filter(moved), new.filter(moved)) if moved.any() else values

    return mended


def _hits(mends: Sequence[tuple[Cell, Mend]], id: str) -> Callable[[pl.Series], pl.Series]:
    """Where the repair `id` changes something on the way through all of them."""
    heard: set[str] = set()
    mend = whole_mend(mends, changed=heard.add)

    def hit(text: str) -> bool:
        heard.clear()
        mend(text)
        return id in heard

    def marked(values: pl.Series) -> pl.Series:
        old = values.drop_nulls().unique()
        return values.is_in([text for text in old.to_list() if hit(text)]).fill_null(False)

    return marked
