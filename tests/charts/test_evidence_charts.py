"""Evidence, drawn: lines against their line, rules by their two kinds of error."""

from __future__ import annotations

import json
from math import log

from hypothesis import given
from hypothesis import strategies as st

from kring.charts.evidence import HIGHEST, LOWEST, Rule, Track, evidence, two_kinds_of_error
from kring.charts.render import svg

POINTS = st.lists(st.tuples(st.floats(0, 1e7), st.floats(-1e6, 1e6)), max_size=5)


def drawn(spec: dict[str, object]) -> list[dict[str, float]]:
    values = spec["layer"][0]["data"]["values"]  # type: ignore[index]
    assert isinstance(values, list)
    return values


def test_a_line_for_each_track_and_one_to_read_them_by() -> None:
    tracks = [Track("a", "error", [(100, 0.0), (200, log(30))]), Track("b", "fallback", [(100, 0.0), (200, -1.0)])]
    spec = evidence(tracks, line=20.0, words="rolled back", marks={"5 %": 150.0})
    assert [round(each["e"], 2) for each in drawn(spec)] == [1, 30, 1, 0.37]
    picture = svg(spec)
    for words in ("rolled back", "5 %", "error", "fallback"):
        assert f">{words}<" in picture


@given(POINTS)
def test_what_lies_beyond_the_frame_is_drawn_at_its_edge(points: list[tuple[float, float]]) -> None:
    spec = evidence([Track("a", "error", points)], line=20.0, words="line")
    if points:
        assert all(LOWEST <= each["e"] <= HIGHEST for each in drawn(spec))
    else:
        assert "No evidence yet." in json.dumps(spec)


def test_rules_stand_side_by_side() -> None:
    rules = [Rule("ours", 0.041, 0.88), Rule("theirs", 0.35, 1.0)]
    picture = svg(two_kinds_of_error(rules, limit=0.05, words="promised", titles=("accuses", "finds")))
    for words in ("ours", "theirs", "4.1%", "35%", "88%", "100%", "promised", "accuses", "finds"):
        assert f">{words}<" in picture
