"""Lines to read a chart by: a limit, a chosen threshold, the diagonal."""

from __future__ import annotations

from typing import Final

from kring.charts.theme import GREY, INK, Json, Spec, field, layer
from kring.record.verdict import GateLine

ROOM: Final = 16
GAP: Final = 6
LETTER: Final = 6
SIGNS: Final = {">=": "≥", "<=": "≤"}
DASHED: Spec = {"type": "rule", "strokeDash": [5, 4], "strokeWidth": 1.2}


def limit(gate: GateLine) -> str:
    """The words beside a gate's line."""
    return f"gate {SIGNS.get(gate.op, gate.op)} {gate.limit:g}"


def upright(at: float, words: str, *, colour: str = INK) -> list[Json]:
    """A dashed line at `x = at` with its words over its upper end; they take `ROOM` pixels above the frame."""
    values: list[Json] = [{"x": at, "words": words}]
    x = field("x", "quantitative")
    text: Spec = {"type": "text", "align": "center", "baseline": "bottom", "color": colour}
    return [
        layer(values, DASHED | {"color": colour}, x=x),
        layer(values, text, x=x, y={"value": -5}, text=field("words", "nominal")),
    ]


def level(at: float, words: str, *, colour: str = INK) -> list[Json]:
    """A dashed line at `y = at` with its words above its right end: for charts in which nothing is drawn there."""
    return _level(at, words, colour=colour, place={"align": "right", "dx": -4, "dy": -8})


def beside(at: float, words: str, *, colour: str = INK) -> list[Json]:
    """A dashed line at `y = at` with its words right of the frame, where no line runs over them: they take `aside`
    pixels."""
    return _level(at, words, colour=colour, place={"align": "left", "baseline": "middle", "dx": GAP})


def aside(words: str) -> int:
    """How wide words right of the frame are, in pixels, with the gap before them."""
    return GAP + LETTER * len(words)


def _level(at: float, words: str, *, colour: str, place: Spec) -> list[Json]:
    values: list[Json] = [{"y": at, "words": words}]
    y = field("y", "quantitative")
    text: Spec = {"type": "text", "color": colour} | place
    return [
        layer(values, DASHED | {"color": colour}, y=y),
        layer(values, text, y=y, x={"value": "width"}, text=field("words", "nominal")),
    ]


def diagonal(end: float) -> Spec:
    """From the origin to (`end`, `end`): a perfect forecast, or a coin."""
    line: Spec = {"type": "line", "color": GREY, "strokeWidth": 1.2, "strokeDash": [4, 4]}
    return layer(
        [{"x": 0, "y": 0}, {"x": end, "y": end}], line, x=field("x", "quantitative"), y=field("y", "quantitative")
    )
