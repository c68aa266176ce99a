"""The page keeps what it is given as text, whatever it is given."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from kring.charts.candidates import comparison
from kring.charts.curves import roc
from kring.charts.over_time import quality
from kring.charts.page import Chart, Code, KeyFigure, Page, Section, Step, Steps, Table, Text, html
from kring.charts.points import Mark, Point
from kring.record.evidence import Curve, Measure

EVIL = (
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    '" onfocus=alert(1) autofocus tabindex=1 x="',
    "</style><script>alert(1)</script>",
    "</title><svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "]]><script>alert(1)</script>",
    "<!--<script>alert(1)//-->",
    "<iframe src='javascript:alert(1)'></iframe>",
    "<a href=javascript:alert(1)>go</a>",
    "{{ 7 * 7 }}{% raw %}{{ page.__class__ }}",
    "${alert(1)}`",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "\u202e<b>\u0000</b>\ud83d",
    "<math><mtext></mtext><style><img src=x onerror=alert(1)></style></math>",
)
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "header", "main", "footer", "section", "h1", "h2", "p", "div"),
    *("dl", "dt", "dd", "figure", "figcaption", "details", "summary", "table", "caption", "thead", "tbody", "tr", "th"),
    *("td", "ol", "li", "b", "span", "pre", "code", "svg", "g", "path", "text", "tspan", "line", "rect", "circle"),
    *("defs", "clippath"),
}


class Reader(HTMLParser):
    """Collects what a browser would build."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: dict[str, str] = {}
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name: value or "" for name, value in attrs}

    def handle_data(self, data: str) -> None:
        self.words += data


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    return reader


def page_of(words: str) -> Page:
    """A page with `words` in every place that takes text."""
    measure = Measure(name=words, value=0.6, low=0.5, high=0.7, rows=9, groups=3, better=1, method=words, unit=words)
    curve = Curve(name=words, x=(0.0, 1.0), y=(0.0, 1.0))
    points = [Point(at=0, value=0.5, series=words), Point(at=1, value=0.6, series="other")]
    table = Table(columns=(words, "n"), rows=((words, "1"),), caption=words)
    blocks = (
        Text(words=words, tone="warn"),
        table,
        Table(columns=("a",), rows=((words,),), caption=words, folded=True),
        Chart(spec=comparison({words: measure}, title=words), caption=words, alt=words, table=table),
        Chart(spec=roc({words: curve, "other": curve}), caption=words, alt=words, half=True),
        Chart(spec=quality(points, metric=words, marks=[Mark(at=0, label=words)]), caption=words, alt=words),
        Steps(steps=(Step(name=words, label=words, detail=words),)),
        Code(text=words),
    )
    figures = (KeyFigure(label=words, value=words, note=words, tone="good"),)
    sections = (Section(title=words, blocks=blocks),)
    return Page(title=words, lead=words, kicker=words, figures=figures, sections=sections, footer=words)


@pytest.mark.parametrize("evil", EVIL)
def test_what_comes_in_as_text_goes_out_as_text(evil: str) -> None:
    page = html(page_of(evil))
    reader = read(page)
    assert reader.tags <= TAGS
    assert not [name for name in reader.attributes if name.startswith("on")]
    assert "href" not in reader.attributes
    assert "src" not in reader.attributes


def test_text_is_shown_as_it_was_given() -> None:
    assert read(html(page_of("a < b & c > d"))).words.count("a < b & c > d") >= 10


def test_what_no_page_can_hold_becomes_a_sign() -> None:
    page = html(page_of("a\x00b\x1bc\ud83d"))
    assert "a\ufffdb\ufffdc\ufffd" in page
    page.encode()


def test_the_page_needs_nothing_from_outside() -> None:
    page = html(page_of("plain"))
    reader = read(page)
    assert "script" not in reader.tags
    assert "default-src 'none'" in page
    outside = page.replace("http://www.w3.org/2000/svg", "").replace("http://www.w3.org/1999/xlink", "")
    assert "http" not in outside.replace("http-equiv", "")
    assert "url(h" not in page
    assert "@import" not in page


def test_the_same_page_gives_the_same_bytes() -> None:
    assert html(page_of("plain")) == html(page_of("plain"))


def test_ids_are_unique() -> None:
    ids = [piece.split('"')[0] for piece in html(page_of("plain")).split(' id="')[1:]]
    assert len(ids) == len(set(ids))


def test_columns_of_numbers_and_of_moments_are_told_from_words() -> None:
    table = Table(
        columns=("name", "value", "share", "nothing", "mixed", "day", "since"),
        rows=(
            ("a", "1\u202f200.5", "97.1\u202f%", "–", "3", "2013-04-01", "2013-04-01 18:00 UTC"),
            ("b", "-0.2 (-0.3 to 0.1)", "3 %", "4", "three", "2013-04-02", ""),
        ),
    )
    assert table.kinds == ("words", "number", "number", "number", "words", "moment", "moment")
    assert Table(columns=("a",), rows=()).kinds == ("words",)
