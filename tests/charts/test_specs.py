"""Every chart from odd and from ordinary records: it draws, twice the same, and hides nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kring.charts import candidates, curves, labels, over_time
from kring.charts.guides import aside
from kring.charts.points import Mark, Point, Volume
from kring.charts.render import png, svg
from kring.charts.theme import DARK, SERIES, Spec, drawable
from kring.charts.trades import trade
from kring.record.evidence import Curve, Measure
from kring.record.verdict import GateLine

DAY = 86_400_000_000
START = 1_364_774_400_000_000  # 2013-04-01
GATE = GateLine(metric="roc_auc", op=">=", limit=0.62)


def point(day: int, value: float | None, series: str = "live") -> Point:
    low, high = (None, None) if value is None else (value - 0.02, value + 0.02)
    return Point(at=START + day * DAY, value=value, low=low, high=high, series=series)


def measure(value: float) -> Measure:
    return Measure(
        name="roc_auc", value=value, low=value - 0.01, high=value + 0.01, rows=900, groups=30, better=1, method="by day"
    )


RISING = Curve(name="curve", x=(0.1, 0.2, 0.3), y=(0.1, 0.25, 0.28), low=(0.0, 0.2, 0.2), high=(0.2, 0.3, 0.4))
COUNTED = Curve(name="curve", x=RISING.x, y=RISING.y, low=RISING.low, high=RISING.high, weight=(90.0, 40.0, 7.0))
EMPTY = Curve(name="curve", x=(), y=())
BROKEN = Curve(name="curve", x=(0.1, math.nan), y=(math.inf, 0.2), low=(0.0, 0.1), high=(0.3, 0.3), weight=(1.0, 2.0))
WEEK = [point(day, 0.65 + day / 100, series) for series in ("live", "frozen") for day in range(7)]
MARKS = [Mark(at=START, label="v1"), Mark(at=START + 3 * DAY, label="quality", kind="alarm")]
VOLUMES = [Volume(start=START + i * DAY, end=START + (i + 1) * DAY, decisions=900, outcomes=870) for i in range(5)]

TRADED = {name: (measure(price), measure(0.7)) for name, price in (("rule", 0.1), ("linear", 0.2), ("big", 3.0))}

NAMED = ("apple", "pear\n", "</text>", "")
DECIDED = {
    name: Curve(name=name, x=(0.0, 1.0, 2.0, 3.0), y=(0.1, 0.2, 0.7, math.nan), weight=(1.0, 2.0, 7.0, 0.0))
    for name in NAMED
}
MANY = {
    f"label {n}": Curve(name="c", x=tuple(map(float, range(40))), y=(0.0,) * 40, weight=(0.0,) * 40) for n in range(40)
}

SPECS: dict[str, Spec] = {
    "confusion": labels.confusion(DECIDED),
    "confusion of many": labels.confusion(MANY),
    "confusion of nothing": labels.confusion({}),
    "confusion beyond its labels": labels.confusion({"a": BROKEN}),
    "calibrations": labels.calibrations(dict.fromkeys(NAMED, COUNTED)),
    "calibrations of many": labels.calibrations(dict.fromkeys(MANY, COUNTED)),
    "calibrations of broken numbers": labels.calibrations({"a": BROKEN, "b": EMPTY}),
    "calibrations of nothing": labels.calibrations({}),
    "trade": trade(TRADED, frontier=("rule", "linear"), baseline="rule"),
    "trade of nothing": trade({}, frontier=()),
    "trade of broken numbers": trade({"a": (measure(math.nan), measure(0.1))}, frontier=("a",)),
    "quality": over_time.quality(WEEK, metric="ROC AUC", gate=GATE, marks=MARKS),
    "quality of one day": over_time.quality(WEEK[:1], metric="ROC AUC"),
    "quality of nothing": over_time.quality([], metric="ROC AUC", gate=GATE, marks=MARKS),
    "quality without values": over_time.quality([point(0, None), point(1, math.nan)], metric="ROC AUC"),
    "costs": over_time.costs(WEEK, currency="EUR", title="What it costs"),
    "costs of nothing": over_time.costs([]),
    "volumes": over_time.volumes(VOLUMES),
    "volumes of nothing": over_time.volumes([]),
    "calibration": curves.calibration(RISING),
    "calibration with counts": curves.calibration(COUNTED, title="Calibration"),
    "calibration of nothing": curves.calibration(EMPTY),
    "calibration of broken numbers": curves.calibration(BROKEN),
    "cost": curves.cost_of_threshold(RISING, 0.14, currency="EUR", baseline=0.4),
    "cost of nothing": curves.cost_of_threshold(EMPTY, 0.14),
    "roc": curves.roc({"boosted": RISING, "linear": COUNTED}),
    "roc of nothing": curves.roc({"boosted": EMPTY}),
    "scores": curves.scores({"late": RISING, "on time": COUNTED}, threshold=0.14),
    "scores of one class": curves.scores({"late": RISING}),
    "scores of nothing": curves.scores({}),
    "comparison": candidates.comparison(
        {"boosted": measure(0.68), "rule": measure(0.6)}, baseline="rule", gate=GATE, results={"boosted": "pass"}
    ),
    "comparison of nothing": candidates.comparison({"boosted": measure(math.nan)}),
}


@pytest.mark.parametrize("name", SPECS)
def test_a_spec_is_json_and_draws(name: str) -> None:
    json.dumps(SPECS[name], allow_nan=False)
    drawn = svg(SPECS[name])
    assert drawn.startswith("<svg ")
    assert "NaN" not in drawn
    assert "Infinity" not in drawn


def test_the_same_records_give_the_same_bytes() -> None:
    assert svg(SPECS["scores"]) == svg(SPECS["scores"])
    assert png(SPECS["roc"]) == png(SPECS["roc"])


def test_a_png_is_a_picture() -> None:
    assert png(SPECS["comparison"], scale=1.0).startswith(b"\x89PNG\r\n")


def test_drawings_with_different_prefixes_share_no_id() -> None:
    spec = SPECS["quality"] | {"mark": {"type": "bar"}}
    del spec["layer"]
    clipped: Spec = spec | {
        "data": {"values": [{"x": 1}]},
        "mark": {"type": "bar", "clip": True},
        "encoding": {"x": {"field": "x", "type": "quantitative"}},
    }
    left, right = svg(clipped, prefix="a"), svg(clipped, prefix="b")
    assert 'id="a0"' in left
    assert "url(#a0)" in left
    assert 'id="a' not in right
    assert left.replace("a0", "b0") == right


def test_a_missing_value_breaks_the_line() -> None:
    """With a gap the line has two beginnings; without one it has a single one."""
    whole = svg(over_time.quality([point(day, 0.6 + day / 50) for day in range(9)], metric="AUC"))
    gap = svg(over_time.quality([point(day, None if day == 4 else 0.6 + day / 50) for day in range(9)], metric="AUC"))
    assert max(piece.count("M") for piece in _paths(whole)) == 1
    assert max(piece.count("M") for piece in _paths(gap)) == 2


def test_shares_are_told_from_counts() -> None:
    counts = Curve(name="scores", x=(0.1, 0.2), y=(900.0, 100.0))
    shares = Curve(name="scores", x=(0.1, 0.2), y=(0.9, 0.1))
    assert "share of rows" not in svg(curves.scores({"late": counts}))
    assert "share of rows" in svg(curves.scores({"late": shares}))


def test_of_many_series_only_the_first_has_a_band_and_its_line_lies_on_top() -> None:
    points = [point(day, 0.6 + day / 50, series) for series in ("live", "baseline", "frozen") for day in range(5)]
    drawn = svg(over_time.quality(points, metric="AUC"))
    assert drawn.count('fill="#2f6db0"') == 1
    assert 'fill="#d9782d"' not in drawn
    assert all(f'stroke="{colour}"' in drawn for colour in SERIES[:3])
    assert drawn.index('stroke="#2f6db0"') > drawn.index('stroke="#d9782d"')


def test_a_label_that_would_run_into_the_next_is_left_out_but_its_mark_stays() -> None:
    crowded = [Mark(at=START + day * DAY, label=f"version {day}") for day in range(40)]
    points = [point(day, 0.6) for day in range(40)]
    drawn = svg(over_time.quality(points, metric="AUC", marks=crowded))
    assert "version 39" in drawn
    assert "version 5<" not in drawn
    assert drawn.count('x2="0" y2="258"') == 40


@given(st.lists(st.one_of(st.none(), st.floats()), max_size=6))
@settings(max_examples=20)
def test_any_numbers_make_a_spec_of_plain_json(values: list[float | None]) -> None:
    points = [Point(at=START + i * DAY, value=value, low=value, high=value) for i, value in enumerate(values)]
    json.dumps(over_time.quality(points, metric="AUC"), allow_nan=False)


def test_a_table_of_labels_writes_each_number_and_a_large_one_none() -> None:
    drawn = svg(labels.confusion(DECIDED))
    assert drawn.count(">7</text>") == len(NAMED)
    assert "label 39" in svg(labels.confusion(MANY))
    assert '"type": "text"' not in json.dumps(labels.confusion(MANY))


def test_of_many_labels_the_most_frequent_get_a_panel_in_their_order() -> None:
    curves_of = {
        f"label {n}": Curve(name="c", x=(0.5,), y=(0.5,), weight=(float(n + 1),)) for n in range(labels.MOST_PANELS + 2)
    }
    panels = labels.calibrations(curves_of)["concat"]
    assert isinstance(panels, list)
    assert [panel["title"]["text"] for panel in panels] == [f"label {n}" for n in range(2, labels.MOST_PANELS + 2)]


def test_only_finite_numbers_are_drawable() -> None:
    assert [drawable(value) for value in (1.5, None, math.nan, math.inf, -math.inf)] == [1.5, None, None, None, None]


def test_every_colour_of_a_series_has_a_dark_twin() -> None:
    assert set(SERIES) <= set(DARK)


def _luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("name", ["INK", "MUTED", "RED", "PURPLE"])
def test_words_contrast_with_their_paper(name: str) -> None:
    """At least 4.5 to 1 on light and on dark paper (WCAG 2.2, 1.4.3)."""
    from kring.charts import theme

    colour = getattr(theme, name)
    for text, paper in ((colour, theme.PAPER), (DARK[colour], DARK[theme.PAPER])):
        high, low = sorted((_luminance(text), _luminance(paper)), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 4.5


def _paths(drawn: str) -> list[str]:
    return [piece.split('"')[0] for piece in drawn.split(' d="')[1:] if 'stroke="#2f6db0"' in piece.split(">")[0]]


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (lambda: over_time.quality(WEEK, metric="ROC AUC", gate=GATE, width=500), "gate ≥ 0.62"),
        (lambda: curves.cost_of_threshold(COUNTED, 0.2, baseline=0.25, width=500), "baseline"),
    ],
)
def test_words_of_a_level_stand_where_no_line_runs(draw: Callable[[], Spec], words: str) -> None:
    """Right of the frame, within what the chart may take: lines may run anywhere inside."""
    spec = draw()
    (text,) = [each for each in spec["layer"] if words in json.dumps(each["data"], ensure_ascii=False) and
               each["mark"]["type"] == "text"]  # fmt: skip
    assert (text["encoding"]["x"], text["mark"]["align"]) == ({"value": "width"}, "left")
    assert text["mark"]["dx"] > 0
    assert spec["width"] == 500 - aside(words)
    assert words in svg(spec)
