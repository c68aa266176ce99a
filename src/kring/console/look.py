"""How pages look: one template language, one theme, the headers that every page carries."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import Final

from jinja2 import Environment, FunctionLoader, StrictUndefined

from kring.api.exchange import Header, Response
from kring.charts.page import stylesheet
from kring.charts.words import count, legible, number, percent

HTML: Final = "text/html; charset=utf-8"
STYLE: Final = "/assets/console.css"
ICON: Final = "/assets/icon.svg"
POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final[tuple[Header, ...]] = (("content-security-policy", POLICY), ("x-frame-options", "DENY"))

TONES: Final = {
    "pass": "good",
    "live": "good",
    "done": "good",
    "fail": "bad",
    "investigate": "warn",
    "canary": "warn",
    "held": "warn",
    "rolling_back": "bad",
    "rolled_back": "bad",
}
"""Which words are good news and which are not; all others are plain."""


def page(name: str, /, *, status: int = 200, headers: tuple[Header, ...] = (), **values: object) -> Response:
    """The template `name` with `values`, all of them escaped."""
    text = _environment().get_template(name).render(**values, status=status, style=f"{STYLE}?{_mark()}")
    return Response(status, legible(text).encode(), HTML, (*HEADERS, *headers))


@cache
def style() -> bytes:
    """The stylesheet: that of the reports, and what pages with links and forms need besides."""
    return f"{stylesheet()}\n{_source('console.css')}".encode()


@cache
def icon() -> bytes:
    """The ring, for the tab of a browser."""
    return _source("icon.svg").encode()


def moment(text: str) -> str:
    """A moment of ISO 8601 as people read it, to the second."""
    return text[:19].replace("T", " ") + " UTC" if len(text) >= 19 and text[10:11] == "T" else text


def shown(value: object) -> str:
    """A value in the words of decisions."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return number(value, digits=4).rstrip("0").rstrip(".") if abs(value) < 1e6 else f"{value:g}"
    return str(value)


def amount(value: float) -> str:
    """Money, to three digits however little it is."""
    return f"{value:.3g}"


def signed(value: float) -> str:
    """A difference, with its sign, to four digits."""
    return f"{'−' if value < 0 else '+'}{number(abs(value), digits=4)}"


def milliseconds(us: int) -> str:
    """Microseconds as milliseconds."""
    return f"{number(us / 1000, digits=2)} ms"


def tone(word: str) -> str:
    return TONES.get(word, "plain")


def short(id: str) -> str:
    """An id that is told apart from its neighbours without being read to its end."""
    return f"{id[:6]}…{id[-6:]}" if len(id) > 16 else id


@cache
def _mark() -> str:
    """What changes with the stylesheet, so that browsers may keep it."""
    return hashlib.sha256(style()).hexdigest()[:12]


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_source),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "moment": moment,
        "shown": shown,
        "amount": amount,
        "signed": signed,
        "milliseconds": milliseconds,
        "tone": tone,
        "short": short,
        "count": count,
        "percent": percent,
        "number": number,
    }
    return environment


def _source(name: str) -> str:
    return (files("kring.console") / "templates" / name).read_text(encoding="utf-8")
