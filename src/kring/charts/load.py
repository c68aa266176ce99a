"""What a server does under load: answers, waiting, CPU, and what went wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kring.charts.theme import (
    BLUE,
    GREY,
    HALF,
    INK,
    ORANGE,
    RED,
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
from kring.record.load import Level

QUANTILES: Final = ("median", "90 %", "99 %")
OTHERS: Final = "other processes"
WORKER: Final = "busiest process"
TALL: Final = 200


def throughput(levels: Sequence[Level], *, title: str = "", width: int = HALF) -> Spec:
    """Answers per second, a bar for each number of connections."""
    if not any(level.answered for level in levels):
        return nothing("Nothing was answered.", title=title, width=width)
    values: list[Json] = [{"connections": str(level.connections), "value": round(level.per_s)} for level in levels]
    y = field("value", "quantitative", axis={"title": "answers per second", "tickCount": 5, "format": "~s"})
    bars = layer(values, {"type": "bar", "color": BLUE, "opacity": 0.85}, x=_connections(levels), y=y)
    words: Spec = {"type": "text", "dy": -7, "color": INK}
    text = field("value", "quantitative", format=",")
    return spec(
        {"layer": [bars, layer(values, words, x=_connections(levels), y=y, text=text)]},
        title=title,
        width=width,
        height=TALL,
    )


def latency(levels: Sequence[Level], *, limit_ms: float | None = None, title: str = "", width: int = HALF) -> Spec:
    """How long the median, the slowest tenth and the slowest hundredth waited, in milliseconds on a logarithmic
    scale; `limit_ms` is the deadline that was promised, as a dashed line."""
    values: list[Json] = [
        {"connections": str(level.connections), "value": drawable(value), "series": name}
        for level in levels
        for name, value in zip(QUANTILES, (level.p50_ms, level.p90_ms, level.p99_ms), strict=True)
        if value
    ]
    if not values:
        return nothing("Nothing was answered.", title=title, width=width)
    axis: Spec = {"title": "milliseconds", "tickCount": 4, "format": "~g"}
    y = field("value", "quantitative", scale={"type": "log", "nice": True}, axis=axis)
    line: Spec = {"type": "line", "point": {"filled": True, "size": 45}}
    names = list(QUANTILES)
    layers: list[Json] = [
        layer(values, line, x=_connections(levels), y=y, color=colours(names), strokeDash=dashes(names))
    ]
    if limit_ms:
        rule: Spec = {"type": "rule", "strokeDash": [5, 4], "strokeWidth": 1.2, "color": INK}
        layers.append(layer([{"limit": limit_ms}], rule, y=field("limit", "quantitative")))
    return spec({"layer": layers}, title=title, width=width, height=TALL)


def cpu(levels: Sequence[Level], *, title: str = "", width: int = HALF) -> Spec:
    """CPU for each answer in microseconds: of the busiest process, and of all others on top."""
    values: list[Json] = [
        {"connections": str(level.connections), "value": round(value, 1), "series": name}
        for level in levels
        if level.processes
        for name, value in (
            (WORKER, level.processes[0].cpu_us),
            (OTHERS, sum(one.cpu_us for one in level.processes[1:])),
        )
    ]
    if not values:
        return nothing("The CPU of a server that was there already is not known.", title=title, width=width)
    scale: Spec = {"domain": [WORKER, OTHERS], "range": [BLUE, GREY]}
    bars = layer(
        values,
        {"type": "bar"},
        x=_connections(levels),
        y=field("value", "quantitative", stack=True, axis={"title": "CPU, µs for each answer", "tickCount": 5}),
        color=field("series", "nominal", scale=scale, sort=None),
        order=field("series", "nominal"),
    )
    return spec(bars, title=title, width=width, height=TALL)


def failures(levels: Sequence[Level], *, title: str = "", width: int = HALF) -> Spec:
    """Requests that were refused, and those that got no answer, as shares of all."""
    if not any(level.refused or level.failed for level in levels):
        return nothing("Every request was answered.", title=title, width=width)
    values: list[Json] = [
        {"connections": str(level.connections), "value": count / all_of(level), "series": name}
        for level in levels
        for name, count in (("refused", level.refused), ("no answer", level.failed))
        if all_of(level)
    ]
    scale: Spec = {"domain": ["refused", "no answer"], "range": [ORANGE, RED]}
    bars = layer(
        values,
        {"type": "bar"},
        x=_connections(levels),
        y=field("value", "quantitative", stack=True, axis={"title": "of all requests", "format": "~%", "tickCount": 5}),
        color=field("series", "nominal", scale=scale, sort=None),
    )
    return spec(bars, title=title, width=width, height=TALL)


def all_of(level: Level) -> int:
    """Every request of a level, whatever became of it."""
    return level.answered + level.refused + level.failed


def _connections(levels: Sequence[Level]) -> Spec:
    axis: Spec = {"title": "connections", "labelAngle": 0, "grid": False}
    return field("connections", "nominal", sort=[str(level.connections) for level in levels], axis=axis)
