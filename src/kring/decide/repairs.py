"""A recipe applied to one value and to one row, without a table: in a feed and in a request it does the same.

Whatever the order in the recipe, repairs of one column go first, in the order of `ORDER`; then those that read
several columns, again and again until nothing changes. So a recipe that is applied to its own result changes nothing
more. The time for a value is linear in its length, whatever it holds.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Final

from kring.decide.joint import Joint, Mend
from kring.metrics.near import LONGEST, NUMBER
from kring.record.recipe import DateForm, Dates, Decimal, Missing, Repair, Scale, Text, Unit, Values

Cell = Text | Missing | Unit | Decimal | Dates | Values | Scale
ORDER: Final[tuple[type[Cell], ...]] = (Text, Missing, Unit, Decimal, Dates, Values, Scale)

INVISIBLE: Final = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff\x00-\x08\x0b-\x1f\x7f]")
MARKS: Final = "m" * 31
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
        text = composed(text)
    return (text.strip() if "space" in steps else text) or None


def composed(text: str) -> str:
    """`text` in NFC. One with more than 30 marks in a row is no word of any language (Unicode's UAX 15 calls it not
    stream-safe) and takes for ever to compose: it is left as it is."""
    if len(text) > LONGEST and MARKS in "".join("m" if unicodedata.combining(sign) else " " for sign in text):
        return text
    return unicodedata.normalize("NFC", text)


def without_unit(text: str, suffixes: frozenset[str], keep: str) -> str:
    found = MEASURE.fullmatch(text) if len(text) <= LONGEST else None
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
    if len(text) > LONGEST or not NUMBER.fullmatch(text) or not low <= abs(float(text)) < high:
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
