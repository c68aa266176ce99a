"""What one candidate's evidence looks like: calibration, cost over threshold, ROC, scores."""

from __future__ import annotations

from collections.abc import Mapping

from kring.charts.guides import ROOM, aside, beside, diagonal, upright
from kring.charts.theme import (
    BLUE,
    GREY,
    HALF,
    MUTED,
    Json,
    Spec,
    colours,
    dashes,
    drawable,
    field,
    layer,
    nothing,
    spec,
)
from kring.record.evidence import Curve

SHARE: Spec = {"domain": [0, 1]}


def calibration(curve: Curve, *, title: str = "", width: int = HALF) -> Spec:
    """Predicted probability (`x`) against the share that came true (`y`, with `low` and `high`),
    the diagonal of a perfect forecast, and below it how many rows each point rests on (`weight`,
    a count or a share)."""
    if not curve.x:
        return nothing("No rows to calibrate on.", title=title, width=width)
    end = min(
        1.0, 1.08 * max(number for number in (*curve.x, *curve.y, *curve.high, 0.05) if drawable(number) is not None)
    )
    reach: Spec = {"domain": [0, end], "nice": False, "padding": 0}
    values = _values(curve)
    x = field("x", "quantitative", scale=reach, axis={"title": "predicted probability", "tickCount": 5})
    y = field("y", "quantitative", scale=reach, axis={"title": "came true", "tickCount": 5})
    line: Spec = {
        "type": "line",
        "color": BLUE,
        "strokeWidth": 1.4,
        "point": {"filled": True, "size": 46, "color": BLUE},
    }
    layers: list[Json] = [diagonal(end), layer(values, line, x=x, y=y)]
    if curve.low and curve.high:
        whisker: Spec = {"type": "rule", "color": BLUE, "strokeWidth": 1.6, "opacity": 0.55}
        layers.append(layer(values, whisker, x=x, y=field("low", "quantitative"), y2={"field": "high"}))
    if not curve.weight:
        return spec({"layer": layers}, title=title, width=width, height=220)
    bare = field("x", "quantitative", scale=reach, axis={"labels": False, "title": None, "ticks": False})
    rows = field("weight", "quantitative", axis=_amount(max(curve.weight)) | {"tickCount": 2})
    bars = layer(values, {"type": "bar", "color": GREY, "opacity": 0.6, "width": 8}, x=bare, y=rows)
    parts: list[Json] = [{"layer": layers, "width": width, "height": 200}, bars | {"width": width, "height": 40}]
    return spec({"vconcat": parts, "spacing": 12}, title=title, width=0)


def cost_of_threshold(
    curve: Curve,
    threshold: float,
    *,
    currency: str = "",
    baseline: float | None = None,
    title: str = "",
    width: int = HALF,
) -> Spec:
    """Expected cost per decision (`y`) at every threshold (`x`), the chosen `threshold`, and the
    cost of the baseline where it is known."""
    if not curve.x:
        return nothing("No rows to weigh.", title=title, width=width)
    words = f"cost per decision, {currency}" if currency else "cost per decision"
    x = field("x", "quantitative", axis={"title": "threshold", "tickCount": 6})
    y = field("y", "quantitative", scale={"zero": False}, axis={"title": words, "tickCount": 5})
    layers: list[Json] = [layer(_values(curve), {"type": "line", "color": BLUE}, x=x, y=y)]
    if curve.low and curve.high:
        band: Spec = {"type": "area", "color": BLUE, "opacity": 0.14}
        layers.insert(0, layer(_values(curve), band, x=x, y=field("low", "quantitative"), y2={"field": "high"}))
    if baseline is not None and drawable(baseline) is not None:
        layers += beside(baseline, "baseline", colour=MUTED)
        width -= aside("baseline")
    return spec(
        {"layer": layers + upright(threshold, f"threshold {threshold:.3g}")}, title=title, width=width, height=240
    )


def roc(curves: Mapping[str, Curve], *, title: str = "", width: int = HALF) -> Spec:
    """False positive rate (`x`) against true positive rate (`y`), one line per candidate, and the
    diagonal of a coin."""
    names = [name for name, curve in curves.items() if curve.x]
    if not names:
        return nothing("No rows to rank.", title=title, width=width)
    line = layer(
        _series(curves),
        {"type": "line"},
        x=field("x", "quantitative", scale=SHARE, axis={"title": "false positive rate", "tickCount": 5}),
        y=field("y", "quantitative", scale=SHARE, axis={"title": "true positive rate", "tickCount": 5}),
        order=field("order", "quantitative"),
        color=colours(names),
        strokeDash=dashes(names),
    )
    return spec({"layer": [diagonal(1.0), line]}, title=title, width=width, height=260)


def scores(curves: Mapping[str, Curve], *, threshold: float | None = None, title: str = "", width: int = HALF) -> Spec:
    """How outputs are spread (`x` the middle of a bin, `y` its count or share), one outline per class
    of truth, and the chosen threshold."""
    names = [name for name, curve in curves.items() if curve.x]
    if not names:
        return nothing("No scores yet.", title=title, width=width)
    outline = layer(
        _series(curves),
        {"type": "area", "interpolate": "step", "fillOpacity": 0.22, "line": {"strokeWidth": 1.6}},
        x=field("x", "quantitative", axis={"title": "output", "tickCount": 6}),
        y=field("y", "quantitative", stack=None, axis=_amount(max(y for name in names for y in curves[name].y))),
        color=colours(names, room=0 if threshold is None else ROOM),
    )
    guide = [] if threshold is None else upright(threshold, f"threshold {threshold:.3g}")
    return spec({"layer": [outline, *guide]}, title=title, width=width, height=240)


def _amount(largest: float) -> Spec:
    """The axis of counts, or of shares when no value is above 1."""
    if largest <= 1:
        return {"title": "share of rows", "tickCount": 4, "format": "~%"}
    return {"title": "rows", "tickCount": 4, "format": "~s"}


def _values(curve: Curve) -> list[Json]:
    columns = {"x": curve.x, "y": curve.y, "low": curve.low, "high": curve.high, "weight": curve.weight}
    return [{name: drawable(column[i]) for name, column in columns.items() if column} for i in range(len(curve.x))]


def _series(curves: Mapping[str, Curve]) -> list[Json]:
    return [
        {"x": drawable(x), "y": drawable(y), "series": name, "order": order}
        for name, curve in curves.items()
        for order, (x, y) in enumerate(zip(curve.x, curve.y, strict=True))
    ]
