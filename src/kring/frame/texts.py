"""What texts write: which types a column of texts may have, and how it writes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from kring.contracts.moments import moment_pattern, read_date, read_timestamp
from kring.contracts.values import BLANK, FALSE, TRUE
from kring.record.contract import Field, LogicalType

SIGNS: Final = 3
"""So many different texts may stand for nothing in a column of another type."""

INTEGER: Final = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,17})")
NUMBER: Final = re.compile(r"[+-]?(?:[0-9]{1,30}(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?")
COMMA: Final = re.compile(r"[+-]?[0-9]{1,30}(?:,[0-9]+)?")
CODE: Final = re.compile(r"0[0-9]+")

CLOCKS: Final = ("", " HH:mm", " HH:mm:ss", "'T'HH:mm:ss", " H:mm", " H:mm:ss")
DAYS: Final = (
    *("dd.MM.yyyy", "MM/dd/yyyy", "dd/MM/yyyy", "dd-MM-yyyy", "MM-dd-yyyy", "yyyy/MM/dd", "yyyy.MM.dd"),
    *("d.M.yyyy", "M/d/yyyy", "d/M/yyyy", "d-M-yyyy", "M-d-yyyy", "yyyy/M/d", "yyyy-M-d"),
)
"""Ways to write a day, besides ISO 8601; the stricter ones first."""


@dataclass(frozen=True, slots=True)
class Guess:
    """The types a column may have, the likeliest first, `string` last; `markers` are texts that stand for nothing."""

    fields: tuple[Field, ...]
    markers: tuple[str, ...] = ()
    note: str = ""


def guess(name: str, texts: Collection[str], *, label: bool = False) -> Guess:
    """What a column may be whose different texts are `texts`. A `label` keeps its words: yes stays yes."""
    found = [stripped for text in texts if (stripped := text.strip(BLANK))]
    written, markers = _without_markers(found)
    kinds = list(_plain(name, written, label=label)) if written else []
    note = ""
    if not kinds and written:
        kinds, note = _moments(name, written)
        markers = () if note else markers
    text = Field(name=name, type="string")
    return Guess((*kinds, text), markers if kinds else (), note)


def _without_markers(found: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """Texts of which nearly all are numbers or days, without those few that are not."""
    for reads in (NUMBER.fullmatch, COMMA.fullmatch, re.compile(r"[0-9]{1,4}[-./][0-9]{1,2}[-./].*").fullmatch):
        odd = [text for text in found if not reads(text)]
        if odd and len(odd) <= SIGNS and len(found) - len(odd) >= 4 * len(odd):
            return [text for text in found if reads(text)], tuple(sorted(odd))
    return list(found), ()


def _plain(name: str, texts: Sequence[str], *, label: bool) -> Iterator[Field]:
    """Booleans and numbers, the narrowest first."""
    words = {text.lower() for text in texts}
    digits = words <= {"0", "1"}
    if len(words) == 2 and words <= {*TRUE, *FALSE} and (not label or digits or words <= {"true", "false"}):
        yield Field(name=name, type="boolean")
    if any(CODE.fullmatch(text) for text in texts):
        return  # 007 and 01234 are codes
    if all(map(INTEGER.fullmatch, texts)):
        yield Field(name=name, type="integer")
    if all(map(NUMBER.fullmatch, texts)):
        yield Field(name=name, type="number")
    elif all(map(COMMA.fullmatch, texts)):
        yield Field(name=name, type="number", decimal=",")


def _moments(name: str, texts: Sequence[str]) -> tuple[list[Field], str]:
    """A day or a moment in one way of writing; a note when there are several, or none that is certain."""
    fitting = [(kind, form) for kind, form in _forms() if all(map(_reader(kind, form), texts))]
    if not fitting:
        return [], _mixed(texts)
    kind, form = fitting[0]
    turned = {"d": "M", "M": "d"}
    mirror = re.sub("[dM]", lambda letter: turned[letter[0]], form)
    if form and mirror != form and (kind, mirror) in fitting:
        if "." not in form:
            return [], f"days could be meant as {form} or as {mirror}"
        form = form if form.startswith("d") else mirror
    return [Field(name=name, type=kind, format=form)], ""


def _forms() -> Iterator[tuple[LogicalType, str]]:
    yield "date", ""
    yield "timestamp", ""
    for clock in CLOCKS:
        for day in DAYS:
            yield ("timestamp" if clock else "date"), day + clock


def _mixed(texts: Sequence[str]) -> str:
    """Whether every text is a day, each in some way of writing; at least two of them are needed."""
    readers = [(form or "ISO 8601", _reader(kind, form)) for kind, form in _forms()]
    left, used = list(texts), []
    while left:
        form, reads = next(((form, reads) for form, reads in readers if reads(left[0])), ("", None))
        if reads is None:
            return ""
        used.append(form)
        left = [text for text in left if not reads(text)]
    return f"days are written in several ways: {', '.join(used[:4])}"


def _reader(kind: LogicalType, form: str) -> Callable[[str], bool]:
    way: Literal["date", "timestamp"] = "date" if kind == "date" else "timestamp"
    pattern = moment_pattern(form, way) or ""
    if way == "date":
        return lambda text: read_date(text, pattern) is not None
    return lambda text: read_timestamp(text, pattern, zone="UTC") is not None
