"""The one theme: a calm palette that colour-blind readers can tell apart, and the frame of every spec.

Blue, orange and teal differ in lightness as well as in hue (after Okabe and Ito, "Color Universal
Design", 2008); a line is also told by its dash, a mark by its shape.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
Spec: TypeAlias = dict[str, Json]

INK: Final = "#1d2939"
MUTED: Final = "#5d6b7e"
GRID: Final = "#e7eaef"
PAPER: Final = "#ffffff"
BLUE: Final = "#2f6db0"
ORANGE: Final = "#d9782d"
TEAL: Final = "#1f8f84"
GREY: Final = "#8d99a8"
PURPLE: Final = "#7a5ea8"
RED: Final = "#b42318"

SERIES: Final = (BLUE, ORANGE, GREY, TEAL, PURPLE)
DASHES: Final[tuple[tuple[int, ...], ...]] = ((1, 0), (7, 3), (2, 3), (9, 3, 2, 3), (4, 2))

DARK: Final[Mapping[str, str]] = {
    INK: "#e8ecf2",
    MUTED: "#a3b0c2",
    GRID: "#2b3646",
    PAPER: "#141b26",
    BLUE: "#6fa8e6",
    ORANGE: "#f0a060",
    TEAL: "#4fc3b5",
    GREY: "#7f8da0",
    PURPLE: "#b39ddb",
    RED: "#f97066",
}
"""What each colour becomes on a dark page."""

FONT: Final = "Liberation Sans, Arial, Helvetica, sans-serif"
"""Text is measured with a font the renderer carries along, so that every machine draws alike."""

WIDE: Final = 760
HALF: Final = 360
HEIGHT: Final = 250

CONFIG: Final[Mapping[str, Json]] = {
    "font": FONT,
    "aria": False,
    "background": None,
    "padding": 4,
    "view": {"stroke": None},
    "axis": {
        "domain": False,
        "ticks": False,
        "grid": True,
        "gridColor": GRID,
        "labelColor": MUTED,
        "labelFontSize": 11,
        "labelFlush": False,
        "labelPadding": 8,
        "titleColor": MUTED,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "titlePadding": 10,
    },
    "axisX": {"grid": False, "domain": True, "domainColor": GREY, "ticks": True, "tickColor": GREY, "tickSize": 4},
    "legend": {
        "orient": "top",
        "direction": "horizontal",
        "title": None,
        "labelColor": INK,
        "labelFontSize": 11,
        "symbolStrokeWidth": 2.5,
        "symbolSize": 140,
        "columnPadding": 18,
        "offset": 6,
        "labelLimit": 220,
    },
    "title": {"anchor": "start", "color": INK, "fontSize": 14, "fontWeight": "bold", "offset": 14},
    "text": {"color": MUTED, "fontSize": 11},
    "line": {"strokeWidth": 2.2, "strokeCap": "round", "strokeJoin": "round"},
}


def spec(parts: Spec, *, title: str = "", width: int = WIDE, height: int = HEIGHT) -> Spec:
    """A whole spec of `parts` (layers, mark, encoding, data) with the theme; sizes in pixels."""
    whole: Spec = {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "config": CONFIG,
        "width": width,
        "height": height,
    }
    if title:
        whole["title"] = {"text": title}
    return whole | parts


def layer(values: Sequence[Json], mark: Spec, **encoding: Json) -> Spec:
    """One mark over its own data."""
    return {"data": {"values": values}, "mark": mark, "encoding": encoding}


def nothing(words: str, *, title: str = "", width: int = WIDE, height: int = 120) -> Spec:
    """A spec that says that there is nothing to draw yet, instead of an empty frame."""
    text = layer([{"words": words}], {"type": "text", "fontSize": 13}, text=field("words", "nominal"))
    return spec(text, title=title, width=width, height=height)


def field(name: str, kind: str, **more: Json) -> Spec:
    """An encoding channel over the data field `name` of a Vega-Lite type."""
    return {"field": name, "type": kind, **more}


def colours(names: Sequence[str], *, room: int = 0) -> Spec:
    """The colour channel of the field `series`: one colour per name in order, no legend for a single one.

    `room` are pixels between the frame and the legend that other words need.
    """
    shown: Json = {"offset": room + 6} if len(names) > 1 else None
    scale: Spec = {"domain": list(names), "range": [SERIES[i % len(SERIES)] for i in range(len(names))]}
    return field("series", "nominal", scale=scale, legend=shown, sort=None)


def dashes(names: Sequence[str], *, room: int = 0) -> Spec:
    """The dash channel of the field `series`, so that lines are told apart without their colour."""
    shown: Json = {"offset": room + 6} if len(names) > 1 else None
    scale: Spec = {"domain": list(names), "range": [list(DASHES[i % len(DASHES)]) for i in range(len(names))]}
    return field("series", "nominal", scale=scale, legend=shown, sort=None)


def drawable(number: float | None) -> float | None:
    """`number`, or None for what can't be drawn: a missing, an infinite, no number at all."""
    return number if number is not None and math.isfinite(number) else None


def milliseconds(at: int) -> int:
    """Microseconds UTC as the milliseconds that a Vega time scale reads."""
    return at // 1000
