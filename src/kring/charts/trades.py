"""What one buys with the other: quality against latency, memory, cost or fairness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from kring.charts.theme import BLUE, GREY, HALF, INK, TEAL, Json, Spec, drawable, field, layer, nothing, spec
from kring.record.evidence import Measure

KINDS: Final[Mapping[str, tuple[str, str]]] = {
    "on the frontier": (TEAL, "circle"),
    "dominated": (BLUE, "cross"),
    "baseline": (GREY, "circle"),
}


def trade(
    pairs: Mapping[str, tuple[Measure, Measure]],
    *,
    frontier: Sequence[str],
    baseline: str = "",
    title: str = "",
    width: int = HALF,
) -> Spec:
    """Every candidate at (what it costs, how good it is), with both 95 % intervals; colour and shape say who is
    on the `frontier`, whom nobody beats in everything. `pairs` hold (price, quality) by candidate."""
    drawn = {name: pair for name, pair in pairs.items() if all(drawable(one.value) is not None for one in pair)}
    if not drawn:
        return nothing("Nothing to trade was measured.", title=title, width=width)
    nearest = sorted(drawn, key=lambda name: drawn[name][0].value)
    values = [_point(name, *drawn[name], kind=_kind(name, frontier, baseline)) for name in nearest]
    price, quality = next(iter(drawn.values()))
    x = field("price", "quantitative", scale=_room(), axis=_axis(price))
    y = field("quality", "quantitative", scale=_room(), axis=_axis(quality))
    colour, shape = (_look([str(value["kind"]) for value in values], part) for part in (0, 1))
    whisker: Spec = {"type": "rule", "strokeWidth": 1.4, "opacity": 0.5}
    dot: Spec = {"type": "point", "filled": True, "size": 100, "opacity": 1}
    data: list[Json] = list(values)
    words = field("candidate", "nominal")
    above: Spec = {"type": "text", "dy": -12, "color": INK}
    below: Spec = {"type": "text", "dy": 15, "color": INK}
    layers: list[Json] = [
        layer(data, whisker, x=field("price_low", "quantitative"), x2={"field": "price_high"}, y=y, color=colour),
        layer(data, whisker, x=x, y=field("low", "quantitative"), y2={"field": "high"}, color=colour),
        layer(data, dot, x=x, y=y, color=colour, shape=shape),
        layer(data[0::2], above, x=x, y=y, text=words),  # neighbours are named on different sides
        layer(data[1::2], below, x=x, y=y, text=words),
    ]
    return spec({"layer": layers}, title=title, width=width, height=220)


def _kind(name: str, frontier: Sequence[str], baseline: str) -> str:
    if name == baseline:
        return "baseline"
    return "on the frontier" if name in frontier else "dominated"


def _room() -> Spec:
    return {"zero": False, "nice": True, "padding": 24}


def _axis(measure: Measure) -> Spec:
    words = f"{measure.name}, {measure.unit}" if measure.unit else measure.name
    better = {1: " (more is better)", -1: " (less is better)"}.get(measure.better, "")
    return {"title": words + better, "tickCount": 5, "grid": True}


def _look(kinds: Sequence[str], part: int) -> Spec:
    known = [kind for kind in KINDS if kind in kinds]
    scale: Spec = {"domain": known, "range": [KINDS[kind][part] for kind in known]}
    return field("kind", "nominal", scale=scale, sort=None, legend={"symbolOpacity": 1})


def _point(name: str, price: Measure, quality: Measure, *, kind: str) -> dict[str, Json]:
    return {
        "candidate": name,
        "price": drawable(price.value),
        "price_low": drawable(price.low),
        "price_high": drawable(price.high),
        "quality": drawable(quality.value),
        "low": drawable(quality.low),
        "high": drawable(quality.high),
        "kind": kind,
    }
