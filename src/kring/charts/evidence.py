"""Evidence as it grows: e-values of a rollout against their line, and how often rules err."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp
from typing import Final, NamedTuple

from kring.charts.guides import DASHED, level, upright
from kring.charts.theme import BLUE, INK, ORANGE, WIDE, Json, Spec, colours, field, layer, nothing, spec

LOWEST: Final = 0.01
"""Evidence below this is drawn here: it only says that nothing is near."""

HIGHEST: Final = 1000.0
BAR: Final = 26
NAMES: Final = 230


class Rule(NamedTuple):
    """What share of good versions a rule accuses, and what share of worse ones it finds."""

    name: str
    accused: float
    found: float


class Track(NamedTuple):
    """One line: log e at rising `x`. Lines of one `series` look alike."""

    name: str
    series: str
    points: Sequence[tuple[float, float]]


def evidence(
    tracks: Sequence[Track],
    *,
    line: float,
    words: str,
    along: str = "requests",
    marks: Mapping[str, float] | None = None,
    title: str = "",
    width: int = WIDE,
) -> Spec:
    """E-values on a logarithmic scale against the e-value `line`, which `words` explain; `along` is what x counts, and
    `marks` are words at some x. What lies beyond the frame is drawn at its edge."""
    if not any(track.points for track in tracks):
        return nothing("No evidence yet.", title=title, width=width)
    names = list(dict.fromkeys(track.series for track in tracks))
    values: list[Json] = [
        {"x": x, "e": min(max(exp(min(log_e, 20.0)), LOWEST), HIGHEST), "series": track.series, "name": track.name}
        for track in tracks
        for x, log_e in track.points
    ]
    scale: Spec = {"type": "log", "domain": [LOWEST, HIGHEST]}
    axis: Spec = {"title": "evidence", "values": [0.01, 0.1, 1, 10, 100, 1000], "format": "~g"}
    many = len(tracks) > len(names)
    mark: Spec = {"type": "line", "strokeWidth": 1.1 if many else 2.2, "opacity": 0.55 if many else 1.0}
    lines = layer(
        values,
        mark,
        x=field("x", "quantitative", axis={"title": along, "format": ",d", "tickCount": 6}),
        y=field("e", "quantitative", scale=scale, axis=axis),
        color=colours(names, room=18 if marks else 0),
        detail=field("name", "nominal"),
    )
    guides = [*level(line, words), *(part for text, x in (marks or {}).items() for part in upright(x, text))]
    return spec({"layer": [lines, *guides]}, title=title, width=width)


def two_kinds_of_error(
    rules: Sequence[Rule], *, limit: float, words: str, titles: tuple[str, str], width: int = WIDE
) -> Spec:
    """For each rule, side by side, which share of good versions it accuses, with a dashed line at `limit` that `words`
    explain, and which share of worse ones it finds."""
    accused = [(rule.name, rule.accused) for rule in rules]
    found = [(rule.name, rule.found) for rule in rules]
    panel = (width - NAMES) // 2 - 20
    left = _bars(accused, title=titles[0], width=panel, colour=ORANGE, beyond=limit)
    right = _bars(found, title=titles[1], width=panel, colour=BLUE, named=False)
    line: list[Json] = [{"share": limit, "text": words}]
    x = field("share", "quantitative")
    above: Spec = {"type": "text", "align": "left", "baseline": "bottom", "dx": -2}
    left["layer"] = [
        *_layers(left),
        layer(line, DASHED | {"color": INK}, x=x),
        layer(line, above, x=x, y={"value": -3}, text=field("text", "nominal")),
    ]
    whole = spec({"hconcat": [left, right], "spacing": 20})
    del whole["width"], whole["height"]
    return whole


def _layers(chart: Spec) -> list[Json]:
    layers = chart["layer"]
    return list(layers) if isinstance(layers, list) else []


def _bars(
    shares: Sequence[tuple[str, float]],
    *,
    title: str,
    width: int,
    colour: str,
    beyond: float = 0.0,
    named: bool = True,
) -> Spec:
    """A bar for each name, with its share in percent beside it, right of `beyond`."""
    rows: list[Json] = [
        {
            "name": name,
            "share": share,
            "at": max(share, beyond),
            "text": f"{share:.0%}" if share >= 0.1 else f"{share:.1%}",
        }
        for name, share in shares
    ]
    shown: Json = {"title": None, "labelLimit": NAMES, "labelColor": INK} if named else None
    y = field("name", "nominal", sort=None, axis=shown)
    scale: Spec = {"domain": [0, 1.15]}
    x = field("share", "quantitative", axis=None, scale=scale)
    label: Spec = {"type": "text", "align": "left", "dx": 6, "color": INK}
    at = field("at", "quantitative", axis=None, scale=scale)
    return {
        "title": {
            "text": title,
            "fontSize": 12,
            "fontWeight": "normal",
            "frame": "group",
            "offset": 22 if named else 36,
        },
        "width": width,
        "height": BAR * len(rows),
        "layer": [
            layer(rows, {"type": "bar", "color": colour, "opacity": 0.85, "height": {"band": 0.7}}, x=x, y=y),
            layer(rows, label, x=at, y=y, text=field("text", "nominal")),
        ],
    }
