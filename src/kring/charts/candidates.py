"""Candidates side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kring.charts.guides import ROOM, limit, upright
from kring.charts.theme import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    RED,
    TEAL,
    WIDE,
    Json,
    Spec,
    drawable,
    field,
    layer,
    nothing,
    spec,
)
from kring.record.evidence import Measure
from kring.record.verdict import GateLine, GateResult

RESULTS: Final[Mapping[str, tuple[str, str]]] = {
    "pass": (TEAL, "circle"),
    "investigate": (ORANGE, "diamond"),
    "fail": (RED, "square"),
    "baseline": (GREY, "circle"),
    "not judged": (BLUE, "circle"),
}


def comparison(
    measures: Mapping[str, Measure],
    *,
    baseline: str = "",
    gate: GateLine | None = None,
    results: Mapping[str, GateResult] | None = None,
    title: str = "",
    width: int = WIDE,
) -> Spec:
    """One measure of every candidate as a dot on its 95 % interval, the gate's limit as a dashed
    line; colour and shape say what the gate said (`results`, by candidate)."""
    kinds = {
        name: "baseline" if name == baseline else (results or {}).get(name, "not judged")
        for name, measure in measures.items()
        if drawable(measure.value) is not None
    }
    if not kinds:
        return nothing("Nothing was measured.", title=title, width=width)
    values: list[Json] = [_row(name, measures[name], kind) for name, kind in kinds.items()]
    first = measures[next(iter(kinds))]
    words = f"{first.name}, {first.unit}" if first.unit else first.name
    names: Spec = {"title": None, "grid": False, "labelColor": INK, "labelFontSize": 12}
    scale: Spec = {"zero": False, "nice": True, "padding": 12}
    x = field("value", "quantitative", scale=scale, axis={"title": words, "tickCount": 6, "grid": True})
    y = field("candidate", "nominal", sort=None, axis=names)
    colour, shape = (_look(tuple(kinds.values()), part, room=ROOM if gate else 0) for part in (0, 1))
    whisker: Spec = {"type": "rule", "strokeWidth": 2, "strokeCap": "round"}
    dot: Spec = {"type": "point", "filled": True, "size": 110, "opacity": 1}
    layers: list[Json] = [
        layer(values, whisker, x=field("low", "quantitative"), x2={"field": "high"}, y=y, color=colour),
        layer(values, dot, x=x, y=y, color=colour, shape=shape),
        layer(values, {"type": "text", "dy": -13, "color": INK}, x=x, y=y, text=field("words", "nominal")),
    ]
    guide = upright(gate.limit, limit(gate)) if gate else []
    return spec({"layer": [*layers, *guide]}, title=title, width=width, height=34 + 40 * len(kinds))


def _look(kinds: tuple[str, ...], part: int, *, room: int) -> Spec:
    """Colour (part 0) or shape (part 1) by what the gate said."""
    known = [kind for kind in RESULTS if kind in kinds]
    scale: Spec = {"domain": known, "range": [RESULTS[kind][part] for kind in known]}
    return field("kind", "nominal", scale=scale, sort=None, legend={"offset": room + 6})


def _row(name: str, measure: Measure, kind: str) -> Spec:
    return {
        "candidate": name,
        "value": drawable(measure.value),
        "low": drawable(measure.low),
        "high": drawable(measure.high),
        "words": f"{measure.value:.4g}",
        "kind": kind,
    }
