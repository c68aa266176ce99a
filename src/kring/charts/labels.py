"""What evidence over several labels looks like: which is taken for which, and whether each can be believed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kring.charts.guides import diagonal
from kring.charts.theme import BLUE, HALF, INK, WIDE, Json, Spec, drawable, field, layer, nothing, spec
from kring.record.evidence import Curve

WRITTEN: Final = 16
"""A table of more labels is drawn without the numbers in it."""

STRONGEST: Final = 0.6
"""How dark a cell becomes: numbers in it must stay readable."""

PANELS: Final = 3
MOST_PANELS: Final = 12


def confusion(rows: Mapping[str, Curve], *, title: str = "", width: int = HALF) -> Spec:
    """Rows by true label, one curve each (`x` the place of the decided label among `rows`, `y` its share of the
    label's rows, `weight` their number); the diagonal is what was decided rightly."""
    labels = list(rows)
    if not labels:
        return nothing("No rows to decide on.", title=title, width=width)
    values: list[Json] = [
        {"true": true, "decided": labels[int(x)], "share": drawable(share), "words": f"{count:.0f}" if count else ""}
        for true, curve in rows.items()
        for x, share, count in zip(curve.x, curve.y, curve.weight, strict=True)
        if 0 <= x < len(labels)
    ]
    axis: Spec = {"grid": False, "domain": False, "ticks": False, "labelColor": INK, "labelLimit": 120}
    x = field("decided", "nominal", sort=labels, axis=axis | {"title": "decided", "labelAngle": -40})
    y = field("true", "nominal", sort=labels, axis=axis | {"title": "true"})
    shade = field("share", "quantitative", scale={"domain": [0, 1], "range": [0.03, STRONGEST]}, legend=None)
    layers: list[Json] = [layer(values, {"type": "rect", "color": BLUE, "cornerRadius": 2}, x=x, y=y, opacity=shade)]
    if len(labels) <= WRITTEN:
        words: Spec = {"type": "text", "color": INK}
        layers.append(layer(values, words, x=x, y=y, text=field("words", "nominal")))
    side = max(14, min(44, width // len(labels)))
    return spec({"layer": layers}, title=title, width=side * len(labels), height=min(side, 32) * len(labels))


def calibrations(curves: Mapping[str, Curve], *, title: str = "", width: int = WIDE) -> Spec:
    """Each label's predicted probability (`x`) against the share that came true (`y`), in a panel of its own
    beside the diagonal of a perfect forecast; of many labels, those with the most rows that came true."""
    true = {
        label: sum(y * rows for y, rows in zip(curve.y, curve.weight, strict=True)) for label, curve in curves.items()
    }
    shown = sorted(sorted(true, key=lambda label: -true[label])[:MOST_PANELS], key=list(curves).index)
    if not shown:
        return nothing("No rows to calibrate on.", title=title, width=width)
    side = width // PANELS - 60
    panels: list[Json] = [_panel(label, curves[label], side=side) for label in shown]
    return spec({"concat": panels, "columns": PANELS, "spacing": 24}, title=title, width=0)


def _panel(label: str, curve: Curve, *, side: int) -> Spec:
    """A line through the bins, and a dot for each that is the larger the more rows it rests on."""
    reach: Spec = {"domain": [0, 1], "nice": False, "padding": 0}
    columns = zip(curve.x, curve.y, curve.weight, strict=True)
    values: list[Json] = [{"x": drawable(x), "y": drawable(y), "rows": drawable(rows)} for x, y, rows in columns]
    x = field("x", "quantitative", scale=reach, axis={"title": "predicted", "tickCount": 3})
    y = field("y", "quantitative", scale=reach, axis={"title": "came true", "tickCount": 3})
    size = field("rows", "quantitative", scale={"type": "sqrt", "range": [4, 90]}, legend=None)
    line = layer(values, {"type": "line", "color": BLUE, "strokeWidth": 1.2, "opacity": 0.5}, x=x, y=y)
    dots = layer(values, {"type": "point", "filled": True, "color": BLUE, "opacity": 1}, x=x, y=y, size=size)
    named: Spec = {"text": label, "fontSize": 12, "offset": 6, "limit": side}
    return {"layer": [diagonal(1.0), line, dots], "width": side, "height": side * 2 // 3, "title": named}
