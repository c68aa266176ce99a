"""A recipe applied to the rows of requests as it is to those of a feed, where values need not be texts.

Imports no polars; feeds have `kring.data.repairs`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from kring.decide.joint import Joint
from kring.decide.repairs import column_mends, whole_mend
from kring.record.contract import Field
from kring.record.decision import REPAIRED
from kring.record.recipe import Duplicates, Repair, Scale

Raw = Mapping[str, object]
Told = list[str]
Mender = Callable[[Raw], tuple[Raw, Told]]
"""A row of raw values → the row as it is repaired, and a note of each value that was."""

SHOWN: Final = 60
INTEGER: Final = re.compile(r"[+-]?[0-9]{1,64}")
NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
SMALL: Final = re.compile(r"e-0?")
TRUTHS: Final = {"true": True, "false": False}


def beyond_rows(repairs: Sequence[Repair]) -> list[Repair]:
    """The repairs that need more than one row to be seen: they are not applied to requests."""
    return [repair for repair in repairs if isinstance(repair, Duplicates)]


def row_mender(repairs: Sequence[Repair], *, fields: Sequence[Field], subject: str = "") -> Mender | None:
    """What repairs rows of `fields`; None when nothing is to be repaired in one row.

    A field that is absent is missing. A text is repaired as a column of texts is, a number as a column of numbers; a
    number stays one. The notes name no value that is an identifier, personal, or the `subject`'s name.
    """
    known = {field.name: field for field in fields}
    secret = {field.name for field in fields if field.identifier or field.personal or field.name == subject}
    texts = {name: whole_mend(made) for name, made in column_mends(repairs).items() if name in known}
    scales = [one for one in repairs if isinstance(one, Scale) and one.column in known]
    joint = Joint(repairs, columns=tuple(known), mends=texts)
    if not texts and not joint.repairs:
        return None

    def mend(raw: Raw) -> tuple[Raw, Told]:
        row = dict(raw)
        for name, mend_text in texts.items():
            value = row.get(name)
            if isinstance(value, str):
                row[name] = mend_text(value)
        for scale in scales:
            name = scale.column
            if name in row:
                row[name] = scaled(row[name], scale, exact=known[name].type == "integer")
        if joint.repairs:
            _mend_jointly(row, joint)
        names = [name for name in known if name in row and row[name] != raw.get(name)]
        return row, [noted(name, raw.get(name), row[name], hide=name in secret) for name in names]

    return mend


def _mend_jointly(row: dict[str, object], joint: Joint) -> None:
    """What several fields say of each other, by the texts that a table would hold."""
    before = {name: text_of(row.get(name)) for name in joint.reads}
    after = joint.mend(dict(before))
    for name, text in after.items():
        if text != before[name]:
            row[name] = typed_as(row.get(name), text)


def scaled(value: object, repair: Scale, *, exact: bool) -> object:
    """A number in the repair's limits times its factor; an integer of an integer field loses its fraction."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not repair.low <= abs(value) < repair.high:
        return value
    moved = float(value) * repair.factor
    return int(moved) if exact and isinstance(value, int) else moved


def text_of(value: object) -> str | None:
    """The text that polars writes for a value."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, float):
        return str(value) if isinstance(value, int) and abs(value) < 1 << 64 else None
    text = repr(value)
    if "e-05" in text:
        whole, _, part = text.removesuffix("e-05").lstrip("-").partition(".")
        return f"{'-' if value < 0 else ''}0.0000{whole}{part}"
    return SMALL.sub("e-", text)


def typed_as(value: object, text: str | None) -> object:
    """A text in the type of the value in whose place it comes; None when it is none of it."""
    if text is None or value is None or isinstance(value, str):
        return text
    if isinstance(value, bool):
        return TRUTHS.get(text)
    if isinstance(value, int):
        return int(text) if INTEGER.fullmatch(text) else None
    return float(text) if len(text) <= 64 and NUMBER.fullmatch(text) else None


def noted(name: str, got: object, became: object, *, hide: bool) -> str:
    """That a value was repaired, as a guard tells it."""
    if hide:
        return f"{REPAIRED}{name}"
    return f"{REPAIRED}{name} {_shown(got)} → {_shown(became)}"


def _shown(value: object) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
