"""Public data through `kring replay`: what changed in them leads to alarms with their evidence; shuffled, to none."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from public_data import alarms, of_kind, power_rows, write_bikes, write_power

BEGAN = ("vicprice", "vicdemand", "transfer")
"""What was not reported before May 1997, but stood still."""

MANY = range(1, 7)
"""Seeds: of the shuffled, one in twenty may ring falsely within 1,000 windows; of these none does."""


@pytest.fixture(scope="module")
def rows(shared: Path) -> pl.DataFrame:
    return power_rows(shared)


def test_a_market_that_begins_to_report_is_told_within_two_weeks(tmp_path: Path, rows: pl.DataFrame) -> None:
    """By name, with the week in which it began, how sure that is, and on how many rows."""
    found = of_kind(alarms(write_power(tmp_path / "power", rows), start="1996-12-01", end="1997-06-01"), "drift")
    assert {*BEGAN, "nswprice"} <= set(found)
    for name in BEGAN:
        since = datetime.fromisoformat(found[name]["since"])
        assert datetime(1997, 4, 24, tzinfo=UTC) <= since <= datetime(1997, 5, 8, tzinfo=UTC)
        assert "0.0 % were expected" in found[name]["what"]
        assert "the evidence (e-value) is" in found[name]["sure"]
        assert found[name]["low"] > 0.5
        assert found[name]["rows"] > 300


def test_markets_in_any_order_ring_nothing(tmp_path: Path, rows: pl.DataFrame) -> None:
    folder = write_power(tmp_path / "power", rows, seed=1)
    assert alarms(folder, start="1996-12-01", end="1997-02-15") == []


@pytest.mark.long
@pytest.mark.parametrize("seed", MANY)
def test_markets_in_any_order_ring_nothing_for_long(tmp_path: Path, rows: pl.DataFrame, seed: int) -> None:
    folder = write_power(tmp_path / "power", rows, seed=seed)
    assert alarms(folder, start="1996-12-01", end="1997-08-20") == []


def test_a_hire_that_grew_breaks_its_promise_and_its_seasons_do_not(tmp_path: Path, shared: Path) -> None:
    """Learned in 2011, live in 2012, when two thirds more were hired: months are compared with themselves, so that no
    winter rings; the year does, which stood still, and what the hire was promised, on outcomes."""
    folder = write_bikes(tmp_path / "hire", shared, watch='season = "month"', promise='mae = "<= 65"')
    found = alarms(folder, start="2012-01-01", end="2012-05-21")
    assert {one["kind"] for one in found} <= {"drift", "prediction_drift", "quality", "estimated_quality"}
    drifted = of_kind(found, "drift")
    assert set(drifted) == {"yr"}
    assert drifted["yr"]["since"].startswith("2012-01-02")
    assert "'false': 0.0 % instead of 100.0 %" in drifted["yr"]["what"]
    assert drifted["yr"]["low"] > 0.99
    page = of_kind(found, "quality")["mae"]
    assert page["tier"] == "page"
    assert page["low"] > 65
    assert "2012-03" < page["since"] < page["at"] < "2012-05"
    assert page["rows"] > 600


@pytest.mark.long
def test_a_hire_that_knows_no_seasons_is_told_of_winter_and_of_summer(tmp_path: Path, shared: Path) -> None:
    """Compared with the whole of what was learned, each season is news, and each is told with its own weeks."""
    found = alarms(write_bikes(tmp_path / "hire", shared), start="2012-01-01", end="2013-01-01")
    assert {one["kind"] for one in found} == {"drift", "prediction_drift"}
    drifts = [one for one in found if one["kind"] == "drift"]
    assert {one["feature"] for one in drifts} == {"yr", "mnth", "season", "temp", "atemp"}
    colder = [one for one in drifts if one["feature"] == "temp" and one["at"] < "2012-03"]
    assert [one["since"] for one in colder] == ["2012-01-02T00:00:00.000000Z"]
    november = [one for one in drifts if one["feature"] == "mnth" and "outside 1 to 10" in one["what"]]
    assert [one["since"] for one in november] == ["2012-11-01T00:00:00.000000Z"]


def test_hires_in_any_order_ring_nothing(tmp_path: Path, shared: Path) -> None:
    assert alarms(write_bikes(tmp_path / "hire", shared, seed=1), start="2012-01-01", end="2012-03-01") == []


@pytest.mark.long
@pytest.mark.parametrize("seed", MANY)
def test_hires_in_any_order_ring_nothing_for_long(tmp_path: Path, shared: Path, seed: int) -> None:
    assert alarms(write_bikes(tmp_path / "hire", shared, seed=seed), start="2012-01-01", end="2013-01-01") == []
