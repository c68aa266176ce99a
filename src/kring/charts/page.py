"""One self-contained page of words, tables and drawings.

It needs no script, no network and no second file: a page can be mailed, printed and kept. All text
is escaped; the page forbids scripts and addresses to itself by its own content policy.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Final, Literal

import msgspec
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from kring.charts.render import svg
from kring.charts.theme import DARK, Spec
from kring.charts.words import legible

Tone = Literal["plain", "good", "warn", "bad"]
MOMENT: Final = re.compile(r"(\d{4}-\d\d-\d\d( \d\d:\d\d UTC)?)?|–")
NUMBER: Final = re.compile(r"[-+−]?[\d.,\u202f\s]+(%|[a-zµ]{1,2})?( \(.*\))?|–")


class KeyFigure(msgspec.Struct, frozen=True, kw_only=True):
    """One number that the reader should take away, and what it means."""

    label: str
    value: str
    note: str = ""
    tone: Tone = "plain"


class Text(msgspec.Struct, frozen=True, kw_only=True, tag="text"):
    """A paragraph; a tone makes a framed note of it."""

    words: str
    tone: Tone = "plain"


class Table(msgspec.Struct, frozen=True, kw_only=True, tag="table"):
    """Rows of cells as text. Numbers are set flush right, moments unbroken; `folded` hides it until opened."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    folded: bool = False

    @property
    def kinds(self) -> tuple[str, ...]:
        """Per column `number` or `moment` when it holds nothing else, otherwise `words`."""
        return tuple(_column_kind([row[i] for row in self.rows]) for i in range(len(self.columns)))


class Chart(msgspec.Struct, frozen=True, kw_only=True, tag="chart"):
    """A drawing with a caption that says what is seen in it, and `alt` for those who don't see it.

    `half` puts two beside each other where there is room. `table` holds the numbers behind it.
    """

    spec: Spec
    caption: str
    alt: str
    half: bool = False
    table: Table | None = None


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One station of a way: what it is, its id or date, and what was found there, in words or as (label, text)."""

    name: str
    label: str = ""
    detail: str = ""
    tone: Tone = "plain"
    facts: tuple[tuple[str, str], ...] = ()


class Steps(msgspec.Struct, frozen=True, kw_only=True, tag="steps"):
    """A way with its stations in order: a history of events, the lineage of one decision."""

    steps: tuple[Step, ...]


class Code(msgspec.Struct, frozen=True, kw_only=True, tag="code"):
    """Commands or output, as typed."""

    text: str


Block = Text | Table | Chart | Steps | Code


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """A heading and what stands under it."""

    title: str
    blocks: tuple[Block, ...]


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """A page: its title, what it says in one paragraph, key figures, sections, a last line."""

    title: str
    lead: str
    kicker: str = ""
    figures: tuple[KeyFigure, ...] = ()
    sections: tuple[Section, ...] = ()
    footer: str = ""
    language: str = "en"


def html(page: Page) -> str:
    """`page` as one HTML document. The same page gives the same text."""
    style = stylesheet()
    seal = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    drawings = {
        (i, j): Markup(svg(block.spec, prefix=f"s{i}b{j}x"))
        for i, section in enumerate(page.sections)
        for j, block in enumerate(section.blocks)
        if isinstance(block, Chart)
    }
    template = _environment().get_template("page.html.jinja")
    return legible(template.render(page=page, style=Markup(style), seal=seal, drawings=drawings, kind=_kind))


@cache
def stylesheet() -> str:
    """How every page looks, by day, by night and on paper."""
    return _environment().get_template("page.css").render(dark=DARK).strip()


def _column_kind(cells: Sequence[str]) -> str:
    if any(cells):
        for kind, pattern in (("number", NUMBER), ("moment", MOMENT)):
            if all(pattern.fullmatch(cell) for cell in cells):
                return kind
    return "words"


def _kind(block: Block) -> str:
    return type(block).__name__.lower()


def _source(name: str) -> str:
    return (files("kring.charts") / "templates" / name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    return Environment(
        loader=FunctionLoader(_source),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
