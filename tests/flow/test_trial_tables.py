"""Finished experiments in tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kring.errors import DataError, UserError
from kring.flow.trial_tables import TableAsked, read_table
from systems import kring


@pytest.fixture
def cats(shared: Path) -> Path:
    path = shared / "data" / "ab_cookie_cats" / "cookie_cats.csv"
    if not path.exists():
        pytest.skip("needs the experiment ../shared/data/ab_cookie_cats")
    return path


def test_the_experiment_of_the_cats_is_read_rightly(cats: Path) -> None:
    asked = TableAsked(arm="version", outcomes=("retention_7", "retention_1"), unit="userid", control="gate_30")
    found = read_table(cats, asked)
    week, day = found.seen.outcomes
    means = {arm.arm: (arm.known, round(100 * (arm.mean or 0), 2)) for arm in week.arms}
    assert (found.rows, means) == (90189, {"gate_30": (44700, 19.02), "gate_40": (45489, 18.20)})
    (one,) = week.compared
    assert one.difference == pytest.approx(-0.0082, abs=1e-4)
    assert one.p == pytest.approx(0.00155, abs=1e-4)
    assert (one.classic_low, one.classic_high) == (pytest.approx(-0.01328, abs=1e-4), pytest.approx(-0.00312, abs=1e-4))
    assert one.low < one.classic_low
    assert one.high > 0, "who looked on the way can't be sure"
    assert one.finding == "open"
    assert day.compared[0].p == pytest.approx(0.074, abs=1e-3)
    split = found.seen.split
    assert (split.p, found.seen.brakes) == (pytest.approx(0.0086, abs=1e-4), ())
    assert 2 < np.exp(split.log_e) < 10, "doubtful, and no proof"
    assert any("the split is doubtful" in words for words in found.seen.words)
    assert any("for one look" in words and "p = 0.0016" in words for words in found.seen.words)


def test_who_planned_the_number_of_cats_is_rewarded(cats: Path) -> None:
    asked = TableAsked(arm="version", outcomes=("retention_7",), unit="userid", planned=90_000)
    (one,) = read_table(cats, asked).seen.outcomes[0].compared
    assert one.high < 0
    assert one.finding == "worse"


def test_the_cats_on_the_command_line(cats: Path) -> None:
    told = kring("trial", "read", "--from", cats, "--arm", "version", "--outcome", "retention_7", "--unit", "userid")
    assert told.code == 0
    assert all(part in told.out for part in ("19.02 %", "18.20 %", "p = 0.0086", "0.0016"))


def write(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_text(text)
    return path


def test_rows_without_arm_units_twice_and_cells_without_value(tmp_path: Path) -> None:
    rows = ["ada,a,1,5", "ada,a,1,5", "bo,b,,7", "cy,b,0,", "di,,1,1", "el,a,0,250"]
    found = read_table(
        write(tmp_path, "\n".join(["who,arm,bought,spent", *rows, ""])),
        TableAsked(arm="arm", outcomes=("bought", "spent"), unit="who", bounds={"spent": (0, 100)}),
    )
    assert (found.rows, found.without, found.again) == (6, 1, 1)
    assert [[arm.known for arm in one.arms] for one in found.seen.outcomes] == [[2, 1], [2, 1]]
    assert [arm.mean for arm in found.seen.outcomes[1].arms] == [52.5, 7.0]


@pytest.mark.parametrize(
    ("text", "changes", "error", "why"),
    [
        ("arm,x\na,1\nb,0\n", {"arm": "arms"}, DataError, "no such column"),
        ("arm,x\na,1\nb,0\n", {"outcomes": ("y",)}, DataError, "no such column"),
        ("arm,x\na,1\nb,0\n", {"unit": "who"}, DataError, "no such column"),
        ("arm,x\na,1\nb,0\n", {"outcomes": ("arm",)}, UserError, "named twice"),
        ("arm,x\na,1\nb,0\n", {"control": "c"}, UserError, "no such arm"),
        ("arm,x\na,1\nb,0\n", {"shares": {"a": 0.5}}, UserError, "make up the whole"),
        ("arm,x\na,1\nb,0\n", {"shares": {"a": 0.5, "b": 0.4}}, UserError, "make up the whole"),
        ("arm,x\na,1\nb,0\n", {"shares": {"a": 1.5, "b": -0.5}}, UserError, "make up the whole"),
        ("arm,x\na,1\na,0\n", {}, DataError, "no arms"),
        ("arm,x\n" + "".join(f"arm{n},1\n" for n in range(30)), {}, DataError, "no arms"),
        ("arm,x\na,1.5\nb,0\n", {}, UserError, "need.* their bounds"),
        ("arm,x\na,many\nb,0\n", {}, UserError, "need.* their bounds"),
        ("arm,x\na,many\nb,0\n", {"bounds": {"x": (0, 9)}}, DataError, "no value of x"),
        ("arm,x\na,-1\nb,0\n", {"bounds": {"x": (0, 9)}}, DataError, "no value of x"),
        ("", {}, DataError, "empty"),
    ],
)
def test_tables_that_are_none(tmp_path: Path, text: str, changes: dict, error: type[Exception], why: str) -> None:
    asked = TableAsked(**{"arm": "arm", "outcomes": ("x",), **changes})
    with pytest.raises(error, match=why):
        read_table(write(tmp_path, text), asked)
