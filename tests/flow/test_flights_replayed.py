"""The flights of the demo through `kring replay`: a summer rings, and in any order nothing does."""

from __future__ import annotations

from pathlib import Path

import pytest

from public_data import alarms, write_flights

FROM = "2013-03-31"


def test_a_summer_of_flights_pages_for_quality_and_accuses_no_input(tmp_path: Path) -> None:
    """Learned from January to March: thunderstorms delay whom winter did not, the timetable stays within two points."""
    found = alarms(write_flights(tmp_path / "flights", learns=False), start=FROM, end="2013-06-21")
    (page,) = found
    assert (page["kind"], page["metric"]) == ("quality", "lift_over_baseline.roc_auc")
    assert page["tier"] == "page"
    assert page["high"] < 0
    assert "2013-05" < page["since"] < page["at"] < "2013-06-21"
    assert page["rows"] > 20_000
    assert page["effect"]["money"] > 0


def test_flights_in_any_order_ring_nothing(tmp_path: Path) -> None:
    assert alarms(write_flights(tmp_path / "flights", seed=1, learns=False), start=FROM, end="2013-04-15") == []


@pytest.mark.long
def test_a_year_of_flights_ends_the_alarms_of_versions_that_left(tmp_path: Path) -> None:
    """Origins shift in autumn, more to LaGuardia; what was found of the first version is over when it no longer
    answers."""
    found = alarms(write_flights(tmp_path / "flights"), start=FROM, end="2014-01-01")
    drifts = [one for one in found if one["kind"] == "drift"]
    assert {one["feature"] for one in drifts} == {"origin", "distance"}
    autumn = [one for one in drifts if one["feature"] == "origin"]
    assert all("of values are 'LGA', 29.6 % were expected" in one["what"] for one in autumn)
    assert all("2013-08-25" < one["since"] < "2013-09-15" for one in autumn)
    newest = max((one for one in found if one["kind"] == "quality"), key=lambda one: one["at"])
    left = [one for one in found if one["kind"] in ("quality", "drift") and one["version"] != newest["version"]]
    assert newest["state"] == "open"
    assert {one["state"] for one in left} == {"resolved"}


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1, 4))
def test_flights_in_any_order_ring_nothing_for_long(tmp_path: Path, seed: int) -> None:
    """Nine months, with a training each month and a rollout of each version that comes of it."""
    assert alarms(write_flights(tmp_path / "flights", seed=seed), start=FROM, end="2014-01-01") == []
