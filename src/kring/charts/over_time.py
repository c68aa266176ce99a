"""What changes from day to day: quality, cost, volumes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kring.charts.guides import aside, beside, limit
from kring.charts.points import Mark, Point, Volume
from kring.charts.theme import (
    BLUE,
    GREY,
    PURPLE,
    RED,
    SERIES,
    WIDE,
    Json,
    Spec,
    colours,
    dashes,
    drawable,
    field,
    layer,
    milliseconds,
    nothing,
    spec,
)
from kring.record.verdict import GateLine

LANES: Final = {"version": (PURPLE, "diamond", -8), "alarm": (RED, "triangle-down", -23)}
"""Colour, shape and height above the frame of each kind of mark."""

BANDS: Final = 2
LABEL: Final = 110
"""The widest label of a mark, in pixels."""

ROOM: Final = 34
"""Pixels that the lanes of marks take above the frame."""


def quality(
    points: Sequence[Point],
    *,
    metric: str,
    gate: GateLine | None = None,
    marks: Sequence[Mark] = (),
    title: str = "",
    width: int = WIDE,
) -> Spec:
    """`metric` over time as one line per series with its interval as a band (of many series, that of
    the first), the gate's limit as a dashed line, versions and alarms as marks above the frame."""
    if not any(drawable(point.value) is not None for point in points):
        return nothing("No outcomes have matured yet.", title=title, width=width)
    guide = beside(gate.limit, limit(gate)) if gate else []
    width -= aside(limit(gate)) if gate else 0
    layers = [
        *_lines(points, metric, room=ROOM if marks else 0),
        *guide,
        *_marks(marks, points=points, width=width),
    ]
    return spec({"layer": layers}, title=title, width=width)


def costs(
    points: Sequence[Point],
    *,
    currency: str = "",
    marks: Sequence[Mark] = (),
    title: str = "",
    width: int = WIDE,
) -> Spec:
    """Cost per decision over time, one line per policy (series): what this system costs against
    its baseline and against a model that is never trained again. Lower is better."""
    if not any(drawable(point.value) is not None for point in points):
        return nothing("No outcomes have matured yet.", title=title, width=width)
    words = f"cost per decision, {currency}" if currency else "cost per decision"
    return spec(
        {
            "layer": [
                *_lines(points, words, room=ROOM if marks else 0),
                *_marks(marks, points=points, width=width),
            ]
        },
        title=title,
        width=width,
    )


def volumes(days: Sequence[Volume], *, title: str = "", width: int = WIDE) -> Spec:
    """Decisions per window as pale bars, those with an outcome in front of them: what stays pale
    is waiting for its outcome or never had one."""
    if not any(day.decisions for day in days):
        return nothing("No decisions yet.", title=title, width=width)
    names = ["decisions", "with an outcome"]
    values: list[Json] = [
        {"start": milliseconds(day.start), "end": milliseconds(day.end), "count": count, "series": name}
        for name, counts in zip(names, ([d.decisions for d in days], [d.outcomes for d in days]), strict=True)
        for day, count in zip(days, counts, strict=True)
    ]
    colour = field("series", "nominal", scale={"domain": names, "range": [GREY, BLUE]}, sort=None)
    opacity = field("series", "nominal", scale={"domain": names, "range": [0.4, 0.95]}, sort=None)
    bars = layer(
        values,
        {"type": "rect"},
        x=_time("start"),
        x2={"field": "end"},
        y=field("count", "quantitative", axis={"title": "decisions", "tickCount": 4, "format": ",d"}),
        y2={"datum": 0},
        color=colour,
        opacity=opacity,
    )
    return spec(bars, title=title, width=width, height=150)


def _values(points: Sequence[Point]) -> list[Json]:
    return [
        {
            "at": milliseconds(point.at),
            "value": drawable(point.value),
            "low": drawable(point.low),
            "high": drawable(point.high),
            "series": point.series,
        }
        for point in points
    ]


def _time(name: str) -> Spec:
    axis: Spec = {"title": None, "format": "%b %-d", "labelOverlap": True, "tickCount": 9}
    return field(name, "temporal", scale={"type": "utc"}, axis=axis)


def _lines(points: Sequence[Point], words: str, *, room: int) -> list[Json]:
    """The lines of all series over their bands; of more than `BANDS` series only the first has one,
    because bands on bands can't be read."""
    names = list(dict.fromkeys(point.series for point in points))
    colour, dash = colours(names, room=room), dashes(names, room=room)
    lonely = min(sum(point.series == name for point in points) for name in names) < 2
    value = field("value", "quantitative", scale={"zero": False}, axis={"title": words, "tickCount": 5})
    line: Spec = {"type": "line", "point": {"filled": True, "size": 45} if lonely else False}
    banded = names if len(names) <= BANDS else names[:1]
    bands = [_band(points, name, colour=SERIES[i % len(SERIES)]) for i, name in enumerate(banded)]
    first_on_top = sorted(points, key=lambda point: -names.index(point.series))
    return [*bands, layer(_values(first_on_top), line, x=_time("at"), y=value, color=colour, strokeDash=dash)]


def _band(points: Sequence[Point], name: str, *, colour: str) -> Spec:
    """The interval of one series, broken where it is unknown."""
    band: Spec = {"type": "area", "opacity": 0.14, "color": colour}
    values = _values([point for point in points if point.series == name])
    return layer(values, band, x=_time("at"), y=field("low", "quantitative"), y2={"field": "high"})


def _marks(marks: Sequence[Mark], *, points: Sequence[Point], width: int) -> list[Json]:
    """Both lanes of marks over the time that the chart spans."""
    moments = [point.at for point in points] + [mark.at for mark in marks]
    pixel = max(1, (max(moments) - min(moments)) // width)
    layers: list[Json] = []
    for kind, (colour, shape, height) in LANES.items():
        values = _labelled([mark for mark in marks if mark.kind == kind], pixel=pixel)
        if values:
            x, y = _time("at"), {"value": height}
            rule: Spec = {"type": "rule", "color": colour, "strokeWidth": 1, "opacity": 0.4}
            point: Spec = {"type": "point", "shape": shape, "filled": True, "opacity": 1, "size": 50, "color": colour}
            text: Spec = {"type": "text", "align": "left", "dx": 7, "color": colour, "fontSize": 10, "limit": LABEL}
            layers += [
                layer(values, rule, x=x, y=y, y2={"value": "height"}),
                layer(values, point, x=x, y=y),
                layer(values, text, x=x, y=y, text=field("label", "nominal")),
            ]
    return layers


def _labelled(marks: Sequence[Mark], *, pixel: int) -> list[Json]:
    """Marks in the order of time; a label that would run into the next mark is left out (the tables
    beside a chart name them all). `pixel` is its width in microseconds."""
    ordered = sorted(marks, key=lambda mark: mark.at)
    ends = [mark.at for mark in ordered[1:]] + [ordered[-1].at + 2 * LABEL * pixel] if ordered else []
    values: list[Json] = []
    for mark, end in zip(ordered, ends, strict=True):
        fits = min(LABEL, 6 * len(mark.label)) <= (end - mark.at) // pixel - 14
        values.append({"at": milliseconds(mark.at), "label": mark.label if fits else ""})
    return values
